"""Runs that the clock starts: https://learn.microsoft.com/azure/devops/pipelines/process/scheduled-triggers.

What is due is decided by the YAML of each branch, for that branch, in UTC; unless the pipeline's settings have
schedules of their own, in their own time zones: then those of the YAML don't count.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from rehearsal.agent.language.errors import Position
from rehearsal.agent.language.plan import Filter, Schedule
from rehearsal.azuredevops import build, git_store, users
from rehearsal.azuredevops.context import Service, fixed_id
from rehearsal.azuredevops.errors import ServiceError
from rehearsal.azuredevops.gates_time_zones import IANA_NAMES
from rehearsal.azuredevops.git_store import Git
from rehearsal.azuredevops.runs import documents, filters, queueing, sources
from rehearsal.azuredevops.runs.queueing import Request
from rehearsal.store import Document

_HEADS = "refs/heads/"
_MISSED = 60  # minutes that a service which was away makes up for; the real one is never away
_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NAMES: tuple[dict[str, int], ...] = (
    {},
    {},
    {},
    {name: number for number, name in enumerate(_MONTHS, 1)},
    {name: number for number, name in enumerate(_DAYS)},
)


def matches(cron: str, time: datetime) -> bool:
    """Whether a time is one of a schedule's: minutes, hours, days, months, days of the week.

    Raises:
        ValueError: it is no schedule.
    """
    minutes, hours, days, months, weekdays = (_numbers(text, number) for number, text in enumerate(_fields(cron)))
    if not (time.minute in minutes and time.hour in hours and time.month in months):
        return False
    day, weekday = time.day in days, time.isoweekday() % 7 in weekdays
    # As cron does: if both kinds of days are given, one of them is enough. The documentation doesn't say.
    _, _, day_text, _, weekday_text = _fields(cron)
    return day or weekday if "*" not in day_text and "*" not in weekday_text else day and weekday


def _fields(cron: str) -> list[str]:
    found = cron.split()
    if len(found) != len(_RANGES):
        raise ValueError(f"'{cron}' is not a schedule: five fields are needed")
    return found


def _numbers(text: str, field: int) -> set[int]:
    """The numbers of one field: `*`, `1,2`, `1-5`, `*/4`, `1-10/3`, and names of months and days."""
    first, last = _RANGES[field]
    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        if span == "*":
            low, high = first, last
        else:
            begin, dash, end = span.partition("-")
            low = _number(begin, field)
            high = _number(end, field) if dash else (last if step else low)
        if not first <= low <= high <= last or (step and not step.isdigit()) or step == "0":
            raise ValueError(f"'{text}' is not valid in a schedule")
        found.update(range(low, high + 1, int(step or 1)))
    return found


def _number(text: str, field: int) -> int:
    named = _NAMES[field].get(text.lower()[:3])
    if named is None and not text.isdigit():
        raise ValueError(f"'{text}' is not valid in a schedule")
    return int(text) if named is None else named


def look(service: Service, now: datetime | None = None) -> None:
    """Starts what is due since the last look."""
    now = (now or datetime.now(UTC)).replace(second=0, microsecond=0)
    with service.store.transaction():
        before = service.store.get("clock", "schedules")
        if before is not None and datetime.fromisoformat(before["minute"]) >= now:
            return
        service.store.put("clock", "schedules", {"minute": now.isoformat()})
        first = datetime.fromisoformat(before["minute"]) + timedelta(minutes=1) if before else now
        first = max(first, now - timedelta(minutes=_MISSED))
        minutes = [first + timedelta(minutes=number) for number in range(int((now - first).total_seconds() // 60) + 1)]
        for project in service.store.all("project"):
            for definition in service.store.all("definition", f"{project['id']}/"):
                if definition["body"].get("queueStatus", "enabled") == "enabled":
                    _look_at(service, project, definition, minutes)


def _look_at(service: Service, project: Document, definition: Document, minutes: list[datetime]) -> None:
    repository = sources.repository_of(service.store, definition)
    if repository is None:
        return
    here = git_store.git(service, repository)
    of_settings = list(_of_settings(definition))
    for branch, commit in here.refs(_HEADS).items():
        asked = _request(service, branch, commit)
        known = of_settings or [(each, UTC) for each in _of_yaml(service, project, definition, here, asked)]
        for schedule, zone in known:
            wanted = filters.branch(schedule.branches, branch.removeprefix(_HEADS))
            due = wanted and _due(schedule, [each.astimezone(zone) for each in minutes])
            if due and _wanted(service, project, definition, asked, schedule):
                named = replace(asked, schedule=schedule.display_name)
                queueing.start(service, project, definition["id"], named)
                break


def _of_yaml(
    service: Service, project: Document, definition: Document, here: Git, asked: Request
) -> tuple[Schedule, ...]:
    """The schedules that a branch gives itself."""
    text = sources.reader(here, str(asked.commit))(definition["body"]["process"]["yamlFilename"].strip("/"))
    if text is None or "schedules" not in text:
        return ()  # what isn't there needn't be compiled
    try:
        return sources.compiled(service, project, queueing.draft(service, project, definition["id"], asked)).schedules
    except ServiceError:
        return ()  # a file that can't be read has no schedule


def _of_settings(definition: Document) -> Iterator[tuple[Schedule, tzinfo]]:
    """The schedules of the pipeline's settings, with their time zones. Where there are any, the YAML's don't count:
    https://learn.microsoft.com/azure/devops/pipelines/process/scheduled-triggers#scheduled-triggers.
    """
    for each in build.schedules(definition["body"]):
        days = [str((number + 1) % 7) for number in range(7) if int(each["daysToBuild"]) >> number & 1]
        names = [str(name) for name in each["branchFilters"]]
        schedule = Schedule(
            cron=f"{each['startMinutes']} {each['startHours']} * * {','.join(days)}",
            display_name="",
            branches=Filter(
                tuple(name[1:] for name in names if name.startswith("+")),
                tuple(name[1:] for name in names if name.startswith("-")),
            ),
            batch=False,
            always=not each["scheduleOnlyWithChanges"],
            position=Position("the pipeline's settings", 1, 1),
        )
        yield schedule, ZoneInfo(IANA_NAMES[each["timeZoneId"]])


def _request(service: Service, branch: str, commit: str) -> Request:
    # The real service's own identity is behind such runs; here the organisation's build identity stands for it.
    user = service.store.get("identity", fixed_id("user", users.BUILD_SERVICE))
    assert user is not None  # noqa: S101 - seeded on the first day
    return Request(reason="schedule", user=user, branch=branch, commit=commit)


def _due(schedule: Schedule, minutes: list[datetime]) -> bool:
    try:
        return any(matches(schedule.cron, minute) for minute in minutes)
    except ValueError:
        return False


def _wanted(service: Service, project: Document, definition: Document, asked: Request, schedule: Schedule) -> bool:
    """Not without a change, unless `always`; and not, with `batch`, while the last one goes on."""
    known = [
        each
        for each in documents.of_definition(service.store, project["id"], definition["id"])
        if each["reason"] == "schedule" and each["branch"] == asked.branch
    ]
    if schedule.batch and any(each["status"] != "completed" for each in known):
        return False
    done = next((each for each in known if each["result"] == "succeeded"), None)
    return schedule.always or done is None or done["sourceVersion"] != asked.commit

"""The settings of a job: tasks, compute, who hears of it. Their keys, defaults and rules.

The limits are those of the service: https://docs.databricks.com/api/workspace/jobs/create
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter

from components.settings_clusters import clusters
from components.settings_databricks import EMAIL, OWNER, UUID, access_list, principal
from components.settings_model import Job, Notify, Principal, Task
from components.settings_reading import Phrase, Section, as_text, describe, did_you_mean, matches
from components.settings_schedule import schedule
from release_files import Language

JOB_LEVELS = ("CAN_VIEW", "CAN_MANAGE_RUN", "CAN_MANAGE", OWNER)
JOB_KEY = re.compile(r"[a-z][a-z0-9-]{0,49}")
TASK_KEY = re.compile(r"[A-Za-z0-9_-]{1,100}")
PARAMETER = re.compile(r"[A-Za-z0-9_.-]{1,100}")
# As for the tags of a cluster, to which the service hands them on.
TAG = re.compile(r"[\w +\-=.:/@]{1,127}")
TAG_VALUE = re.compile(r"[\w +\-=.:/@]{0,255}")
OWN_TAGS = ("environment", "release", "commit")
MOST_TAGS = 25
MOST_TASKS = 1000
MOST_WEBHOOKS = 3  # for each event
MOST_MINUTES = 30 * 24 * 60
RUN_IF = ("ALL_SUCCESS", "AT_LEAST_ONE_SUCCESS", "NONE_FAILED", "ALL_DONE", "AT_LEAST_ONE_FAILED", "ALL_FAILED")
SERVERLESS = "serverless"
# https://docs.databricks.com/compute/serverless/limitations
NOT_SERVERLESS: tuple[Language, ...] = ("SCALA", "R")
A_TEXT = "a text (put numbers into quotes)"


def job(section: Section, notebooks: Mapping[str, Language | None] | None, *, paused: bool) -> Job:
    """One job.

    Args:
        section: its settings, with what is true of every job and with the stack's own changes.
        notebooks: the language of each notebook that a task may name; None where another mistake keeps them unknown.
        paused: whether a schedule that doesn't say so is paused.
    """
    timeout = section.number("timeoutMinutes", default=60, least=1, most=MOST_MINUTES, unit="minutes")
    warn = section.number("warnAfterMinutes", default=0, least=1, most=MOST_MINUTES, unit="minutes")
    if warn and warn >= timeout:
        section.refuse(
            "warnAfterMinutes", allowed=f"fewer minutes than timeoutMinutes, {timeout}", example=timeout // 2
        )
    parameters = texts(section, "parameters", PARAMETER, "letters, digits, _ - and .", example={"city": "Vienna"})
    known = clusters(section)
    tasks = _Tasks(section, notebooks, tuple(known), timeout, parameters).read()
    used = {task.compute for task in tasks.values()}
    result = Job(
        description=section.text(
            "description", default="", allowed="a text of at most 20,000 characters", example="", check=_is_short
        ),
        parameters=parameters,
        tasks=tasks,
        clusters={name: cluster for name, cluster in known.items() if name in used},
        schedule=schedule(section.section("schedule", {"cron": "0 30 5 * * ?", "timeZone": "UTC"}), paused=paused)
        if section.has("schedule")
        else None,
        timeout_minutes=timeout,
        warn_after_minutes=warn or None,
        max_concurrent_runs=section.number("maxConcurrentRuns", default=1, least=1, most=1000),
        queue=section.flag("queue", default=True),
        run_as=_run_as(section.section("runAs", {"user": "somebody@example.com"})) if section.has("runAs") else None,
        notify=_notify(section.section("notify", {"emails": ["somebody@example.com"]})),
        tags=_tags(section),
        access=access_list(section, "access", JOB_LEVELS),
    )
    section.close()
    return result


def texts(section: Section, name: str, keys: re.Pattern[str], signs: str, *, example: dict[str, str]) -> dict[str, str]:
    """A mapping of texts, whose keys match."""
    inner = section.section(name, example)
    result = {}
    for key, value in inner.values.items():
        inner.asked.append(str(key))
        if not (isinstance(key, str) and keys.fullmatch(key)):
            inner.refuse(
                str(key),
                found=Phrase(f"the key {key!r}"),
                allowed=f"a key of {signs}",
                remedy=f"rename it in {section.problems.file(inner.path)}",
            )
        elif not isinstance(value, str):
            inner.refuse(key, found=Phrase(describe(value)), allowed=A_TEXT, example=as_text(value))
        else:
            result[key] = value
    return result


class _Tasks:
    """The tasks of one job."""

    def __init__(
        self,
        section: Section,
        notebooks: Mapping[str, Language | None] | None,
        clusters: tuple[str, ...],
        timeout: int,
        parameters: Mapping[str, str],
    ) -> None:
        self._job = section
        self._notebooks = notebooks
        self._clusters = clusters
        self._timeout = timeout
        self._parameters = parameters
        self._compute = self._compute_of(section, SERVERLESS)
        self._retries = section.number("retries", default=0, least=0, most=10)
        self._pause = section.number("minRetryMinutes", default=0, least=0, most=24 * 60, unit="minutes")

    def read(self) -> dict[str, Task]:
        """The tasks by key: of `tasks`, or the one that `notebook` stands for."""
        one, many = self._job.has("notebook"), self._job.has("tasks")
        if one and many:
            self._job.refuse(
                "notebook",
                found=Phrase("notebook and tasks together"),
                allowed="notebook, for a job of one task; or tasks",
                remedy=self._job.problems.how_to_remove(self._job.at("notebook")),
            )
        if not many:
            return {self._job.path.rpartition(".")[2]: self._task(self._job, {})}
        example = {"ingest": {"notebook": self._example()}}
        section = self._job.section("tasks", example)
        if section.is_mapping and not 1 <= len(section.values) <= MOST_TASKS:
            self._job.refuse(
                "tasks",
                found=Phrase(f"{len(section.values):,} tasks"),
                allowed=f"from 1 to {MOST_TASKS:,} tasks",
                example=example,
            )
            return {}
        tasks = {}
        sections = {}
        for key in section.values:
            if not (isinstance(key, str) and TASK_KEY.fullmatch(key)):
                section.refuse(
                    str(key),
                    found=Phrase(f"the key {key!r}"),
                    allowed="at most 100 letters, digits, hyphens and underscores",
                    remedy=f"rename the task in {section.problems.file(section.path)}",
                )
                continue
            sections[key] = section.section(key, example["ingest"])
            tasks[key] = self._task(sections[key], section.values)
            sections[key].close()
        self._refuse_circle(tasks, sections)
        return tasks

    def _task(self, section: Section, others: Mapping[str, object]) -> Task:
        """One task. The short form has neither dependencies, nor parameters and limits beside the job's."""
        task = Task(
            notebook=self._notebook(section),
            after=(),
            run_if=RUN_IF[0],
            retries=section.number("retries", default=self._retries, least=0, most=10),
            min_retry_minutes=section.number(
                "minRetryMinutes", default=self._pause, least=0, most=24 * 60, unit="minutes"
            ),
            retry_on_timeout=False,
            timeout_minutes=None,
            parameters={},
            compute=None,
        )
        compute = self._compute if section is self._job else self._compute_of(section, self._compute)
        task = replace(task, compute=None if compute == SERVERLESS else compute)
        self._check_language(section, task)
        if section is self._job:
            return task
        limit = section.number("timeoutMinutes", default=0, least=1, most=MOST_MINUTES, unit="minutes")
        if limit > self._timeout:
            section.refuse(
                "timeoutMinutes",
                allowed=f"at most the minutes of the whole job, {self._timeout}",
                example=self._timeout,
            )
        return replace(
            task,
            after=self._after(section, others),
            run_if=self._run_if(section),
            retry_on_timeout=self._retry_on_timeout(section, limit),
            timeout_minutes=limit or None,
            parameters=self._own_parameters(section),
        )

    def _example(self) -> str:
        return min(self._notebooks or (), default="folder/notebook")

    def _notebook(self, section: Section) -> str:
        given = section.values.get("notebook")
        known = self._notebooks
        guess = did_you_mean(given.removesuffix(".py"), known) if isinstance(given, str) and known else None
        return section.text(
            "notebook",
            allowed="the path of a notebook in the release, without extension" + (f": {_some(known)}" if known else ""),
            example=guess or self._example(),
            check=bool if known is None else known.__contains__,
        )

    def _compute_of(self, section: Section, default: str) -> str:
        return section.choice("compute", (SERVERLESS, *self._clusters), default=default)

    def _check_language(self, section: Section, task: Task) -> None:
        language = (self._notebooks or {}).get(task.notebook)
        if task.compute is None and language in NOT_SERVERLESS:
            section.refuse(
                "compute",
                found=Phrase(f"{SERVERLESS}, for the notebook {task.notebook} in {language}"),
                allowed="a cluster of the job: serverless compute runs Python and SQL alone",
                remedy=f"declare a cluster at {self._job.at('clusters')} and write its name here",
            )

    def _after(self, section: Section, others: Mapping[str, object]) -> tuple[str, ...]:
        given = section.values.get("after")
        wrong = [str(each) for each in given if str(each) not in others] if isinstance(given, list) else []
        guess = did_you_mean(wrong[0], map(str, others)) if wrong else None
        return section.texts(
            "after",
            allowed=f"a list of tasks of this job: {_some(others)}",
            example=[guess or str(next(iter(others), "ingest"))],
            check=others.__contains__,
        )

    def _run_if(self, section: Section) -> str:
        chosen = section.choice("runIf", RUN_IF, default=RUN_IF[0])
        if chosen != RUN_IF[0] and not section.values.get("after"):
            section.refuse(
                "runIf",
                found=Phrase(f"{chosen}, but the task comes after no other"),
                allowed="runIf beside after: it says how those tasks must have ended",
                remedy=section.problems.how_to_remove(section.at("runIf")),
            )
        return chosen

    def _retry_on_timeout(self, section: Section, limit: int) -> bool:
        wanted = section.flag("retryOnTimeout", default=False)
        if wanted and not limit:
            section.refuse(
                "retryOnTimeout",
                found=Phrase("true, and no timeoutMinutes of the task"),
                allowed="true beside timeoutMinutes: what ends by the limit of the whole job isn't tried again",
                remedy=section.problems.how_to_set(section.at("timeoutMinutes"), max(1, self._timeout // 2)),
            )
        return wanted

    def _own_parameters(self, section: Section) -> dict[str, str]:
        own = texts(section, "parameters", PARAMETER, "letters, digits, _ - and .", example={"day": "2024-10-21"})
        for name in own:
            if name in self._parameters:
                inner = section.section("parameters", {})
                inner.refuse(
                    name,
                    found=Phrase(f"{describe(own[name])}, and the job has a parameter of this name"),
                    allowed="another name than those of the job's parameters, which win over a task's",
                    remedy=section.problems.how_to_remove(inner.at(name)),
                )
        return own

    def _refuse_circle(self, tasks: Mapping[str, Task], sections: Mapping[str, Section]) -> None:
        graph = {key: [other for other in task.after if other in tasks] for key, task in tasks.items()}
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            # The error lists each task before the one that waits for it.
            circle = list(reversed(error.args[1]))
            sections[circle[0]].refuse(
                "after",
                found=Phrase(f"a circle: {' waits for '.join(circle)}"),
                allowed="tasks that can begin: none waits for itself, by way of others either",
                remedy=f"take one of these dependencies out, in {sections[circle[0]].problems.file(self._job.path)}",
            )


def _run_as(section: Section) -> Principal | None:
    result = principal(section, ("user", "servicePrincipal")) if section.is_mapping else None
    section.close()
    return result


def _notify(section: Section) -> Notify:
    result = Notify(
        emails=section.texts(
            "emails",
            allowed="a list of e-mail addresses",
            example=["somebody@example.com"],
            check=matches(EMAIL),
            fold=True,
        ),
        webhooks=section.texts(
            "webhooks",
            allowed="a list of ids of notification destinations (UUIDs; an administrator makes them in the workspace)",
            example=["00000000-0000-0000-0000-000000000000"],
            check=matches(UUID),
            fold=True,
        ),
    )
    if len(result.webhooks) > MOST_WEBHOOKS:
        section.refuse(
            "webhooks",
            found=Phrase(f"{len(result.webhooks)} destinations"),
            allowed=f"at most {MOST_WEBHOOKS}",
            remedy=section.problems.how_to_remove(section.at(f"webhooks[{MOST_WEBHOOKS}]")),
        )
    section.close()
    return result


def _tags(section: Section) -> dict[str, str]:
    tags = texts(
        section, "tags", TAG, "at most 127 letters, digits, spaces and + - = . _ : / @", example={"team": "bikes"}
    )
    inner = section.section("tags", {})
    refusals: tuple[tuple[Callable[[str], bool], str], ...] = (
        (lambda name: name in OWN_TAGS, "another name: environment, release and commit are the program's own tags"),
        (
            lambda name: not TAG_VALUE.fullmatch(tags[name]),
            "at most 255 letters, digits, spaces and + - = . _ : / @",
        ),
    )
    for name in tags:
        for is_wrong, allowed in refusals:
            if is_wrong(name):
                inner.refuse(name, allowed=allowed, remedy=section.problems.how_to_remove(inner.at(name)))
                break
    if len(tags) > MOST_TAGS - len(OWN_TAGS):
        section.refuse(
            "tags",
            found=Phrase(f"{len(tags)} tags"),
            allowed=f"at most {MOST_TAGS - len(OWN_TAGS)}, beside {', '.join(OWN_TAGS)}",
            remedy="leave some out",
        )
    return tags


def _is_short(text: str) -> bool:
    return len(text) <= 20_000


def _some(names: Mapping[str, object]) -> str:
    """The first names; a release may have hundreds."""
    shown = sorted(map(str, names))[:12]
    return ", ".join(shown) + (f" and {len(names) - len(shown)} more" if len(names) > len(shown) else "")

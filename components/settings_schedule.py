"""The settings of a schedule: its keys and rules."""

import re
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from components.settings_model import Schedule
from components.settings_reading import Section, did_you_mean

QUARTZ_FIELD = re.compile(r"[0-9A-Za-z*/,\-?#]+")


def schedule(section: Section, *, paused: bool) -> Schedule:
    """When a job runs. `paused` is what counts where the schedule doesn't say."""
    zone = section.values.get("timeZone")
    unknown = isinstance(zone, str) and not is_time_zone(zone)
    guess = did_you_mean(str(zone), available_timezones()) if unknown else None
    result = Schedule(
        cron=section.text(
            "cron",
            allowed="a Quartz cron expression: seconds minutes hours day-of-month month day-of-week [year], with ? in "
            "exactly one of the two days",
            example="0 30 5 * * ?",
            check=is_quartz,
        ),
        time_zone=section.text(
            "timeZone",
            allowed="a time zone by its IANA name, such as Europe/Berlin or UTC",
            example=guess or "UTC",
            check=is_time_zone,
        ),
        paused=section.flag("paused", default=paused),
    )
    section.close()
    return result


def is_time_zone(name: str) -> bool:
    """Whether the machine or the package tzdata knows the IANA name."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a folder, such as Europe
        return False
    return True


def is_quartz(text: str) -> bool:
    """Whether the text has the form of a Quartz cron expression.

    The form alone: the service checks the ranges
    (http://www.quartz-scheduler.org/documentation/quartz-2.3.0/tutorials/crontrigger.html).
    """
    fields = text.split()
    if len(fields) not in (6, 7) or not all(QUARTZ_FIELD.fullmatch(field) for field in fields):
        return False
    return [fields[3], fields[5]].count("?") == 1 and "?" not in fields[:3] + fields[4:5] + fields[6:]

"""The table of `status`."""

from delivery.status_model import Environment, Status
from delivery.status_record import Release

FILES_TOLD = 10
SHORT = 12  # digits of a commit or digest


def lines(status: Status) -> list[str]:
    """What people read."""
    told = _table([("", *(each.name for each in status.environments)), *rows(status)])
    told += ["", difference(status)]
    if status.difference and not status.difference.same:
        for sign, paths in (
            ("+", status.difference.added),
            ("~", status.difference.changed),
            ("-", status.difference.removed),
        ):
            told += [f"  {sign} {path}" for path in (paths or ())[:FILES_TOLD]]
            rest = len(paths or ()) - FILES_TOLD
            told += [f"  {sign} ... and {rest} more"] if rest > 0 else []
    told += [f"release {each.number}: {_where(each.stage, each.waits)}; {each.page}" for each in status.on_their_way]
    if status.pipeline:
        told.append(f"releases on their way aren't known: {status.pipeline}")
    told += [
        f"{each.name}: {each.attempt.version} wasn't deployed: {each.attempt.error}"
        for each in status.environments
        if each.attempt and each.attempt.error
    ]
    told += [f"{each.name} can't be read: {each.problem}" for each in status.environments if each.problem]
    return told


def rows(status: Status) -> list[tuple[str, ...]]:
    """Name of the row, then what it says of each environment."""
    shown = {
        "release": [_of(each.current, "version") for each in status.environments],
        "commit": [_of(each.current, "commit")[:SHORT] for each in status.environments],
        "content": [_of(each.current, "content")[:SHORT] for each in status.environments],
        "build": [_of(each.current, "build") for each in status.environments],
        "deployed": [when(each.current.deployed_at if each.current else None) for each in status.environments],
        "by": [_of(each.current, "by") for each in status.environments],
        "approved by": [_approvers(each.current) for each in status.environments],
        "state": [_state(each) for each in status.environments],
        "health": [each.health for each in status.environments],
        "folder": [each.folder for each in status.environments],
    }
    return [(name, *values) for name, values in shown.items()]


def difference(status: Status) -> str:
    """How the environments differ, in one line."""
    if status.difference is None:
        return "how the environments differ isn't known"
    first, last = status.environments[0].name, status.environments[-1].name
    if status.difference.same:
        return f"{first} and {last} have the same release"
    if not (status.environments[0].current and status.environments[-1].current):
        return f"{first} and {last} differ: one has no release"
    parts = [
        f"{len(paths)} {word}"
        for word, paths in (
            ("new", status.difference.added),
            ("changed", status.difference.changed),
            ("removed", status.difference.removed),
        )
        if paths
    ]
    return f"{first} differs from {last}: {', '.join(parts) or 'another release'}"


def when(told: str | None) -> str:
    """A time for people."""
    return f"{told[:10]} {told[11:16]} UTC" if told and len(told) >= len("2026-11-23T22:05Z") else told or "-"


def _of(release: Release | None, name: str) -> str:
    value = getattr(release, name) if release else None
    return str(value) if value else "-"


def _approvers(release: Release | None) -> str:
    if release is None:
        return "-"
    return ", ".join(release.approvers) or "nobody was asked"


def _state(environment: Environment) -> str:
    if environment.attempt and environment.state != "deployed":
        return f"{environment.state}: {environment.attempt.version}"
    return environment.state


def _where(stage: str, waits: str | None) -> str:
    return f"stage {stage} waits for {waits}" if waits else f"in stage {stage}" if stage else "not begun"


def _table(told: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in told) for column in range(len(told[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in told]

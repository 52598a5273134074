"""The engine's log of events while it is being written, and who hears of them."""

import contextlib
import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from delivery.console import Progress
from delivery.plan import Step, is_real

_LOOK_SECONDS = 0.02
_DONE = {"create": "created", "update": "updated", "delete": "deleted", "replace": "replaced", "import": "imported"}


def heard(
    process: "subprocess.Popen[str]",
    log: Path,
    hear: Callable[[Mapping[str, Any]], None],
    ended: Callable[[], bool] | None = None,
) -> list[Mapping[str, Any]]:
    """The events of the engine's log, each told to `hear` as it comes; a request to end goes to the engine meanwhile.

    Args:
        process: the engine.
        log: the file; it needn't be there yet.
        hear: gets each event.
        ended: says that nothing more is written; by default that the process has ended.
    """
    events = []
    with _passed_on(process):
        for event in _followed(log, ended or (lambda: process.poll() is not None)):
            events.append(event)
            hear(event)
    return events


def _followed(log: Path, ended: Callable[[], bool]) -> Iterator[Mapping[str, Any]]:
    rest, at = b"", 0
    while True:
        last = ended()
        if log.exists():
            with log.open("rb") as file:
                file.seek(at)
                fresh = file.read()
            at += len(fresh)
            *lines, rest = (rest + fresh).split(b"\n")
            yield from (json.loads(line) for line in lines if line.strip())
        if last:
            return
        time.sleep(_LOOK_SECONDS)


@contextlib.contextmanager
def _passed_on(process: "subprocess.Popen[str]") -> Iterator[None]:
    """A request to end goes to the engine, which finishes the steps that it has begun, and keeps its state.

    Ctrl-C in a terminal reaches the engine by itself, and a second one would end it at once.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(_number: int, _frame: FrameType | None) -> None:
        process.send_signal(signal.SIGINT)

    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None),
        signal.SIGTERM: signal.signal(signal.SIGTERM, end),
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def hear_looked_at(progress: Progress | None) -> Callable[[Mapping[str, Any]], None]:
    """Tells how many resources a preview has looked at."""
    seen = 0

    def hear(event: Mapping[str, Any]) -> None:
        nonlocal seen
        if progress and "resourcePreEvent" in event:
            seen += 1
            progress.count("resources looked at", seen)

    return hear


def hear_done(
    progress: Progress | None, after: Callable[[Mapping[str, Any]], None] | None
) -> Callable[[Mapping[str, Any]], None]:
    """Tells each resource that an update has changed, and hands the metadata of each step on."""

    def hear(event: Mapping[str, Any]) -> None:
        told = event.get("resOutputsEvent") or event.get("resOpFailedEvent")
        if not told:
            return
        metadata = told["metadata"]
        step = Step(operation="same", urn=metadata["urn"], type=metadata["type"], name=metadata["urn"].split("::")[-1])
        done = "failed" if "resOpFailedEvent" in event else _DONE.get(metadata["op"])
        if progress and done and is_real(step):
            progress.step(f"  {done} {step.kind} {step.name}")
        if after and "resOutputsEvent" in event:
            after(metadata)

    return hear

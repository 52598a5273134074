"""The record of releases, in the workspace beside what it speaks of: `<folder>/.release/`.

`record.json`:

- `format`: 1.
- `state`: `deployed`, when the folder holds `current`; `deploying`, when it holds something between `current` and
  `attempt`; `failed` likewise, and `attempt` has why under `error`.
- `current`: the release that was deployed and read back last: `version`, `content`, `digest`, `commit`, `branch`,
  `build`, `approvers`, `started_at`, `deployed_at`, `run`, `by`. Null before the first.
- `attempt`: the release that is being deployed, or that failed. Null when `deployed`.
- `history`: the last releases that were deployed, the newest first; `current` is the first of them.

`<content>.json`: the manifest of a release of the history, and under `objects` what it puts into the workspace.

`lock.json`: whose turn it is. A deployment makes it before it changes anything, and only if there is none; so two can't
write the record, or the folder, at the same time. One that was killed leaves it; `Ledger.turn` says who may take it.

The record is never a lie, whenever a deployment is killed: `deploying` is written before the first change, `deployed`
after every file was read back, each by one import, which replaces the file as a whole.
"""

import json
import os
import socket
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from delivery.console import Mistake, Progress, RefusedError, UnusableError
from delivery.manifest import Manifest
from delivery.workspace import RECORD, Workspace
from delivery.workspace_objects import Object

FORMAT = 1
NAME = "record.json"
LOCK = "lock.json"
HISTORY = 50

Document = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Run:
    """The pipeline's run that deploys: `attempt` counts how often its stage and job were begun."""

    id: int
    number: str
    attempt: tuple[int, int]

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Run | None":
        """The run that this process belongs to.

        Source: https://learn.microsoft.com/azure/devops/pipelines/build/variables
        """
        id_ = environment.get("BUILD_BUILDID", "")
        if not environment.get("TF_BUILD") or not id_.isdecimal():
            return None
        attempt = [environment.get(name, "") for name in ("SYSTEM_STAGEATTEMPT", "SYSTEM_JOBATTEMPT")]
        stage, job = (int(each) if each.isdecimal() else 1 for each in attempt)
        return cls(id=int(id_), number=environment.get("BUILD_BUILDNUMBER", id_), attempt=(stage, job))


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who deploys: a process on a machine, perhaps in a pipeline's run.

    `since` is in UTC. `machine` is where the process's number means this process, and no other: see `this_machine`.
    """

    id: str
    since: str
    host: str
    pid: int
    by: str
    run: Run | None
    machine: str | None = None

    @classmethod
    def myself(cls, by: str) -> "Holder":
        """This process."""
        return cls(
            id=uuid.uuid4().hex,
            since=now(),
            host=socket.gethostname(),
            pid=os.getpid(),
            by=by,
            run=Run.of(os.environ),
            machine=this_machine(),
        )

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> "Holder":
        """As it was written."""
        told = document["run"]
        run = Run(id=told["id"], number=told["number"], attempt=tuple(told["attempt"])) if told else None
        return cls(**{**document, "run": run})

    def __str__(self) -> str:
        run = f", run {self.run.number}" if self.run else ""
        return f"{self.by} on {self.host} (process {self.pid}{run}) since {self.since}"

    def is_over(self, me: "Holder") -> bool:
        """Whether it is certain that this process has ended: by this machine, or by a later attempt of its run."""
        both_known = bool(self.machine and me.machine)
        here = self.machine == me.machine if both_known else self.host == me.host
        if here and lives(self.pid):
            # Even of an earlier attempt: an agent that dies can leave its steps alive.
            return False
        if here and both_known:
            return True
        return bool(self.run and me.run and self.run.id == me.run.id and self.run.attempt < me.run.attempt)


@dataclass(frozen=True, kw_only=True)
class Record:
    """What is recorded; see the module. `state` is `nothing` where nothing is."""

    state: str = "nothing"
    current: Document | None = None
    attempt: Document | None = None
    history: tuple[Document, ...] = field(default=())


class Ledger:
    """The record of a folder.

    Args:
        workspace: the folder.
        progress: hears when a dead deployment's turn is taken over.
        has_ended: says whether a pipeline's run has ended; None where nobody can be asked.
    """

    def __init__(
        self, workspace: Workspace, progress: Progress, has_ended: Callable[[int], bool] | None = None
    ) -> None:
        self._workspace = workspace
        self._progress = progress
        self._has_ended = has_ended
        self._me: Holder | None = None

    def read(self) -> Record:
        """What is recorded now.

        Raises:
            UnusableError: it can't be read, or isn't what `deploy` writes.
        """
        told = self._workspace.read_json(NAME)
        if told is None:
            return Record()
        try:
            if told["format"] != FORMAT:
                raise ValueError(f"format {told['format']!r}")
            return Record(
                state=told["state"], current=told["current"], attempt=told["attempt"], history=tuple(told["history"])
            )
        except (KeyError, TypeError, ValueError) as error:
            path = f"{self._workspace.folder}/{RECORD}/{NAME}"
            raise UnusableError(path, f"not a record of releases ({error!r})", "put back what it was") from None

    def release(self, content: str) -> tuple[Object, ...] | None:
        """What a recorded release puts into the workspace; None if that isn't kept."""
        told = self._workspace.read_json(f"{content}.json")
        return tuple(Object.read(each) for each in told["objects"]) if told else None

    @contextmanager
    def turn(self, by: str, take_over: bool = False) -> Iterator[Holder | None]:
        """Nobody else deploys to the folder meanwhile. Gives the dead one whose turn it was, if there is one.

        Args:
            by: who is signed in.
            take_over: whoever has the turn is known to be dead.

        Raises:
            RefusedError: somebody else has the turn, and may be alive.
        """
        me = Holder.myself(by)
        dead = None
        if not self._workspace.write_json(LOCK, asdict(me), fresh=True):
            dead = self._take(me, take_over)
        self._me = me
        try:
            yield dead
        except BaseException:
            # What went wrong is to be told, and not that the workspace is still down.
            with suppress(UnusableError):
                self._leave(me)
            raise
        self._leave(me)

    def begin(self, manifest: Manifest, objects: tuple[Object, ...], attempt: Document) -> Record:
        """Records that this release is being deployed, before anything of it is; gives the record before that."""
        before = self.read()
        kept = {**json.loads(manifest.written()), "objects": [each.document() for each in objects]}
        self._workspace.write_json(f"{manifest.content}.json", kept)
        self._write(replace(before, state="deploying", attempt=attempt))
        return before

    def finish(self, before: Record, deployed: Document) -> None:
        """Records that the release is deployed, after all of it was read back."""
        history = (deployed, *before.history)
        self._write(Record(state="deployed", current=deployed, attempt=None, history=history[:HISTORY]))
        known = {each["content"] for each in history[:HISTORY]}
        for content in {each["content"] for each in history[HISTORY:]} - known:
            self._workspace.remove_json(f"{content}.json")

    def fail(self, before: Record, attempt: Document, why: str) -> None:
        """Records that the release isn't deployed, and that the folder may hold a part of it."""
        self._write(replace(before, state="failed", attempt={**attempt, "error": why}))

    def take_back(self, before: Record) -> None:
        """Records what was recorded before: nothing was changed in the folder."""
        if before.state == "nothing":
            self._workspace.remove_json(NAME)
        else:
            self._write(before)

    def _write(self, record: Record) -> None:
        """Writes, if it is still this one's turn: somebody may have taken it for dead."""
        told = self._workspace.read_json(LOCK) or {}
        if not self._me or told.get("id") != self._me.id:
            found = f"another deployment has taken over, by {told.get('by') or 'somebody who has ended it'}"
            remedy = "see what is deployed (status, drift), and repeat if it isn't what it should be"
            raise RefusedError([Mistake(key=self._workspace.folder, found=found, remedy=remedy)])
        self._workspace.write_json(NAME, {"format": FORMAT, **asdict(record)})

    def _leave(self, me: Holder) -> None:
        if (self._workspace.read_json(LOCK) or {}).get("id") == me.id:
            self._workspace.remove_json(LOCK)

    def _take(self, me: Holder, take_over: bool) -> Holder | None:
        path = f"{self._workspace.folder}/{RECORD}/{LOCK}"
        told = self._workspace.read_json(LOCK)
        try:
            holder = Holder.read(told) if told else None
        except (KeyError, TypeError) as error:
            raise UnusableError(
                path, f"not what `deploy` writes ({error!r})", "see who made it, and delete it"
            ) from None
        if holder is None:
            found, remedy = "another deployment has just ended", "repeat"
            raise RefusedError([Mistake(key=self._workspace.folder, found=found, remedy=remedy)])
        if holder.id == me.id:
            return None  # the client has repeated a request that had succeeded
        if not take_over and not holder.is_over(me) and not self._run_is_over(holder, me):
            remedy = "wait for its end; nothing was changed. If that process is surely dead, repeat with --take-over"
            found = f"a deployment by {holder} is under way"
            raise RefusedError([Mistake(key=self._workspace.folder, found=found, remedy=remedy)])
        self._progress.step(f"the deployment by {holder} was cut off; this one goes on from there")
        self._workspace.write_json(LOCK, asdict(me))
        return holder

    def _run_is_over(self, holder: Holder, me: Holder) -> bool:
        other = holder.run and not (me.run and me.run.id == holder.run.id)
        return bool(other and holder.run and self._has_ended and self._has_ended(holder.run.id))


def entry(manifest: Manifest, *, approvers: tuple[str, ...], by: str, started_at: str) -> Document:
    """A release as it is recorded, but for the time of its end."""
    run = Run.of(os.environ)
    return {
        "version": manifest.version,
        "content": manifest.content,
        "digest": manifest.digest,
        "commit": manifest.commit,
        "branch": manifest.branch,
        "build": asdict(manifest.build) if manifest.build else None,
        "approvers": list(approvers),
        "started_at": started_at,
        "run": {"id": run.id, "number": run.number} if run else None,
        "by": by,
    }


def lives(pid: int) -> bool:
    """Whether this machine has such a process; where that can't be asked without harm, it is taken to be alive."""
    if os.name != "posix":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def this_machine() -> str | None:
    """Where numbers of processes mean the same; None where that can't be known.

    Containers can share a host's name, and each counts its own processes. Linux says which start of the machine it is,
    and which namespace of processes.

    Source: https://man7.org/linux/man-pages/man7/pid_namespaces.7.html
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return None


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

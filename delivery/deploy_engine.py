"""The one `pulumi up` of a deployment: previewed, judged by whoever asked for it, and then made or not.

A stack is locked while somebody works on it: with the state in one's own storage from the preview on, in Pulumi Cloud
from the update on.
"""

import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any

from delivery.console import Mistake, Progress, RefusedError, UnusableError
from delivery.plan import Plan
from delivery.pulumi_cli import Pulumi, PulumiError
from delivery.pulumi_update import Update
from delivery.record import Holder, lives, this_machine

# How Pulumi words it where the state is one's own storage (pkg/backend/diy/lock.go), and where it is in Pulumi Cloud.
_LOCKED = re.compile(r"currently locked by|Another update is currently in progress")
_LOCKED_BY = re.compile(r"created by \S*@(\S+) \(pid (\d+)\)")
# Another deployment that began at the same moment has the lock until it hears that it isn't its turn.
_PAUSES = (1.0, 2.0, 4.0)


class LockedError(RefusedError):
    """Somebody else works on the stack, so nothing was changed."""


class Engine:
    """A context: whoever leaves it without `up` has changed nothing.

    Args:
        pulumi: the stack.
        message: what the stack's history says of the update.
        progress: hears of each step.
    """

    def __init__(self, pulumi: Pulumi, message: str, progress: Progress) -> None:
        self._pulumi, self._message, self._progress = pulumi, message, progress
        self._exclude: Sequence[str] = ()
        self._update: Update | None = None
        self._running = ExitStack()

    def __enter__(self) -> "Engine":
        """Nothing runs yet."""
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Ends the engine."""
        self._running.close()

    def preview(self, exclude: Sequence[str] = ()) -> Plan:
        """What `up` would do. The engine waits for it then.

        Args:
            exclude: as in `Pulumi.preview`.

        Raises:
            RefusedError: the engine itself refuses, or fails.
            UnusableError: it doesn't even begin.
        """
        self._running.close()
        self._exclude = exclude
        self._progress.step(f"pulumi preview --stack {self._pulumi.stack}")
        self._update = self._running.enter_context(Update(self._pulumi, self._message, exclude=exclude))
        try:
            return self._update.previewed(self._progress)
        except PulumiError as error:
            # The engine itself refuses to delete what is protected.
            remedy = (
                "nothing was changed. Correct what is named; what is protected, an administrator frees: "
                f"pulumi state unprotect --stack {self._pulumi.stack} URN. Then deploy again"
            )
            problems = error.reasons or ("it fails",)
            mistakes = [Mistake(key="pulumi preview", found=each, remedy=remedy) for each in problems]
            raise RefusedError(mistakes) from None

    def preview_again(self, error: RefusedError | UnusableError, dead: Holder | None) -> Plan:
        """The preview that failed because the stack is locked, when it isn't any more.

        Args:
            error: how it failed.
            dead: whose deployment is dead for certain; a lock that it has left behind is taken away.

        Raises:
            LockedError: somebody else has the lock, and keeps it.
            RefusedError, UnusableError: `error`, if it says something else; or as `preview`.
        """
        for pause in _PAUSES:
            if not _LOCKED.search(str(error)):
                raise error
            if not self._taken_away(error, dead):
                self._progress.step(f"the stack is locked by somebody else; trying again in {pause:.0f} s")
                time.sleep(pause)
            try:
                return self.preview(self._exclude)
            except UnusableError as again:
                error = again
        with self._told_as_locked():
            raise error

    def up(self, dead: Holder | None, after: Callable[[Mapping[str, Any]], None]) -> dict[str, int]:
        """Does what was previewed; gives how many resources were changed, by operation.

        Args:
            dead: as in `preview_again`.
            after: is given the metadata of each step that is done.

        Raises:
            LockedError: somebody else has the stack's lock by now.
            PulumiError: it has failed on the way.
            UnusableError: it doesn't even begin.
        """
        if self._update is None:
            raise AssertionError("preview comes first")
        self._progress.step(f"pulumi up --stack {self._pulumi.stack}")
        with self._told_as_locked():
            try:
                plan = self._update.go_on(self._progress, after=after)
            except UnusableError as error:
                if not _LOCKED.search(str(error)) or not self._taken_away(error, dead):
                    raise
                plan = self._pulumi.up(self._progress, exclude=self._exclude, after=after)
        return {str(operation): count for operation, count in plan.counts().items()}

    def interrupt_if_failed(self, done: Future[Any]) -> None:
        """Ends the preview if what has to be right besides isn't: nobody wants to know it any more."""
        if done.exception() and self._update:
            self._update.interrupt()

    def _taken_away(self, error: RefusedError | UnusableError, dead: Holder | None) -> bool:
        if not _left_behind(str(error), dead):
            return False
        self._progress.step("the stack's lock was left behind by a deployment that is dead: it is taken away")
        self._running.close()
        self._pulumi.cancel()
        return True

    @contextmanager
    def _told_as_locked(self) -> Iterator[None]:
        try:
            yield
        except (RefusedError, UnusableError) as error:
            if not _LOCKED.search(str(error)):
                raise
            remedy = (
                "nothing was changed. Wait for its end, and repeat; if that process is surely dead: "
                f"pulumi cancel --stack {self._pulumi.stack}"
            )
            words = " ".join(error.mistakes[0].found.split())
            mistake = Mistake(key=f"stack {self._pulumi.stack}", found=words, remedy=remedy)
            raise LockedError([mistake]) from None


def _left_behind(words: str, dead: Holder | None) -> bool:
    """Whether all that hold Pulumi's lock are of the deployment that is dead, and dead for certain as well.

    Pulumi notes a host's name and a process, and hosts can share a name: alone that is no evidence.
    """
    holders = _LOCKED_BY.findall(words)
    if dead is None or not holders:
        return False
    here = dead.machine == this_machine() if dead.machine else dead.host == socket.gethostname()
    return all(host == dead.host and not (here and lives(int(pid))) for host, pid in holders)

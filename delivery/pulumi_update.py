"""`pulumi up` that shows what it would do and waits for a word: preview and update in one process of the engine.

The engine asks where it asks people, in a terminal: here in a pseudo-terminal. It has the stack's lock from the preview
on where the state is in one's own storage, so what was looked at is what is done; and a "no" leaves nothing behind, not
even an entry in the stack's history. `preview` and then `up --skip-preview` start the engine twice, half a second each
time. https://www.pulumi.com/docs/iac/cli/commands/pulumi_up/
"""

import os
import pty
import re
import signal
import subprocess
import tempfile
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from delivery.console import Progress, UnusableError
from delivery.plan import Plan
from delivery.pulumi_cli import Pulumi, options
from delivery.pulumi_events import hear_done, hear_looked_at, heard

_YES, _NO = b"yes\r", b"no\r"
_MODES = 3  # where termios has the local modes
_SHOWN = 500  # characters
_SHOW_SECONDS = 0.2
_CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_READ_SECONDS = 1.0  # for what it wrote last; a process that it left behind may hold the terminal
_END_SECONDS = 30.0  # for an engine that has changed nothing to end
# The engine asks nobody in what it takes for an agent. What says yes in advance must not come from the environment.
_ENVIRONMENT = {"PULUMI_DISABLE_CI_DETECTION": "true", "PULUMI_SKIP_CONFIRMATIONS": "false"}
_OPTIONS = ["--yes=false", "--skip-preview=false"]


class Update:
    """One `pulumi up`, a context: whoever leaves it without `go_on` has said no.

    Args:
        pulumi: the stack.
        message: what the stack's history says of the update.
        exclude: as in `Pulumi.preview`.
    """

    def __init__(self, pulumi: Pulumi, message: str, *, exclude: Sequence[str] = ()) -> None:
        self._pulumi = pulumi
        self._arguments = ["up", *_OPTIONS, "--message", message, *options(False, exclude)]
        self._guards_left = bool(exclude)
        self._asked = self._going_on = False
        self._shown = ""  # the last of it
        self._held = ExitStack()

    def __enter__(self) -> "Update":
        """Starts the engine.

        Raises:
            UnusableError: there is no `pulumi`.
        """
        with ExitStack() as held:
            scratch = Path(held.enter_context(tempfile.TemporaryDirectory()))
            self._log, self._said = scratch / "events", scratch / "said"
            self._terminal, inside = pty.openpty()
            held.callback(os.close, self._terminal)
            with self._said.open("wb") as errors, ExitStack() as started:
                started.callback(os.close, inside)
                self._process = self._pulumi.start(
                    self._arguments,
                    log=self._log,
                    guards_left=self._guards_left,
                    environment=_ENVIRONMENT,
                    stdin=inside,
                    stdout=inside,
                    stderr=errors,
                )
            reader = threading.Thread(target=self._read, daemon=True)
            reader.start()
            held.callback(reader.join, _READ_SECONDS)
            held.callback(self._end)
            self._held = held.pop_all()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Says no, unless the update has been made; waits for the engine's end."""
        self._held.close()

    def previewed(self, progress: Progress | None = None) -> Plan:
        """What it would do, when it asks; nothing is changed until `go_on`.

        Raises:
            PulumiError, UnusableError: as `Pulumi.preview`.
        """
        looked, complete = hear_looked_at(progress), threading.Event()

        def hear(event: Mapping[str, Any]) -> None:
            looked(event)
            if "summaryEvent" in event:
                complete.set()

        def ended() -> bool:
            return self._has_ended() or (self._asks() and (complete.is_set() or not self._log.exists()))

        events = heard(self._process, self._log, hear, ended)
        if not events and self._asks():
            # A person would be asked for a passphrase, or to sign in, before there is an engine.
            time.sleep(_SHOW_SECONDS)
            asked = self._pulumi.masked(" ".join(_CONTROLS.sub("", self._shown).split()))
            remedy = "sign in (pulumi login), and set PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE"
            raise UnusableError("pulumi up", f"it asks: {asked}", remedy)
        plan = self._pulumi.judged("preview", events, self._words(), self._process.poll() or 0)
        if self._has_ended():
            remedy = f"see what it did: pulumi stack history --stack {self._pulumi.stack}"
            raise UnusableError("pulumi up", "it ended without asking whether it should go on", remedy)
        self._asked = True
        return plan

    def go_on(
        self, progress: Progress | None = None, *, after: Callable[[Mapping[str, Any]], None] | None = None
    ) -> Plan:
        """Says yes; gives the steps that were made.

        Args:
            progress: hears of each resource that was changed.
            after: is given the metadata of each step that is done.

        Raises:
            PulumiError: as `Pulumi.up`.
            UnusableError: it doesn't even begin: the stack is another's by now.
        """
        self._log.unlink()  # the update's events come into a new one
        self._going_on = True
        os.write(self._terminal, _YES)
        events = heard(self._process, self._log, hear_done(progress, after))
        return self._pulumi.judged("up", events, self._words(), self._process.returncode)

    def interrupt(self) -> None:
        """Asks the engine to end before it has asked; from any thread."""
        self._process.send_signal(signal.SIGINT)

    def _has_ended(self) -> bool:
        return self._process.poll() is not None

    def _asks(self) -> bool:
        """Whether it reads single keys, as it does for its questions."""
        return not termios.tcgetattr(self._terminal)[_MODES] & termios.ICANON

    def _words(self) -> str:
        return self._said.read_text(encoding="utf-8", errors="replace")

    def _read(self) -> None:
        """Takes what it writes into the terminal, which is for people: the events say the same."""
        with suppress(OSError):  # its end: nobody has the other side open any more
            while fresh := os.read(self._terminal, 65536):
                self._shown = (self._shown + fresh.decode("utf-8", "replace"))[-_SHOWN:]

    def _end(self) -> None:
        if not self._has_ended() and not self._going_on:
            if self._asked:
                os.write(self._terminal, _NO)
            else:
                self.interrupt()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_SECONDS)
                return
            self._process.kill()
        self._process.wait()

"""Pulumi's command line for the commands: a preview as a `Plan`, an update with progress, outputs and settings.

The engine tells what it does in a log of events, as it does for Pulumi's Automation API
(https://www.pulumi.com/docs/iac/automation-api/). The API itself isn't used: it takes the environment of its own
process on, and starts `pulumi` several times where once is enough.
"""

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from delivery.console import Mistake, Progress, RefusedError, UnusableError
from delivery.plan import Plan, errors_of, plan_of
from delivery.pulumi_events import hear_done, hear_looked_at, heard

# Of the environment, what no log and no comment may show.
_SECRET_NAMES = re.compile(
    r"TOKEN|SECRET|PASSPHRASE|PASSWORD|PERSONAL_ACCESS|_PAT$|_KEY$|ACCESS_KEY|ACCOUNT_KEY|CONNECTION_STRING|SAS_", re.I
)
# What only has such a word in its name, or is too short to be found in a text without hitting others.
_NO_SECRETS = re.compile(r"_(URL|URI|PATH|FILE|ID)$", re.I)
LEAST_SECRET_LETTERS = 6
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
# Tells the program (components/control_plane.py) that nothing may depend on control plane and gate.
GUARDS_LEFT = "DATABRICKS_CICD_GUARDS_LEFT"


class PulumiError(RefusedError):
    """The engine has begun and failed. `plan` is what it had told until then, `reasons` are its words."""

    def __init__(self, what: str, reasons: list[str], plan: Plan) -> None:
        self.plan = plan
        self.reasons = tuple(reasons)
        remedy = "correct what is named, and repeat"
        super().__init__([Mistake(key=what, found=reason, remedy=remedy) for reason in reasons])


class Pulumi:
    """A stack of a project.

    Args:
        project: the folder with Pulumi.yaml. Pulumi writes into its stack files, so an artifact needs a copy.
        stack: the stack's name.
        environment: all variables of the process; by default this process's.
    """

    def __init__(self, project: Path, stack: str, environment: Mapping[str, str] | None = None) -> None:
        self.project = project
        self.stack = stack
        self._environment = {
            **(os.environ if environment is None else environment),
            "PULUMI_DEBUG_COMMANDS": "true",  # without it there is no --event-log
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            GUARDS_LEFT: "",  # whatever this process has
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def preview(self, *, refresh: bool = False, exclude: Sequence[str] = (), progress: Progress | None = None) -> Plan:
        """What `up` would do. Changes nothing.

        Args:
            refresh: ask the services first what is there, rather than believe the state.
            exclude: what is left as it is, whatever the program says: URNs, in which `**` is any text. Control plane
                and gate must be among it.
            progress: hears how far it is.

        Raises:
            PulumiError: the engine fails, or refuses: for example to delete what is protected.
            UnusableError: it doesn't even begin: no `pulumi`, no such stack, the backend can't be reached.
        """
        return self._watched(["preview", *options(refresh, exclude)], hear_looked_at(progress), bool(exclude))

    def refresh_preview(self, progress: Progress | None = None) -> Plan:
        """How the services differ from the state: what `refresh` would take over. Changes nothing; raises likewise."""
        return self._watched(["refresh", "--preview-only"], hear_looked_at(progress))

    def up(
        self,
        progress: Progress | None = None,
        *,
        refresh: bool = False,
        exclude: Sequence[str] = (),
        after: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> Plan:
        """Brings the stack to what the program says, without another preview; gives the steps that were made.

        Args:
            progress: hears of each resource that was changed.
            refresh: ask the services first what is there, rather than believe the state.
            exclude: as in `preview`.
            after: is given the metadata of each step that is done.

        Raises:
            PulumiError: it has failed on the way; what was done is in its `plan`, and in the stack's state.
            UnusableError: as in `preview`.
        """
        arguments = ["up", "--yes", "--skip-preview", *options(refresh, exclude)]
        return self._watched(arguments, hear_done(progress, after), bool(exclude))

    def cancel(self) -> None:
        """Takes the stack's lock away: for an update that was killed. Raises as `outputs`."""
        self._answer("cancel", "--yes")

    def outputs(self) -> dict[str, Any]:
        """What the stack exports; secrets are not shown.

        Raises:
            UnusableError: as in `preview`.
        """
        return dict(json.loads(self._answer("stack", "output", "--json")))

    def config(self, key: str) -> Any:
        """The value of a setting, with the defaults of Pulumi.yaml; None where there is none. Secrets are not shown.

        Args:
            key: with the namespace, `databricks-cicd:workspace`.

        Raises:
            UnusableError: as in `preview`.
        """
        told = json.loads(self._answer("config", "--json")).get(key)
        if not told:
            return None
        return told["objectValue"] if "objectValue" in told else told.get("value")

    def masked(self, text: str) -> str:
        """The text without the secrets of the environment."""
        return masker(self._environment)(text)

    def _answer(self, *arguments: str) -> str:
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
            process = self.start(arguments, stdout=subprocess.PIPE, stderr=said)
            answer, _ = process.communicate()
            if process.returncode:
                said.seek(0)
                raise self._unusable(" ".join(arguments), said.read())
        return answer

    def _watched(
        self, arguments: list[str], hear: Callable[[Mapping[str, Any]], None], guards_left: bool = False
    ) -> Plan:
        """Runs the engine, and hears each event as it comes."""
        with tempfile.TemporaryDirectory() as scratch:
            log, said = Path(scratch, "events"), Path(scratch, "said")
            with said.open("wb") as sink:
                process = self.start(arguments, log=log, guards_left=guards_left, stdout=sink, stderr=subprocess.STDOUT)
            events = heard(process, log, hear)
            words = said.read_text(encoding="utf-8", errors="replace")
        return self.judged(arguments[0], events, words, process.returncode)

    def judged(self, what: str, events: Sequence[Mapping[str, Any]], words: str, code: int) -> Plan:
        """What the engine has told, without secrets.

        Args:
            what: the command.
            events: its events.
            words: what it has said besides.
            code: its exit code.

        Raises:
            PulumiError: it has begun, and failed.
            UnusableError: it didn't even begin.
        """
        told = json.loads(self.masked(json.dumps(events, ensure_ascii=False)))
        if not any("resourcePreEvent" in event for event in told) and code:
            raise self._unusable(what, "\n".join(errors_of(told)) or words)
        if code:
            reasons = errors_of(told) or [self.masked(words).strip()]
            raise PulumiError(f"pulumi {what} --stack {self.stack}", reasons, plan_of(told))
        return plan_of(told)

    def start(
        self,
        arguments: Sequence[str],
        *,
        log: Path | None = None,
        guards_left: bool = False,
        environment: Mapping[str, str] | None = None,
        **streams: Any,
    ) -> "subprocess.Popen[str]":
        """Starts `pulumi` in the project, for the stack.

        Args:
            arguments: the command, and its options.
            log: where it writes its events.
            guards_left: whether control plane and gate are left as they are.
            environment: variables besides.
            streams: of the process. Without any, it can't read.

        Raises:
            UnusableError: there is no `pulumi`.
        """
        command = ["pulumi", *arguments, "--stack", self.stack, "--color", "never"]
        command += ["--event-log", str(log), "--suppress-progress"] if log else []
        command += [] if "stdin" in streams else ["--non-interactive"]
        left = {GUARDS_LEFT: "true"} if guards_left else {}
        try:
            return subprocess.Popen(  # noqa: S603 - pulumi, with our own arguments and a stack's name
                command,
                cwd=self.project,
                env={**self._environment, **left, **(environment or {})},
                text=True,
                **{"stdin": subprocess.DEVNULL, **streams},
            )
        except FileNotFoundError:
            remedy = "install it (https://www.pulumi.com/docs/iac/download-install/) and put it on the PATH"
            raise UnusableError("pulumi", "it isn't there", remedy) from None

    def _unusable(self, what: str, words: str) -> UnusableError:
        # Before the engine has read its options, it writes in colours.
        said = self.masked(_COLOURS.sub("", words)).strip().removeprefix("error: ") or "it says nothing"
        remedy = "see whether you are signed in (pulumi whoami) and whether the stack is there (pulumi stack ls)"
        return UnusableError(f"pulumi {what} --stack {self.stack}", said, remedy)


def masker(environment: Mapping[str, str]) -> Callable[[str], str]:
    """What puts *** in the place of each value of a variable that by its name holds a credential."""
    secrets = {
        value
        for name, value in environment.items()
        if _SECRET_NAMES.search(name) and not _NO_SECRETS.search(name) and len(value) >= LEAST_SECRET_LETTERS
    }
    # As they are, and as JSON spells them; the longest first.
    spelled = [(each, json.dumps(each, ensure_ascii=False)[1:-1]) for each in sorted(secrets, key=len, reverse=True)]

    def masked(text: str) -> str:
        for plain, in_json in spelled:
            text = text.replace(plain, "***").replace(in_json, "***")
        return text

    return masked


def options(refresh: bool, exclude: Sequence[str]) -> list[str]:
    """How `pulumi` is told to ask the services first, and what is left as it is."""
    return [*(["--refresh"] if refresh else []), *(f"--exclude={each}" for each in exclude)]

"""`test`: runs a release's suites as jobs in the test environment, all together, and fails as they fail.

Each suite is a job of the stack (`functional (test)`) whose notebook runs pytest and leaves `junit.xml` and
`summary.json` in the volume of results, whether tests fail or not. A suite has succeeded when its run has, and its
summary says that tests were run and that none failed: a run without results shows nothing.
"""

import argparse
import contextlib
import json
import signal
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from delivery.commands import Add
from delivery.console import Mistake, Progress, RefusedError, UnusableError, shortened, tell
from delivery.later import Client, errors, requests
from delivery.stack import Stack, read_stack, workspace_client

if TYPE_CHECKING:
    from databricks.sdk.service.jobs import Run

SUITES = ("functional", "integration", "performance")
SECONDS_BETWEEN_LOOKS = 2.0

TEXT = """\
Run the suites of a release in the test environment: start their jobs, all together, follow them to their end, fetch
their results from the volume (TEST-<suite>.xml in JUnit's format and <suite>.json), and fail as they fail. The first
line names the tests that failed.

When it is interrupted it cancels the runs that it has started. Credentials are those of the Databricks client
(DATABRICKS_HOST, DATABRICKS_AUTH_TYPE and so on).
"""
CODES = """\
exit codes:
  0  every suite has succeeded
  1  tests failed, or a suite has ended without results
  2  wrong usage, no such job, or the workspace can't be reached
"""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A test that failed, with the first lines of why."""

    test: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a suite ended.

    Args:
        suite: its name.
        run_id, run_page: the job's run.
        result: of the run, as Databricks calls it: `SUCCESS`, `FAILED`, `TIMEDOUT`, `CANCELED` and the like.
        passed, failed, skipped: numbers of tests.
        seconds: that the tests took.
        failures: the tests that failed.
        problem: what is wrong beside failed tests; None if nothing is.
        figures: what the suite has measured.
        files: the results that were fetched.
    """

    suite: str
    run_id: int
    run_page: str
    result: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    failures: tuple[Failure, ...] = ()
    problem: str | None = None
    figures: dict[str, Any] = field(default_factory=dict)
    files: tuple[str, ...] = ()

    @property
    def succeeded(self) -> bool:
        """Whether the release may go on."""
        return self.result == "SUCCESS" and self.problem is None and not self.failed

    @property
    def line(self) -> str:
        """In one line."""
        if self.succeeded:
            return f"{self.suite}: {self.passed} tests passed in {self.seconds:.0f} s"
        names = ", ".join(failure.test for failure in self.failures)
        if self.problem is None:
            return f"{self.suite}: {self.failed} of {self.passed + self.failed} tests failed: {names}"
        return f"{self.suite}: {self.problem}{f'; failed: {names}' if names else ''}"


def add_parser(add: Add) -> None:
    """The command line of `test`."""
    made = add("test", _command, "the suites of a release, as jobs in the test environment", TEXT, CODES)
    made.add_argument(
        "--suite", action="append", required=True, choices=SUITES, help="which; may be given several times"
    )
    made.add_argument("--stack", default="test", help="the stack whose jobs they are (test)")
    made.add_argument("--results", type=Path, required=True, help="the folder for the results; made when missing")
    made.add_argument("--project", type=Path, default=Path(), help="the folder with Pulumi.yaml (this one)")


def _command(options: argparse.Namespace) -> int:
    stack = read_stack(options.project, options.stack)
    suites = tuple(dict.fromkeys(options.suite))
    outcomes = run_suites(workspace_client(stack), stack, suites, options.results, Progress())
    failed = [each for each in outcomes if not each.succeeded]
    lines = [each.line for each in (*failed, *(each for each in outcomes if each.succeeded))]
    for outcome in failed:
        for failure in outcome.failures:
            lines += ["", f"{outcome.suite}: {failure.test}", *(f"  {line}" for line in failure.message.splitlines())]
        lines += ["", f"{outcome.suite}: {outcome.run_page}"]
    document = {"succeeded": not failed, "suites": [{**asdict(each), "succeeded": each.succeeded} for each in outcomes]}
    tell(shortened(lines), document, as_json=options.json)
    return 1 if failed else 0


def run_suites(
    client: Client,
    stack: Stack,
    suites: Sequence[str],
    results: Path,
    progress: Progress,
    *,
    pause: float = SECONDS_BETWEEN_LOOKS,
) -> list[Outcome]:
    """Runs them to their end.

    Args:
        client: of the workspace.
        stack: whose jobs they are.
        suites: which, each once.
        results: the folder for what they leave.
        progress: hears of every change.
        pause: seconds between two looks.

    Raises:
        RefusedError: a job isn't there, or is there twice.
        UnusableError: the workspace can't be asked.
    """
    results.mkdir(parents=True, exist_ok=True)
    with _told_plainly():
        jobs = _jobs(client, stack, suites)
        started: dict[str, int] = {}
        with _canceled_unless_followed(client, started, progress):
            for suite, job_id in jobs.items():
                # The token makes one run of a request that a broken connection has sent twice.
                token = uuid.uuid4().hex
                started[suite] = int(client.jobs.run_now(job_id, idempotency_token=token).run_id)
                progress.step(f"{suite}: run {started[suite]} of job {job_id} is started")
            ended = _follow(client, started, progress, pause)
        return [_outcome(client, suite, ended[suite], results) for suite in suites]


def _jobs(client: Client, stack: Stack, suites: Sequence[str]) -> dict[str, int]:
    """The jobs' ids. All are looked for before one is started."""
    found: dict[str, int] = {}
    problems = []
    for suite in suites:
        name = f"{suite} ({stack.environment})"  # as components/naming.py says
        ids = [each.job_id for each in client.jobs.list(name=name) if each.job_id is not None]
        if len(ids) == 1:
            found[suite] = ids[0]
        elif ids:
            told = f"there are several of that name: {', '.join(map(str, ids))}"
            problems.append(Mistake(key=f"job '{name}'", found=told, remedy="delete those that the stack hasn't made"))
        else:
            remedy = f"deploy stack '{stack.name}' first; its setting jobOverrides has the suites"
            problems.append(Mistake(key=f"job '{name}'", found="this identity sees none", remedy=remedy))
    if problems:
        raise RefusedError(problems)
    return found


def _follow(client: Client, running: dict[str, int], progress: Progress, pause: float) -> dict[str, "Run"]:
    """The runs when they have ended; each is taken from `running` then."""
    ended: dict[str, Run] = {}
    told: dict[str, str] = {}
    while running:
        for suite, run_id in list(running.items()):
            run = client.jobs.get_run(run_id)
            state = _state(run)
            if state == "TERMINATED":
                ended[suite] = run
                del running[suite]
                progress.step(f"{suite}: {_result(run)}")
            elif told.get(suite) != state:
                first = suite not in told
                told[suite] = state
                progress.step(f"{suite}: {state.lower()}{f', {run.run_page_url}' if first else ''}")
        if running:
            time.sleep(pause)
    return ended


@contextmanager
def _canceled_unless_followed(client: Client, started: dict[str, int], progress: Progress) -> Iterator[None]:
    """Ends the runs when this command doesn't see their end: an agent cancels it, Ctrl-C, a workspace that is gone.

    An agent that cancels sends SIGINT and, some seconds later, SIGTERM.
    """

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    except BaseException:
        for suite, run_id in started.items():
            progress.step(f"{suite}: run {run_id} is canceled")
            with contextlib.suppress(errors.base.DatabricksError, requests.RequestException, TimeoutError):
                client.jobs.cancel_run(run_id)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _outcome(client: Client, suite: str, run: "Run", results: Path) -> Outcome:
    told = {each.name: each.value or each.default or "" for each in run.job_parameters or []}
    volume = told.get("volume") or f"/Volumes/{told.get('catalog')}/{told.get('schema')}/results"
    folder = f"{volume}/{suite}/{run.run_id}"
    run_id, page, result = int(run.run_id or 0), run.run_page_url or "", _result(run)
    fetched = []
    for name, target in (("junit.xml", f"TEST-{suite}.xml"), ("summary.json", f"{suite}.json")):
        (results / target).unlink(missing_ok=True)  # of a run before
        if _fetch(client, f"{folder}/{name}", results / target):
            fetched.append(target)
    known = _summary(results / f"{suite}.json")
    problem = None if known and len(fetched) == 2 else f"there are no results in {folder}"
    failed = int(known.get("failed", 0))
    if known and not failed and not known.get("passed"):
        problem = "no test was run"
    if result != "SUCCESS" and not failed:
        problem = f"the run ended with {result}: {_why(client, run)}"
    return Outcome(
        suite=suite,
        run_id=run_id,
        run_page=page,
        result=result,
        passed=int(known.get("passed", 0)),
        failed=failed,
        skipped=int(known.get("skipped", 0)),
        seconds=float(known.get("seconds", 0)),
        failures=tuple(Failure(test=each["test"], message=each["message"]) for each in known.get("failures", ())),
        problem=problem,
        figures=known.get("figures", {}),
        files=tuple(fetched),
    )


def _summary(path: Path) -> dict[str, Any]:
    """What the suite says of itself; nothing if it was cut off while it wrote that."""
    try:
        read = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}


def _fetch(client: Client, path: str, target: Path) -> bool:
    try:
        contents = client.files.download(path).contents
    except errors.NotFound:
        return False
    if contents is None:
        return False
    with contents:
        target.write_bytes(contents.read())
    return True


def _why(client: Client, run: "Run") -> str:
    """The first line of what the run's failed task says."""
    for task in run.tasks or []:
        if task.run_id is None or task.state is None or not task.state.result_state:
            continue
        if task.state.result_state.value != "SUCCESS":
            error = client.jobs.get_run_output(task.run_id).error or task.state.state_message or ""
            if error:
                return error.splitlines()[0]
    message = run.state.state_message if run.state else None
    return message or "it doesn't say why"


def _state(run: "Run") -> str:
    state = run.status.state if run.status else None
    return state.value if state else "UNKNOWN"


def _result(run: "Run") -> str:
    result = run.state.result_state if run.state else None
    return result.value if result else "UNKNOWN"


@contextmanager
def _told_plainly() -> Iterator[None]:
    """What the client raises, as an error of the commands. It has repeated what may be repeated, for five minutes."""
    try:
        yield
    except errors.base.DatabricksError as error:
        words = " ".join(str(error).split())
        remedy = "see what it names; the identity needs CAN_MANAGE_RUN on the jobs and READ VOLUME on the results"
        raise UnusableError("Databricks", words, remedy) from None
    except (requests.RequestException, TimeoutError) as error:
        words = " ".join(str(error).split())
        raise UnusableError("Databricks", words, "see whether the workspace can be reached, then repeat") from None

"""One job, from its first step to its last, as Azure's agent carries it out.

https://github.com/microsoft/azure-pipelines-agent/blob/master/src/Agent.Worker/JobRunner.cs and
https://learn.microsoft.com/azure/devops/pipelines/process/runs#run-each-step. A deployment job runs its hooks one after
the other, each with variables of its own, as the service makes a job of each of them:
https://learn.microsoft.com/azure/devops/pipelines/process/deployment-jobs#descriptions-of-lifecycle-hooks
"""

import contextlib
import platform
import threading
import time
import traceback
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from rehearsal.agent.client import AgentClient, RestClient, ServiceAwayError, ServiceRefusalError
from rehearsal.agent.context import Cancellation, JobContext, PostStep, Settings, worse
from rehearsal.agent.directories import AgentDirectories, JobDirectories, remove
from rehearsal.agent.feed import Feed, Record, now
from rehearsal.agent.job_variables import VERSION, job_variables
from rehearsal.agent.language.conditions import Result
from rehearsal.agent.language.plan import CheckoutStep, Hook, Step
from rehearsal.agent.masking import SecretMasker
from rehearsal.agent.messages import JobRequest
from rehearsal.agent.processes import end_marked
from rehearsal.agent.steps import run_step
from rehearsal.agent.tasks.running import title, work_of

_HEARTBEAT_SECONDS = 2.0
_LOOK_SECONDS = 0.2  # so often a job is held against its time
_LOST = "The service has given up this job."


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The agent that runs jobs. `base` is the environment that steps get, `mark` what its processes are known by."""

    name: str
    client: AgentClient
    directories: AgentDirectories
    base: Mapping[str, str]
    settings: Settings
    mark: str


@dataclass(frozen=True, slots=True)
class _Planned:
    step: Step
    record: Record


def run_job(machine: Machine, request: JobRequest, stopping: threading.Event) -> Result:
    """Carries out a job and tells the service how it goes.

    Args:
        machine: the agent.
        request: the job.
        stopping: set when the agent is to end: the job is then canceled at once, without its last steps.
    """
    return _Run(machine, request).run(stopping)


class _Run:
    def __init__(self, machine: Machine, request: JobRequest) -> None:
        self._machine = machine
        self._request = request
        self._masker = SecretMasker()
        self._masker.add(request.token)
        self._cancellation = Cancellation(request.cancel_timeout_minutes * machine.settings.minute)
        self._feed = Feed(machine.client, request.id, self._masker, self._abandon)
        self._order = 0
        self._abandoned = False
        self._outputs: dict[str, object] = {}
        self._several = len({each.repository for each in self._checkouts() if each.repository != "none"}) > 1

    def run(self, stopping: threading.Event) -> Result:
        ended = threading.Event()
        threads = [
            threading.Thread(target=self._heartbeat, args=(ended,), daemon=True),
            threading.Thread(target=self._watch, args=(ended, stopping), daemon=True),
        ]
        for thread in threads:
            thread.start()
        result: Result = "Failed"
        try:
            result = self._carry_out()
        except ServiceAwayError:
            self._abandon()
        except Exception:  # noqa: BLE001 - a fault of the agent: the job says so, and the agent goes on
            self._tell_fault(traceback.format_exc())
        finally:
            end_marked(self._mark())
            # Cleaned after each job, as documented for Agent.TempDirectory: scripts and sign-ins have been there.
            with contextlib.suppress(OSError):
                remove(self._machine.directories.temp)
            ended.set()
            for thread in threads:
                thread.join()
            self._finish(result)
        return result

    # -- how the job stands with the service

    def _heartbeat(self, ended: threading.Event) -> None:
        while True:
            try:
                if self._machine.client.heartbeat(self._request.id):
                    self._cancellation.ask("The job was canceled.")
            except ServiceRefusalError:
                self._abandon()
                return
            except ServiceAwayError:
                pass  # it may come back; whether it still wants the job is asked again
            if ended.wait(_HEARTBEAT_SECONDS):
                return

    def _watch(self, ended: threading.Event, stopping: threading.Event) -> None:
        """Ends the job when its time is over, or when the agent is to end."""
        minutes = self._request.timeout_minutes
        until = time.monotonic() + minutes * self._machine.settings.minute if minutes else None
        while not ended.wait(_LOOK_SECONDS):
            if stopping.is_set():
                self._cancellation.ask(
                    "The agent has received a shutdown signal. This can happen when the agent service is stopped, or a "
                    "manually started agent is canceled.",
                    at_once=True,
                )
                return
            if until is not None and time.monotonic() >= until:
                self._cancellation.ask(
                    f"The job running on agent {self._machine.name} ran longer than the maximum time of {minutes} "
                    "minutes. For more information, see https://go.microsoft.com/fwlink/?linkid=2077134"
                )
                until = None

    def _abandon(self) -> None:
        self._abandoned = True
        self._cancellation.ask(_LOST, at_once=True)

    def _tell_fault(self, text: str) -> None:
        record = self._record("The agent's own fault")
        self._begin(record)
        self._feed.line(record.id, text)
        record.add_issue("error", self._masker.mask(text.strip().splitlines()[-1]))
        self._end(record, "Failed")

    def _finish(self, result: Result) -> None:
        try:
            self._feed.close()
            if not self._abandoned:
                self._machine.client.finish(self._request.id, result, self._outputs)
        except (ServiceAwayError, ServiceRefusalError):
            self._abandoned = True  # the service has noticed by itself, or will

    # -- the job

    def _mark(self) -> str:
        return f"{self._machine.mark}/{self._request.id}"

    def _parts(self) -> list[tuple[Step, ...]]:
        hooks = [hook.steps for hook in self._request.hooks]
        return hooks if self._request.hooks else [self._request.steps]

    def _checkouts(self) -> list[CheckoutStep]:
        return [each for part in self._parts() for each in part if isinstance(each, CheckoutStep) and each.enabled]

    def _carry_out(self) -> Result:
        first = self._record("Initialize job")
        parts = [self._planned(part) for part in self._parts()]
        directories = self._initialize(first)
        if directories is None:
            return "Failed"
        result: Result = "Succeeded"
        for part in parts:
            result = worse(result, self._part(part, directories))
            if result in ("Failed", "Canceled"):
                break
            directories = self._fresh(directories, part is not parts[-1])
        for left in (each.record for part in parts for each in part if each.record.state == "pending"):
            left.state, left.result = "completed", "skipped"
            self._feed.update(left)
        # A cancelled job goes no further; what the service does with `on: failure` then isn't documented.
        last: Hook | None = None
        if result in ("Succeeded", "SucceededWithIssues"):
            last = self._request.on_success
        elif result == "Failed":
            last = self._request.on_failure
        if last is not None:
            result = worse(result, self._part(self._planned(last.steps), self._fresh(directories, True)))
        final = self._record("Finalize Job")
        self._begin(final)
        self._feed.line(final.id, "Cleaning up task key")
        self._feed.line(final.id, "Start cleaning up orphan processes.")
        for name in end_marked(self._mark()):
            self._feed.line(final.id, f"Terminate orphan process: {name}")
        self._end(final, "Succeeded")
        return result

    def _initialize(self, record: Record) -> JobDirectories | None:
        self._begin(record)
        lines = [
            f"Agent name: '{self._machine.name}'",
            f"Agent machine name: '{platform.node()}'",
            f"Current agent version: '{VERSION}'",
            f"Agent running as: '{self._machine.base.get('USER', '')}'",
            "Prepare build directory.",
        ]
        for line in lines:
            self._feed.line(record.id, line)
        request = self._request
        try:
            directories = self._machine.directories.of_job(
                f"{request.project.id}/{request.definition.id}", request.workspace_clean
            )
        except OSError as error:
            self._feed.line(record.id, f"##[error]{error}")
            record.add_issue("error", str(error))
            self._end(record, "Failed")
            return None
        self._feed.line(record.id, f"Job preparation parameters: {directories.workspace}")
        self._end(record, "Succeeded")
        return directories

    def _fresh(self, directories: JobDirectories, needed: bool) -> JobDirectories:
        """The folders as the next hook finds them: each is a job, and begins with what a job begins with."""
        if not needed:
            return directories
        request = self._request
        return self._machine.directories.of_job(f"{request.project.id}/{request.definition.id}", None)

    def _part(self, planned: list[_Planned], directories: JobDirectories) -> Result:
        """Steps that share their variables: those of a job, or of a hook."""
        request, machine, client = self._request, self._machine, self._machine.client
        organization = request.predefined.get("System.CollectionUri", client.organization).rstrip("/")
        rest = RestClient(organization, request.project.id, request.token, client.patience)
        job = JobContext(
            request=request,
            settings=machine.settings,
            directories=directories,
            client=client,
            rest=rest,
            feed=self._feed,
            masker=self._masker,
            cancellation=self._cancellation,
            base=machine.base,
            mark=self._mark(),
            variables=job_variables(request, machine.name, machine.directories, directories),
            outputs=self._outputs,
        )
        for value in request.secrets.values():
            self._masker.add(value)
        job.hide_secrets()
        job.set_status("Succeeded")
        try:
            for each in planned:
                run_step(job, each.step, each.record, several=self._several)
            for post in reversed(job.post):
                self._post(job, post)
        finally:
            rest.close()
        return job.status

    def _post(self, job: JobContext, post: PostStep) -> None:
        record = self._record(post.name)
        self._begin(record)
        try:
            post.run(job, record)
        except OSError as error:
            self._feed.line(record.id, f"##[warning]{error}")
            record.add_issue("warning", self._masker.mask(str(error)))
        self._end(record, "Succeeded")

    # -- records

    def _record(self, name: str) -> Record:
        self._order += 1
        record = Record(id=str(uuid.uuid4()), name=name, order=self._order, worker=self._machine.name)
        self._feed.update(record)
        return record

    def _planned(self, steps: tuple[Step, ...]) -> list[_Planned]:
        """The steps that may run, with their records. One that is switched off is as if it weren't there."""
        planned, names = [], set[str]()
        for step in steps:
            if not step.enabled or (isinstance(step, CheckoutStep) and step.repository == "none"):
                continue
            name = step.display_name or title(step, self._request, several=self._several)
            record = self._record(self._masker.mask(name))
            work = work_of(step)
            if work is not None:
                record.task = {"name": work.task.name, "version": f"{work.task.version}.0.0", "id": work.task.name}
                record.ref_name = step.name or _unused(work.task.name, names)
                names.add(record.ref_name)
            planned.append(_Planned(step, record))
        return planned

    def _begin(self, record: Record) -> None:
        record.state, record.start_time = "inProgress", now()
        self._feed.update(record)
        self._feed.line(record.id, f"##[section]Starting: {record.name}")

    def _end(self, record: Record, result: Result) -> None:
        self._feed.line(record.id, f"##[section]Finishing: {record.name}")
        record.state, record.finish_time = "completed", now()
        record.result = result[0].lower() + result[1:]
        self._feed.update(record)


def _unused(name: str, names: set[str]) -> str:
    """The name of a step that was given none: the task's. How the service names the next ones isn't known."""
    candidates = (name, *(f"{name}{number}" for number in range(1, len(names) + 2)))
    return next(each for each in candidates if each not in names)

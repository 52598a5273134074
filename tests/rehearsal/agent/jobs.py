"""Jobs for tests: written as YAML, compiled as the service does it, run by an agent."""

import textwrap
import threading
import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rehearsal.agent.client import AgentClient, Patience
from rehearsal.agent.context import Settings
from rehearsal.agent.directories import AgentDirectories
from rehearsal.agent.job import Machine, run_job
from rehearsal.agent.language.compiler import compile_pipeline
from rehearsal.agent.language.conditions import Result
from rehearsal.agent.language.plan import DeploymentJob, RegularJob
from rehearsal.agent.messages import (
    Definition,
    Environment,
    JobRequest,
    PipelineRun,
    Project,
    Repository,
    output_prefix,
)

from .fake_service import AGENT_TOKEN, FakeService

JOB_TOKEN = "jobtokenjobtokenjobtoken"
FAST = Settings(minute=1.0, sigint_seconds=0.5, sigterm_seconds=0.5, retry_pause=0.01)
"""A minute of a timeout is a second."""


def job_of(yaml: str, **changes: Any) -> JobRequest:
    """The first job of a pipeline, ready for an agent."""
    plan = compile_pipeline("p.yml", {"p.yml": textwrap.dedent(yaml)}.get)
    stage = plan.stages[0]
    job = stage.jobs[0]
    regular = job if isinstance(job, RegularJob) else None
    deployment = job if isinstance(job, DeploymentJob) else None
    request = JobRequest(
        id="4d1bdfb6-0000-4000-8000-000000000001",
        attempt=1,
        name=job.name,
        display_name=job.display_name,
        stage=stage.name,
        project=Project(id="p-1", name="notebooks"),
        run_id=7,
        definition=Definition(id=3, name="build", folder="\\"),
        token=JOB_TOKEN,
        predefined={"Build.BuildId": "7", "Build.SourceBranch": "refs/heads/main", "System.TeamProject": "notebooks"},
        variables=(*plan.variables, *stage.variables, *job.variables),
        repositories={},
        steps=regular.steps if regular else (),
        hooks=deployment.hooks if deployment else (),
        on_success=deployment.on_success if deployment else None,
        on_failure=deployment.on_failure if deployment else None,
        output_prefix=output_prefix(job, None),
        timeout_minutes=job.timeout_minutes,
        cancel_timeout_minutes=job.cancel_timeout_minutes,
        workspace_clean=job.workspace_clean,
        environment=Environment(id=1, name="test") if deployment else None,
    )
    return replace(request, **changes)


class Bench:
    """Runs jobs one after the other, as one agent would."""

    def __init__(self, service: FakeService, url: str, folder: Path, environment: Mapping[str, str]) -> None:
        self.service = service
        self.url = url
        self.folder = folder
        self.client = AgentClient(url, AGENT_TOKEN, Patience(5))
        self.directories = AgentDirectories(folder / "agent", folder / "tools")
        self.environment = dict(environment)
        self.settings = FAST
        self.stopping = threading.Event()
        self.mark = f"vsts_{uuid.uuid4().hex}"  # its own: tests run beside each other

    @property
    def machine(self) -> Machine:
        return Machine(
            name="rehearsal-1",
            client=self.client,
            directories=self.directories,
            base=self.environment,
            settings=self.settings,
            mark=self.mark,
        )

    def run(self, yaml: str | JobRequest, **changes: Any) -> Result:
        """Runs a job to its end."""
        request = job_of(yaml, **changes) if isinstance(yaml, str) else yaml
        run_job(self.machine, request, self.stopping)
        result: Result = self.service.finished[request.id]["result"]
        return result

    def begin(self, yaml: str, **changes: Any) -> threading.Thread:
        """Runs a job in the background."""
        thread = threading.Thread(target=run_job, args=(self.machine, job_of(yaml, **changes), self.stopping))
        thread.start()
        return thread

    @property
    def outputs(self) -> dict[str, Any]:
        [finished] = self.service.finished.values()
        outputs: dict[str, Any] = finished["outputs"]
        return outputs

    @property
    def workspace(self) -> Path:
        """`Pipeline.Workspace` of the first pipeline."""
        return self.folder / "agent" / "_work" / "1"

    def close(self) -> None:
        self.client.close()


def repository(url: str, commit: str, ref: str = "refs/heads/main") -> Repository:
    return Repository(id="r-1", name="notebooks", url=url, default_branch="refs/heads/main", ref=ref, commit=commit)


def pipeline_run(run_id: int) -> PipelineRun:
    return PipelineRun(
        project_id="p-1",
        definition_id=2,
        definition_name="build",
        run_id=run_id,
        number="20261124.1",
        branch="refs/heads/main",
        commit="0" * 40,
    )

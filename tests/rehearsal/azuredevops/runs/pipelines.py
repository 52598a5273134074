"""What tests of runs do over and over: files, definitions, runs, and an agent that does what it is told."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from rehearsal.agent.messages import JobRequest
from rehearsal.azuredevops import create_app
from rehearsal.azuredevops.users import ADMINISTRATOR, AGENT
from rehearsal.service import Background
from tests.rehearsal.azuredevops.organization import CONTROL_TOKEN, CREDENTIALS, Organization, commit, git

PATIENCE = 60.0  # seconds for what happens within one; the machine may do other work


def until(ask: Callable[[], Any], what: str) -> Any:
    """Asks until the answer is something; what it should have been stands in the failure."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = ask()
        if found:
            return found
        time.sleep(0.03)
    raise AssertionError(f"{what}: not within {PATIENCE} s")


@contextmanager
def orchestrated_organization(state: Path, agent_timeout: float) -> Iterator[Organization]:
    """The service, which carries runs out and gives agents up after so many seconds."""
    app = create_app(
        state, control_token=CONTROL_TOKEN, credentials=CREDENTIALS, orchestrate=True, agent_timeout=agent_timeout
    )
    with Background(app) as root:
        yield Organization(root)
    app.close()


@dataclass
class Agent:
    """An agent that carries nothing out: tests say what became of each job."""

    organization: Organization
    name: str = "agent-1"
    pool: str | None = None

    def __post_init__(self) -> None:
        self.http = httpx.Client(
            base_url=f"{self.organization.url}/_agent",
            headers={"Authorization": f"Bearer {CREDENTIALS[AGENT]}"},
            timeout=30,
        )

    def next(self) -> JobRequest:
        """The next job; waits for it."""

        def ask() -> JobRequest | None:
            answer = self.http.post("/next", json={"agent": self.name, "pool": self.pool})
            assert answer.status_code in (200, 204), answer.text
            return JobRequest.from_json(answer.json()) if answer.status_code == 200 else None

        job = until(ask, "a job for the agent")
        assert isinstance(job, JobRequest)
        return job

    def call(self, job: JobRequest, what: str, body: object | None = None) -> Any:
        answer = self.http.post(f"/jobs/{job.id}/{what}", json=body or {})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def finish(self, job: JobRequest, result: str = "Succeeded", outputs: dict[str, Any] | None = None) -> None:
        self.call(job, "finish", {"result": result, "outputs": outputs or {}})

    def work(self, *names: str, result: str = "Succeeded") -> list[JobRequest]:
        """Takes as many jobs as names are given, and ends them so; they must be these, in this order."""
        done = []
        for name in names:
            job = self.next()
            assert job.name == name
            self.finish(job, result)
            done.append(job)
        return done


@dataclass(frozen=True)
class Pipelines:
    """A project with its repository."""

    organization: Organization
    project: Any
    folder: Path

    @classmethod
    @contextmanager
    def begun(cls, organization: Organization, folder: Path) -> Iterator["Pipelines"]:
        """A new project with an empty repository, and a work tree of it in a new folder; both go at the end."""
        project = organization.new_project()
        folder.mkdir()
        git(folder, "init", "--quiet", "--initial-branch=main")
        git(folder, "remote", "add", "origin", organization.remote(project.name, project.name.replace(" ", "%20")))
        made = cls(organization, project, folder)
        yield made
        made.delete()  # a job that still waits would go to another test's agent

    def agent(self, name: str = "agent-1", pool: str | None = None) -> Agent:
        return Agent(self.organization, name, pool)

    @property
    def build(self) -> Any:
        """Microsoft's client for builds."""
        return self.organization.clients().get_build_client()

    def http(self, user: str = ADMINISTRATOR) -> httpx.Client:
        """Plain HTTP below the project."""
        client = self.organization.http(user)
        client.base_url = f"{self.organization.url}/{self.project.id}/_apis/"
        return client

    def push(self, files: dict[str, str], message: str = "change", branch: str = "main") -> str:
        """Commits the files and pushes them.

        Returns:
            The commit's id.
        """
        for path, text in files.items():
            made = commit(self.folder, path, text, message)
        git(self.folder, "push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
        return made

    def define(self, name: str, yaml: str | None = None, *, ci: bool = False, **more: Any) -> int:
        """A pipeline with the YAML `name`.yml, which is pushed when its text is given.

        Returns:
            The definition's number.
        """
        if yaml is not None:
            self.push({f"{name}.yml": yaml})
        git_client = self.organization.clients().get_git_client()
        repository = git_client.get_repository(self.project.name, project=self.project.name)
        body = {
            "name": name,
            "process": {"yamlFilename": f"{name}.yml", "type": 2},
            "repository": {"id": repository.id, "type": "TfsGit", "defaultBranch": "refs/heads/main"},
            "triggers": [{"triggerType": "continuousIntegration", "settingsSourceType": 2}] if ci else [],
            **more,
        }
        answer = self.http().post("build/definitions", json=body)
        assert answer.status_code == 200, answer.text
        return int(answer.json()["id"])

    def environment(self, name: str, *permitted: int) -> int:
        """An environment that these pipelines may use.

        Returns:
            Its number.
        """
        made = self.http().post("distributedtask/environments", json={"name": name}).json()
        for definition in permitted:
            self.permit("environment", made["id"], definition)
        return int(made["id"])

    def permit(self, kind: str, id_: object, definition: int) -> None:
        """Lets a pipeline use a resource."""
        body = {"pipelines": [{"id": definition, "authorized": True}]}
        answer = self.http().patch(f"pipelines/pipelinePermissions/{kind}/{id_}", json=body)
        assert answer.status_code == 200, answer.text

    def run(self, definition: int, **body: Any) -> int:
        """Starts a run through the interface of pipelines.

        Returns:
            Its number.
        """
        answer = self.try_to_run(definition, **body)
        assert answer.status_code == 200, answer.text
        return int(answer.json()["id"])

    def try_to_run(self, definition: int, **body: Any) -> httpx.Response:
        """The same, whatever the answer."""
        return self.http().post(f"pipelines/{definition}/runs", json=body)

    def of(self, run: int) -> dict[str, Any]:
        """The run as a build."""
        found: dict[str, Any] = self.http().get(f"build/builds/{run}").json()
        return found

    def ended(self, run: int) -> dict[str, Any]:
        """The run when it has ended."""
        found: dict[str, Any] = until(
            lambda: each if (each := self.of(run))["status"] == "completed" else None, f"the end of run {run}"
        )
        return found

    def result(self, run: int) -> str:
        """How the run ended."""
        return str(self.ended(run)["result"])

    def records(self, run: int, kind: str) -> dict[str, dict[str, Any]]:
        """The records of a kind in the run's timeline, by name."""
        answer = self.http().get(f"build/builds/{run}/timeline").json()
        return {each["name"]: each for each in answer["records"] if each["type"] == kind}

    def results(self, run: int, kind: str = "Stage") -> dict[str, str | None]:
        """How the parts of a run ended."""
        return {name: each["result"] for name, each in self.records(run, kind).items()}

    def cancel(self, run: int) -> None:
        """Asks for the run's end."""
        answer = self.http().patch(f"build/builds/{run}", json={"status": "cancelling"})
        assert answer.status_code == 200, answer.text

    def delete(self) -> None:
        """Takes the project away, with the jobs that wait."""
        core = self.organization.clients().get_core_client()
        assert self.organization.wait(core.queue_delete_project(self.project.id)) == "succeeded"

    def runs_of(self, definition: int) -> list[dict[str, Any]]:
        """The runs of a pipeline, the oldest first."""
        found = self.http().get("build/builds", params={"definitions": definition}).json()["value"]
        return list(reversed(found))

    def first_run_of(self, definition: int, count: int = 1) -> dict[str, Any]:
        """The run with this position, as soon as it is there."""
        found: list[dict[str, Any]] = until(
            lambda: known if len(known := self.runs_of(definition)) >= count else None, f"run {count} of {definition}"
        )
        return found[count - 1]

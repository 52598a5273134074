"""The Azure DevOps stand-in for the commands' tests: projects and pipelines in it, its faults, and a client."""

import io
import time
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from delivery.azure_devops import AzureDevOps
from delivery.azure_devops_builds import Build, get_build, queue_run
from rehearsal.agent.messages import JobRequest
from rehearsal.azuredevops import create_app
from rehearsal.azuredevops.context import fixed_id
from rehearsal.azuredevops.users import ADMINISTRATOR, AGENT, AVERY, KEYS
from rehearsal.service import Background

CREDENTIALS = {key: f"pat-of-{key}" for key in KEYS}
CONTROL_TOKEN = "control-token"
AGILE = "adcc42ab-9882-485e-a3ed-7678f01f66bc"
NOTHING = "0" * 40
PATIENCE = 60.0
"""Seconds after which a test gives up waiting, on a machine that does other work."""
BUILD = """
trigger: none
jobs:
  - job: build
    steps:
      - script: echo package
"""
RELEASE = """
trigger: none
resources:
  pipelines:
    - pipeline: build
      source: build
stages:
  - stage: Test
    jobs:
      - job: to_test
        steps:
          - download: build
            artifact: release
  - stage: Production
    jobs:
      - deployment: to_production
        environment: production
        strategy:
          runOnce:
            deploy:
              steps:
                - script: echo deploy
"""


@dataclass
class Organization:
    """The organisation; `waits` are the seconds that its clients would have slept."""

    root: str
    waits: list[float] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.root}/rehearsal"

    def client(self, project: str, user: str = ADMINISTRATOR, token: str | None = None, **options: Any) -> AzureDevOps:
        return AzureDevOps(self.url, project, token or CREDENTIALS[user], wait=self.waits.append, **options)

    def new_project(self) -> str:
        """A project that is well formed; gives its name."""
        name = f"Project {uuid.uuid4().hex[:8]}"
        client = self.client(name)
        capabilities = {"processTemplate": {"templateTypeId": AGILE}, "versioncontrol": {"sourceControlType": "Git"}}
        operation = client.post("/projects", {"name": name, "capabilities": capabilities})
        while client.get(f"/operations/{operation['id']}")["status"] != "succeeded":
            pass
        return name

    def fault(self, **order: Any) -> None:
        """Orders a fault, see `rehearsal.service.Fault`."""
        self._control("POST", "faults", order)

    def requests(self) -> list[Any]:
        """The requests since the last time."""
        seen: list[Any] = self._control("GET", "requests").json()
        self._control("DELETE", "requests")
        return seen

    def calm(self) -> None:
        """Takes back every fault that wasn't met."""
        self._control("DELETE", "faults")
        self.waits.clear()

    def _control(self, method: str, what: str, body: Any = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {CONTROL_TOKEN}"}
        answer = httpx.request(method, f"{self.root}/_rehearsal/{what}", headers=headers, json=body, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer


class Agent:
    """Takes jobs and ends them as a test says; carries nothing out."""

    def __init__(self, organization: Organization) -> None:
        headers = {"Authorization": f"Bearer {CREDENTIALS[AGENT]}"}
        self._http = httpx.Client(base_url=f"{organization.url}/_agent", headers=headers, timeout=30)

    def close(self) -> None:
        self._http.close()

    def next(self) -> JobRequest:
        """The next job; waits for it."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            answer = self._http.post("/next", json={"agent": "agent-1", "pool": None})
            if answer.status_code == 200:
                return JobRequest.from_json(answer.json())
            assert answer.status_code == 204, answer.text
        raise AssertionError(f"no job within {PATIENCE} s")

    def publish(self, job: JobRequest, name: str, files: dict[str, str]) -> None:
        """Publishes an artifact of the job's run."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for path, text in files.items():
                archive.writestr(path, text)
        answer = self._http.put(f"/jobs/{job.id}/artifacts/{name}", content=packed.getvalue())
        assert answer.status_code == 200, answer.text

    def finish(self, job: JobRequest, result: str = "Succeeded", error: str | None = None) -> None:
        """Ends the job; with `error` its task has that to say."""
        if error is not None:
            record = {"id": "s1", "type": "Task", "name": "Deploy", "order": 1, "state": "completed"}
            record |= {"result": "failed", "issues": [{"type": "error", "message": error}]}
            self._call(job, "timeline", {"records": [record]})
        self._call(job, "finish", {"result": result, "outputs": {}})

    def _call(self, job: JobRequest, what: str, body: object) -> None:
        answer = self._http.post(f"/jobs/{job.id}/{what}", json=body)
        assert answer.status_code == 200, answer.text


class Pipelines:
    """A project with the pipelines `build` and `release`, and an agent that is given the work by hand."""

    def __init__(self, organization: Organization) -> None:
        self.organization = organization
        self.name = organization.new_project()
        self.client = organization.client(self.name)
        [repository] = self.client.get("git/repositories")["value"]
        self._repository = str(repository["id"])
        self._heads: dict[str, str] = {}
        self.push({"build.yml": BUILD, "release.yml": RELEASE})
        self.build_id, self.release_id = self._define("build"), self._define("release")
        made = self.client.post("distributedtask/environments", {"name": "production"}, api_version="7.1-preview.1")
        self._environment = str(made["id"])
        permitted = {"pipelines": [{"id": self.release_id, "authorized": True}]}
        self._patch(f"pipelines/pipelinePermissions/environment/{self._environment}", permitted)
        self.agent = Agent(organization)

    def close(self) -> None:
        """A job that still waits would go to another test's agent."""
        for run in self.client.get("build/builds")["value"]:
            if run["status"] != "completed":
                self.client.patch(f"build/builds/{run['id']}", {"status": "cancelling"})
        self.agent.close()

    def push(self, files: dict[str, str], branch: str = "main") -> str:
        """A commit of these files, which are all new or were pushed to the branch before; gives its id."""
        if branch not in self._heads and self._heads:
            self._heads[branch] = self._heads["main"]
            new = {"name": f"refs/heads/{branch}", "oldObjectId": NOTHING, "newObjectId": self._heads[branch]}
            self.client.post(f"git/repositories/{self._repository}/refs", [new])
        old = self._heads.get(branch, NOTHING)
        commit: dict[str, Any] = {
            "comment": "change",
            "changes": [
                {"changeType": "add", "item": {"path": f"/{path}"}, "newContent": {"content": text}}
                for path, text in files.items()
            ],
        }
        body = {"refUpdates": [{"name": f"refs/heads/{branch}", "oldObjectId": old}], "commits": [commit]}
        made = self.client.post(f"git/repositories/{self._repository}/pushes", body)
        self._heads[branch] = str(made["commits"][0]["commitId"])
        return self._heads[branch]

    def build(self, *, result: str = "Succeeded", artifact: bool = True, branch: str = "main") -> Build:
        """A build of a new commit, to its end."""
        self.push({f"{uuid.uuid4().hex}.txt": "1"}, branch)
        return self.build_again(result=result, artifact=artifact, branch=branch)

    def build_again(self, *, result: str = "Succeeded", artifact: bool = True, branch: str = "main") -> Build:
        """A build of the branch's last commit, to its end."""
        run = queue_run(self.client, self.build_id, branch=f"refs/heads/{branch}", pipelines={})
        job = self.agent.next()
        assert job.run_id == run
        if artifact:
            self.agent.publish(job, "release", {"manifest.json": str(run), "notebooks/a.py": "print(1)\n"})
        self.agent.finish(job, result)
        return self.ended(run)

    def ended(self, run: int) -> Build:
        """The run when it has ended."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            found = get_build(self.client, run)
            assert found is not None
            if found.completed:
                return found
            time.sleep(0.02)
        raise AssertionError(f"run {run} didn't end within {PATIENCE} s")

    def runs_of(self, pipeline: int) -> list[int]:
        """The ids of a pipeline's runs."""
        return [each["id"] for each in self.client.get("build/builds", query={"definitions": pipeline})["value"]]

    def wait_for_approval(self) -> None:
        """From now on production waits for Avery."""
        body = {
            "type": {"id": "8c6f20a7-a545-4486-9777-f762fafe0d4d", "name": "Approval"},
            "settings": {"approvers": [{"id": fixed_id("user", AVERY)}], "minRequiredApprovers": 1},
            "resource": {"type": "environment", "id": self._environment, "name": "production"},
            "timeout": 60,
        }
        self.client.post("pipelines/checks/configurations", body, api_version="7.1-preview.1")

    def approve(self, approval: str) -> None:
        """Avery approves."""
        body = [{"approvalId": approval, "status": "approved"}]
        self.organization.client(self.name, AVERY).patch("pipelines/approvals", body)

    def _define(self, name: str) -> int:
        body = {
            "name": name,
            "process": {"yamlFilename": f"{name}.yml", "type": 2},
            "repository": {"id": self._repository, "type": "TfsGit", "defaultBranch": "refs/heads/main"},
        }
        return int(self.client.post("build/definitions", body)["id"])

    def _patch(self, path: str, body: object) -> None:
        self.client.patch(path, body, api_version="7.1-preview.1")


@contextmanager
def running(state: Path, *, orchestrate: bool = False) -> Iterator[Organization]:
    """The service until the end of the block; with `orchestrate` it carries runs out."""
    app = create_app(
        state, control_token=CONTROL_TOKEN, credentials=CREDENTIALS, orchestrate=orchestrate, agent_timeout=PATIENCE
    )
    try:
        with Background(app) as root:
            yield Organization(root)
    finally:
        app.close()

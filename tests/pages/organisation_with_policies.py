"""A project as the product makes it, as far as the pages show it: policies on main, pipelines, environments.

By plain HTTP: what a test does beside the browser is what any client does.
"""

import io
import time
import uuid
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from rehearsal.azuredevops.context import fixed_id
from rehearsal.azuredevops.users import AGENT
from tests.pages.conftest import Project
from tests.rehearsal.azuredevops.organization import CREDENTIALS, Organization, commit, git, policy_body, scope

MINIMUM_REVIEWERS = "fa4e907d-c16b-4a4c-9dfa-4906e5d171dd"
COMMENTS = "c6a1889d-b943-4856-b76f-9e46bb6b0df2"
MERGE = "fa4e907d-c16b-4a4c-9dfa-4916e5d171ab"
BUILD = "0609b952-1397-4640-95ec-e00a01b2c241"
APPROVAL = "8c6f20a7-a545-4486-9777-f762fafe0d4d"


@dataclass
class Team:
    """A project with a clone of its repository, and everything that a test does with it."""

    organization: Organization
    project: Project
    folder: Path
    repository: str = ""
    definitions: dict[str, int] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """The repository's page."""
        return f"/rehearsal/{self.project.name}/_git/{self.project.name}"

    def call(self, method: str, where: str, json: Any = None, *, user: str = "administrator") -> Any:
        """A request below the project; gives the answer's document."""
        with self.organization.http(user) as client:
            answer = client.request(method, f"/{quote(self.project.name)}/_apis/{where}", json=json)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def remote(self, user: str) -> str:
        return self.organization.remote(self.project.name, quote(self.project.name), user)

    def start(self, files: dict[str, str]) -> None:
        """The first push, of these files."""
        self.folder.mkdir()
        git(self.folder, "init", "--quiet", "--initial-branch=main")
        for path, content in files.items():
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).write_text(content)
        commit(self.folder, "README.md", "# Bikes\n", "first")
        git(self.folder, "push", "--quiet", self.remote("administrator"), "main")
        self.repository = self.call("GET", f"git/repositories/{quote(self.project.name)}")["id"]

    def policy(self, type_id: str, settings: dict[str, Any]) -> None:
        """A policy on main."""
        body = policy_body(type_id, {"scope": scope(self.repository), **settings})
        self.call("POST", "policy/configurations", body)

    def push(self, branch: str, path: str, content: str, *, user: str = "dana", base: str = "main") -> str:
        """A commit on a branch; gives its id."""
        git(self.folder, "fetch", "--quiet", self.remote(user), "+refs/heads/*:refs/remotes/origin/*")
        known = git(self.folder, "branch", "--list", branch).stdout.strip()
        git(self.folder, "checkout", "--quiet", *([branch] if known else ["-b", branch, base]))
        made = commit(self.folder, path, content, f"Change {path}")
        git(self.folder, "push", "--quiet", self.remote(user), branch)
        return made

    def pull(self, branch: str, title: str = "A change", *, user: str = "dana") -> int:
        """A pull request into main; gives its number."""
        body = {"sourceRefName": f"refs/heads/{branch}", "targetRefName": "refs/heads/main", "title": title}
        made = self.call("POST", f"git/repositories/{self.repository}/pullrequests", body, user=user)
        return int(made["pullRequestId"])

    def found(self, pull: int) -> Any:
        """The pull request as the REST interface has it."""
        return self.call("GET", f"git/repositories/{self.repository}/pullrequests/{pull}")

    def pipeline(self, name: str, path: str) -> int:
        """A pipeline of a YAML file; gives its number."""
        body = {
            "name": name,
            "path": "\\",
            "type": "build",
            "process": {"type": 2, "yamlFilename": path},
            "repository": {"id": self.repository, "type": "TfsGit", "defaultBranch": "refs/heads/main"},
            "queue": {"name": "Default"},
            "triggers": [{"triggerType": "continuousIntegration", "settingsSourceType": 2}],
        }
        made = self.call("POST", "build/definitions", body)
        self.definitions[name] = int(made["id"])
        return int(made["id"])

    def environment(self, name: str, *approvers: str, **settings: Any) -> int:
        """An environment that every pipeline may use; with approvers, one with an approval. Gives its number."""
        made = self.call("POST", "distributedtask/environments", {"name": name, "description": f"The {name} folder"})
        id_ = int(made["id"])
        if approvers:
            check = {
                "type": {"id": APPROVAL, "name": "Approval"},
                "resource": {"type": "environment", "id": str(id_)},
                "timeout": 60,
                "settings": {
                    "approvers": [{"id": fixed_id("user", each)} for each in approvers],
                    "minRequiredApprovers": 1,
                    "requesterCannotBeApprover": True,
                    "instructions": "Look at the **tests** first.",
                    **settings,
                },
            }
            self.call("POST", "pipelines/checks/configurations", check)
        return id_

    def permit(self, kind: str, id_: object, *pipelines: int) -> None:
        """Lets pipelines use a resource."""
        body = {"pipelines": [{"id": each, "authorized": True} for each in pipelines]}
        self.call("PATCH", f"pipelines/pipelinePermissions/{kind}/{id_}", body)

    def permit_queues(self, *pipelines: int) -> None:
        """Lets pipelines use the project's agents."""
        for each in self.call("GET", "distributedtask/queues")["value"]:
            self.permit("queue", each["id"], *pipelines)

    def queue(self, pipeline: str, *, user: str = "dana") -> int:
        """A run of the default branch; gives its number."""
        return int(self.call("POST", f"pipelines/{self.definitions[pipeline]}/runs", {}, user=user)["id"])

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        """Waits until it is so."""
        deadline = time.monotonic() + 60
        while not (found := condition()):
            assert time.monotonic() < deadline, what
            time.sleep(0.05)
        return found

    def run(self, id_: int) -> Any:
        return self.call("GET", f"build/builds/{id_}")

    def ended(self, id_: int) -> Any:
        """The run, when it has ended."""
        return self.until(lambda: (run := self.run(id_))["status"] == "completed" and run, f"run {id_} goes on")


class Agent:
    """An agent that does what a test says, in the words of `rehearsal.azuredevops.runs.protocol`.

    Args:
        root: the service's address.
        project: the project whose jobs it does; others are left over from a test that failed.
    """

    def __init__(self, root: str, project: Project) -> None:
        self._project = project
        headers = {"Authorization": f"Bearer {CREDENTIALS[AGENT]}"}
        self._http = httpx.Client(base_url=f"{root}/rehearsal/_agent", headers=headers, timeout=60)

    def close(self) -> None:
        self._http.close()

    def _post(self, where: str, **content: Any) -> Any:
        answer = self._http.post(where, **content)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def take(self) -> str:
        """The next job's id."""
        while True:
            found = self._post("/next", json={"agent": "hand", "pool": None})
            if found and found["project"]["id"] == self._project.id:
                return str(found["id"])
            if found:
                self.finish(found["id"], "Failed")

    def step(self, job: str, name: str, log: str, *, state: str = "completed", result: str | None = "succeeded") -> str:
        """A step with its log; gives its id."""
        id_ = str(uuid.uuid4())
        issues = [{"type": "error", "message": f"{name} went wrong"}] if result == "failed" else []
        record = {"id": id_, "type": "Task", "name": name, "order": 1, "state": state, "result": result}
        record |= {"startTime": "2026-11-24T01:00:00.0000000Z", "issues": issues}
        if state == "completed":
            record["finishTime"] = "2026-11-24T01:00:02.5000000Z"
        self._post(f"/jobs/{job}/timeline", json={"records": [record]})
        self._post(f"/jobs/{job}/logs/{id_}/0", content=log.encode())
        return id_

    def publish(self, job: str, name: str, files: dict[str, str]) -> None:
        """An artifact."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for path, content in files.items():
                archive.writestr(path, content)
        answer = self._http.put(f"/jobs/{job}/artifacts/{name}", content=packed.getvalue())
        assert answer.is_success, answer.text

    def summary(self, job: str, name: str, text: str) -> None:
        """A summary in markdown."""
        self._post(f"/jobs/{job}/attachments/summary/{name}", content=text.encode())

    def finish(self, job: str, result: str = "Succeeded") -> None:
        self._post(f"/jobs/{job}/finish", json={"result": result, "outputs": {}})

"""Stages that want to deploy, without an orchestrator: runs as documents, and the gate asked by hand."""

from dataclasses import dataclass
from typing import Any

from rehearsal.azuredevops import gates
from rehearsal.azuredevops.context import Service, fixed_id
from rehearsal.azuredevops.users import ADMINISTRATOR, DANA
from rehearsal.store import Document
from tests.rehearsal.azuredevops.organization import Organization

APPROVAL = {"id": "8c6f20a7-a545-4486-9777-f762fafe0d4d", "name": "Approval"}
LOCK = {"id": "2ef31ad6-baa0-403a-8b45-2cbc9b4e5563", "name": "ExclusiveLock"}
TASK = {"id": "fe1de3ee-a436-41b4-bb20-f6eb4cb879a7", "name": "Task Check"}


def task(id_: str, name: str, inputs: dict[str, str], display_name: str = "") -> dict[str, Any]:
    """The settings of a task check, as the provider sends them."""
    return {
        "displayName": display_name or name,
        "definitionRef": {"id": id_, "name": name, "version": "0.0.1"},
        "inputs": inputs,
    }


def branch_control(**inputs: str) -> dict[str, Any]:
    allowed = {"allowedBranches": "refs/heads/main", "ensureProtectionOfBranch": "false"}
    return task("86b05a0c-73e6-4f7d-b3cf-e38f3b39a75b", "evaluatebranchProtection", allowed | inputs, "Only main")


def business_hours(**inputs: str) -> dict[str, Any]:
    given = {"businessDays": "Monday, Tuesday", "startTime": "08:00", "endTime": "16:30"} | inputs
    given.setdefault("timeZone", "W. Europe Standard Time")
    return task("445fde2f-6c39-441c-807f-8a59ff2e075f", "evaluateBusinessHours", given, "Office hours")


def identity(user: str) -> str:
    """The id of one of the rehearsal's people."""
    return fixed_id("user", user)


@dataclass
class Deployments:
    """One environment of a project, and the stages that want to deploy to it."""

    organization: Organization
    service: Service
    project: Document
    repository: str
    environment: Document

    @classmethod
    def begun(cls, organization: Organization, service: Service, project: Any, repository: Any) -> "Deployments":
        """A new environment `production` of the project."""
        with organization.http() as http:
            answer = http.post(f"/{project.id}/_apis/distributedtask/environments", json={"name": "production"})
        kept = service.store.get("project", project.id)
        assert kept is not None
        return cls(organization, service, kept, repository.id, answer.json())

    @property
    def resources(self) -> list[Document]:
        return [{"type": "environment", "id": str(self.environment["id"]), "name": self.environment["name"]}]

    def check(self, kind: dict[str, str], settings: dict[str, Any], **more: Any) -> Document:
        body = {"type": kind, "settings": settings, "resource": self.resources[0], "timeout": 60, **more}
        with self.organization.http() as http:
            answer = http.post(f"/{self.project['id']}/_apis/pipelines/checks/configurations", json=body)
        answer.raise_for_status()
        made: Document = answer.json()
        return made

    def approval(self, *approvers: str, minimum: int = 1, **settings: Any) -> Document:
        """An approval check; approvers are ids of people and groups."""
        given = {"approvers": [{"id": each} for each in approvers], "minRequiredApprovers": minimum, "instructions": ""}
        return self.check(APPROVAL, given | {"requesterCannotBeApprover": True} | settings)

    def run(self, branch: str = "refs/heads/main", definition: int = 1, requester: str = DANA, **more: Any) -> Document:
        """A run that is in progress."""
        id_ = self.service.store.next_number("run")
        run = {
            "id": id_,
            "number": f"2026.{id_}",
            "definition": definition,
            "branch": branch,
            "requestedBy": identity(requester),
            "requestedFor": identity(requester),
            "status": "inProgress",
            "pipelines": {},
            **more,
        }
        self.service.store.put("run", f"{self.project['id']}/{id_:09}", run)
        self.service.store.put("definition", f"{self.project['id']}/{definition:09}", self._definition(definition))
        return run

    def _definition(self, id_: int) -> Document:
        body = {"name": f"release {id_}", "repository": {"id": self.repository, "type": "TfsGit"}}
        return {"id": id_, "revision": 1, "body": body}

    def advance(
        self, run: Document, stage: str = "Production", lock: str = "sequential", attempt: int = 1
    ) -> gates.Gate:
        return gates.advance(self.service, self.project, run, stage, self.resources, lock, attempt)

    def leave(self, run: Document, stage: str = "Production") -> None:
        gates.leave(self.service, self.project, run, stage)

    def pending(self, run: Document) -> str:
        """The id of the approval for which the run's stage waits."""
        gate = self.advance(run)
        assert (gate.state, gate.reason) == ("pending", f"waits for approval of {self.environment['name']}")
        return str(next(each["id"] for each in gate.records if each["type"] == "Checkpoint.Approval"))

    def decide(self, approval: str, user: str, status: str = "approved", comment: str = "") -> Any:
        """Approves or rejects over REST."""
        body = [{"approvalId": approval, "status": status, "comment": comment}]
        with self.organization.http(user) as http:
            return http.patch(f"/{self.project['id']}/_apis/pipelines/approvals", json=body)

    def read(self, approval: str, user: str = ADMINISTRATOR) -> Document:
        """The approval as REST shows it, with steps and permissions."""
        with self.organization.http(user) as http:
            path = f"/{self.project['id']}/_apis/pipelines/approvals/{approval}"
            answer = http.get(path, params={"$expand": "steps,permissions"})
        answer.raise_for_status()
        found: Document = answer.json()
        return found

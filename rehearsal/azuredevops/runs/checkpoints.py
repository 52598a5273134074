"""What a stage has to pass before its jobs: permission for everything it uses, then the checks on it.

https://learn.microsoft.com/azure/devops/pipelines/process/approvals. Each stage has one checkpoint.
"""

from dataclasses import dataclass

from rehearsal.agent.language.plan import Stage
from rehearsal.azuredevops import gates
from rehearsal.azuredevops.context import Service, now
from rehearsal.azuredevops.runs import resources
from rehearsal.store import Document


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How the checkpoint stands: `pending`, `passed` or `failed`; the last with a reason and the stage's result."""

    state: str
    reason: str = ""
    result: str = "failed"


def advance(
    service: Service, project: Document, run: Document, stage: Stage, state: Document, *, used: list[Document]
) -> Verdict:
    """Looks at the checkpoint of a stage; keeps its timeline records in the stage's state."""
    authorization = _authorization(service, project, run, state, used)
    records = [authorization] if authorization else []
    if authorization and authorization["state"] != "completed":
        state["checks"] = records
        return Verdict(state="pending")
    gate = gates.advance(service, project, run, stage.name, used, stage.lock_behavior, state["attempt"])
    # The gate's own record of the checkpoint is this stage's already.
    below = [each for each in gate.records if each["type"] != "Checkpoint"]
    state["checks"] = [*records, *(each | {"parentId": state["checkpoint"]} for each in below)]
    return Verdict(state=gate.state, reason=gate.reason, result=gate.result or "failed")


def leave(service: Service, project: Document, run: Document, state: Document) -> None:
    """The stage has ended, one way or the other: what it held is free."""
    gates.leave(service, project, run, state["name"])


def _authorization(
    service: Service, project: Document, run: Document, state: Document, used: list[Document]
) -> Document | None:
    """The record of the permissions that are missing, or were; None when none ever was."""
    before = next((each for each in state["checks"] if each["type"] == "Checkpoint.Authorization"), None)
    missing = resources.unpermitted(service.store, project, run["definition"], used)
    if not missing and (before is None or before["state"] == "completed"):
        return before
    names = ", ".join(f"{each['type']} {each['name']}" for each in missing)
    record = before or {
        "id": f"{state['checkpoint'][:-12]}a{state['checkpoint'][-11:]}",
        "type": "Checkpoint.Authorization",
        "name": "Checkpoint.Authorization",
        "startTime": now(),
        "finishTime": None,
        "result": None,
        "issues": [],
    }
    if missing:
        noun = "a resource" if len(missing) == 1 else f"{len(missing)} resources"
        words = f"This pipeline needs permission to access {noun} before this run can continue: {names}"
        return record | {"state": "inProgress", "issues": [{"type": "warning", "message": words}], "resources": missing}
    return record | {"state": "completed", "result": "succeeded", "finishTime": now(), "resources": []}

"""Approvals: https://learn.microsoft.com/rest/api/azure/devops/approvalsandchecks/approvals.

An approval is what a stage waits for at a resource with an approval check: a list of steps, one for each approver, who
is a person or a group. A member of the group, directly or through other groups, takes the group's step.
`gates` makes them and reads how they end; here they are shown and decided.
"""

from typing import Literal, TypeAlias

from rehearsal.azuredevops import build, identities, permissions
from rehearsal.azuredevops.context import Call, Service, new_id, now
from rehearsal.azuredevops.errors import ServiceError, invalid, missing_value
from rehearsal.azuredevops.permissions import BUILD
from rehearsal.azuredevops.projects import project_of
from rehearsal.azuredevops.routing import Answer, location
from rehearsal.store import Document, Store

approvals = location(
    "pipelinesapproval",
    "approvals",
    "{project}/_apis/pipelines/{resource}/{approvalId}",
    "37794717-f36f-4d78-b2bf-4dc30d0cfbcd",
)

Decision: TypeAlias = Literal["approved", "rejected"]
_IN_SEQUENCE = ("insequence", "2")


def begin(store: Store, run: Document, gate: Document, check: Document) -> Document:
    """Makes the approval that a check asks for.

    Args:
        store: of the organisation.
        run: the run that has to be approved.
        gate: where it waits: `project`, `stage` and `attempt`.
        check: the configuration of the check.
    """
    settings, time = check["settings"], now()
    in_sequence = str(settings.get("executionOrder", "")).lower() in _IN_SEQUENCE
    approvers = [each["id"].lower() for each in settings["approvers"]]
    minimum = settings.get("minRequiredApprovers") or 0
    groups = [each for each in approvers if (found := identities.find(store, each)) and found["kind"] == "group"]
    # A group is one approver. Where more have to approve than there are approvers, as many of its members as are
    # missing have a step, too; the documentation doesn't say what the service does.
    approvers += groups[:1] * (minimum - len(approvers))
    requesters = sorted({run["requestedBy"], run.get("requestedFor") or run["requestedBy"]})
    approval = {
        "id": new_id(),
        "project": gate["project"],
        "run": run["id"],
        "stage": gate["stage"],
        "attempt": gate["attempt"],
        "check": check["id"],
        "resource": check["resource"] | {"name": check["resourceName"]},
        "status": "pending",
        "createdOn": time,
        "lastModifiedOn": time,
        "executionOrder": "inSequence" if in_sequence else "anyOrder",
        "minRequiredApprovers": minimum or len(approvers),
        "everybody": minimum == 0,
        "instructions": settings.get("instructions") or "",
        "blocked": requesters if settings.get("requesterCannotBeApprover") else [],
        "steps": [
            {
                "assignedApprover": id_,
                "actualApprover": None,
                "status": "uninitiated" if in_sequence and order else "pending",
                "comment": None,
                "order": order + 1,
                "initiatedOn": None if in_sequence and order else time,
                "lastModifiedOn": time,
                "lastModifiedBy": run["requestedBy"],
            }
            for order, id_ in enumerate(approvers)
        ],
    }
    _keep(store, approval)
    return approval


def _keep(store: Store, approval: Document) -> None:
    store.put("approval", f"{approval['project']}/{approval['id']}", approval)


def find(store: Store, project_id: str, id_: str) -> Document | None:
    """The approval, or None."""
    return store.get("approval", f"{project_id}/{id_.lower()}")


def end(store: Store, approval: Document, status: Literal["timedOut", "canceled"]) -> None:
    """Ends an approval that nobody has decided."""
    time = now()
    for step in approval["steps"]:
        if step["status"] in ("pending", "uninitiated"):
            step |= {"status": status, "lastModifiedOn": time}
    _keep(store, approval | {"status": status, "lastModifiedOn": time})


def assigned(store: Store, approval: Document, user: Document) -> list[Document]:
    """The steps that wait for this user."""
    mine = identities.closure(store, user["id"])
    waiting = [each for each in approval["steps"] if each["status"] == "pending" and each["assignedApprover"] in mine]
    # The step of the person's own first: a group's can be taken by others.
    waiting.sort(key=lambda each: bool(each["assignedApprover"] != user["id"]))
    took_part = any(each["actualApprover"] == user["id"] for each in approval["steps"])
    if approval["everybody"]:
        return waiting
    # Where a number of people have to approve, one person is one of them, whatever groups he or she is in.
    return [] if took_part else waiting[:1]


def may_decide(store: Store, approval: Document, user: Document) -> bool:
    """Whether the approval waits for this user."""
    pending = approval["status"] == "pending" and user["id"] not in approval["blocked"]
    return pending and bool(assigned(store, approval, user))


def decide(service: Service, approval: Document, user: Document, decision: Decision, comment: str) -> Document:
    """Approves or rejects.

    Returns:
        The approval as it is then.

    Raises:
        ServiceError: 403 for the requester, where the check doesn't let that person approve, and for everybody who
            is no approver; 409, when it has been decided. The service's words aren't documented.
    """
    store = service.store
    who = user["displayName"]
    if approval["status"] != "pending":
        message = f"Approval {approval['id']} is {approval['status']} already and cannot be changed."
        raise ServiceError(409, message, "ApprovalAlreadyCompletedException")
    if user["id"] in approval["blocked"]:
        message = f"{who} requested the run and may not approve it: the approval does not allow approvers to approve "
        raise ServiceError(403, message + "their own runs.", "ApprovalUnauthorizedException")
    steps = assigned(store, approval, user)
    if not steps:
        message = f"{who} is not an approver of this approval, or has no step in it to approve at this time."
        raise ServiceError(403, message, "ApprovalUnauthorizedException")
    time = now()
    for step in steps:
        step |= {"status": decision, "actualApprover": user["id"], "comment": comment}
        step |= {"lastModifiedOn": time, "lastModifiedBy": user["id"]}
    approval |= {"status": _status(approval), "lastModifiedOn": time}
    following = next((each for each in approval["steps"] if each["status"] == "uninitiated"), None)
    if approval["status"] == "pending":
        if following is not None and not any(each["status"] == "pending" for each in approval["steps"]):
            following |= {"status": "pending", "initiatedOn": time}
    else:
        for step in approval["steps"]:
            if step["status"] in ("pending", "uninitiated"):
                step |= {"status": "skipped", "lastModifiedOn": time}
    _keep(store, approval)
    service.wake()
    return approval


def _status(approval: Document) -> str:
    statuses = [each["status"] for each in approval["steps"]]
    if "rejected" in statuses:
        return "rejected"
    return "approved" if statuses.count("approved") >= approval["minRequiredApprovers"] else "pending"


def shown(call: Call, project: Document, approval: Document, *, expand: str = "") -> Document:
    """An approval as the service answers it.

    Args:
        call: who asks, and how the service was reached.
        project: the approval's.
        approval: its document.
        expand: what of `steps` and `permissions` is asked for, with commas between.
    """
    wanted = expand.lower()
    url = call.url(project["id"], "_apis", "pipelines", "approvals", approval["id"])
    may = may_decide(call.store, approval, call.user)
    document: Document = {
        "id": approval["id"],
        "steps": [_step(call, approval, each) for each in approval["steps"]] if "steps" in wanted else [],
        "status": approval["status"],
        "createdOn": approval["createdOn"],
        "lastModifiedOn": approval["lastModifiedOn"],
        "executionOrder": approval["executionOrder"],
        "minRequiredApprovers": approval["minRequiredApprovers"],
        "blockedApprovers": [_person(call, each) for each in approval["blocked"]],
        "instructions": approval["instructions"],
        "pipeline": _pipeline(call, project, approval),
        "_links": {"self": {"href": url}},
    }
    if "permissions" in wanted:
        document["permissions"] = "update" if may else "view"
    return document


def _person(call: Call, id_: str | None) -> Document | None:
    identity = call.store.get("identity", id_) if id_ else None
    return identities.reference(identity, call.vssps) if identity else None


def _step(call: Call, approval: Document, step: Document) -> Document:
    people = {name: _person(call, step[name]) for name in ("assignedApprover", "actualApprover", "lastModifiedBy")}
    mine = step in assigned(call.store, approval, call.user) and may_decide(call.store, approval, call.user)
    shown_step = {**people, **{name: step[name] for name in ("status", "order", "lastModifiedOn", "initiatedOn")}}
    if step["actualApprover"] is None:
        del shown_step["actualApprover"]
    if step["comment"]:
        shown_step["comment"] = step["comment"]
    return shown_step | {"permissions": "update" if mine else "view", "history": []}


def _pipeline(call: Call, project: Document, approval: Document) -> Document:
    run = call.store.get("run", build.key(project["id"], approval["run"])) or {}
    definition = call.store.get("definition", build.key(project["id"], run.get("definition", 0))) or {}
    web = call.url(project["id"], "_build", "results") + f"?buildId={approval['run']}"
    own = call.url(project["id"], "_apis", "build", "Builds", approval["run"])
    owner = {
        "_links": {"web": {"href": web}, "self": {"href": own}},
        "id": approval["run"],
        "name": run.get("number", ""),
    }
    name = (definition.get("body") or {}).get("name", "")
    return {"owner": owner, "id": str(run.get("definition", "")), "name": name}


def _visible(call: Call, project: Document, approval: Document) -> bool:
    run = call.store.get("run", build.key(project["id"], approval["run"])) or {}
    return permissions.may(call.store, call.user, BUILD, f"{project['id']}/{run.get('definition')}", "ViewBuilds")


def _found(call: Call, project: Document, id_: str) -> Document:
    approval = find(call.store, project["id"], id_)
    if approval is None or not _visible(call, project, approval):
        raise ServiceError(404, f"Approval with id {id_} does not exist.", "ApprovalNotFoundException")
    return approval


@approvals.on("GET")
def get(call: Call) -> Answer:
    project, expand = project_of(call), call.query.get("$expand", "")
    if "approvalId" in call.route:
        return shown(call, project, _found(call, project, call.route["approvalId"]), expand=expand)
    found = [each for each in call.store.all("approval", f"{project['id']}/") if _visible(call, project, each)]
    if call.query.get("approvalids"):
        ids = call.query["approvalids"].lower().split(",")
        found = [each for each in found if each["id"] in ids]
    if call.query.get("state", "all").lower() != "all":
        found = [each for each in found if each["status"].lower() == call.query["state"].lower()]
    if call.query.get("userids"):
        people = [identities.find(call.store, each) for each in call.query["userids"].split(",")]
        groups = {id_ for each in people if each for id_ in identities.closure(call.store, each["id"])}
        found = [each for each in found if any(step["assignedApprover"] in groups for step in each["steps"])]
    found.sort(key=lambda each: (str(each["createdOn"]), each["run"]), reverse=True)
    return [shown(call, project, each, expand=expand) for each in found[: call.whole_number("top", 1000)]]


@approvals.on("PATCH")
def update(call: Call) -> Answer:
    project, body = project_of(call), call.json()
    if not isinstance(body, list) or not body:
        raise missing_value("updateParameters")
    answers = []
    for each in body:
        approval = _found(call, project, str(each.get("approvalId", "")))
        status = str(each.get("status", "")).lower()
        if status not in ("approved", "rejected") or each.get("reassignTo") or each.get("deferredTo"):
            # Approvals can be given to somebody else and put off, too, in the service; the product does neither.
            raise invalid("An approval can be approved or rejected here, and nothing else.")
        decision: Decision = "approved" if status == "approved" else "rejected"
        decided = decide(call.service, approval, call.user, decision, str(each.get("comment") or ""))
        answers.append(shown(call, project, decided, expand="steps"))
    return answers

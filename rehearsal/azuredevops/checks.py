"""Approvals and checks on what pipelines use: https://learn.microsoft.com/rest/api/azure/devops/approvalsandchecks."""

from rehearsal.azuredevops import identities, protected
from rehearsal.azuredevops.context import Call, now
from rehearsal.azuredevops.errors import ServiceError, invalid, missing_value
from rehearsal.azuredevops.projects import project_of
from rehearsal.azuredevops.routing import Answer, location
from rehearsal.store import Document

configurations = location(
    "PipelinesChecks",
    "configurations",
    "{project}/_apis/pipelines/checks/{resource}/{id}",
    "86c8381e-5aee-4cde-8ae4-25c0c7f5eaea",
)
query = location(
    "PipelinesChecks",
    "queryconfigurations",
    "{project}/_apis/pipelines/checks/{resource}",
    "5f3d0e64-f943-4584-8811-77eb495e831e",
)

APPROVAL = "8c6f20a7-a545-4486-9777-f762fafe0d4d"
TASK_CHECK = "fe1de3ee-a436-41b4-bb20-f6eb4cb879a7"
EXCLUSIVE_LOCK = "2ef31ad6-baa0-403a-8b45-2cbc9b4e5563"
EXTENDS_CHECK = "4020e66e-b0f3-47e1-bc88-48f3cc59b5f3"
TYPES = {APPROVAL: "Approval", TASK_CHECK: "Task Check", EXCLUSIVE_LOCK: "ExclusiveLock", EXTENDS_CHECK: "ExtendsCheck"}

BRANCH_CONTROL = "86b05a0c-73e6-4f7d-b3cf-e38f3b39a75b"
BUSINESS_HOURS = "445fde2f-6c39-441c-807f-8a59ff2e075f"
REST_CALL = "9c3e8943-130d-4c78-ac63-8af81df62dfb"
AZURE_FUNCTION = "537fdb7a-a601-4537-aa70-92645a2b5ce4"
_TASKS = (BRANCH_CONTROL, BUSINESS_HOURS, REST_CALL, AZURE_FUNCTION)
_TIMEOUT = 43200  # minutes: thirty days, the service's default and its limit


def _shown(call: Call, project: Document, check: Document, *, settings: bool = True) -> Document:
    url = call.url(project["id"], "_apis", "pipelines", "checks", "configurations", check["id"])
    by = {
        name: identities.reference(identity, call.vssps) if identity else None
        for name in ("createdBy", "modifiedBy")
        for identity in (call.store.get("identity", check[name]),)
    }
    document = {
        **by,
        "createdOn": check["createdOn"],
        "modifiedOn": check["modifiedOn"],
        "timeout": check["timeout"],
        "_links": {"self": {"href": url}},
        "id": check["id"],
        "version": check["version"],
        "type": {"id": check["type"], "name": TYPES[check["type"]]},
        "url": url,
        "resource": check["resource"] | {"name": check["resourceName"]},
    }
    return document | {"settings": _settings(call, check)} if settings else document


def _settings(call: Call, check: Document) -> Document:
    settings = dict(check["settings"])
    if check["type"] == APPROVAL:
        people = [identities.find(call.store, each["id"]) for each in settings["approvers"]]
        settings["approvers"] = [
            {"id": each["id"]} | ({"displayName": found["displayName"]} if found else {})
            for each, found in zip(settings["approvers"], people, strict=True)
        ]
    return settings


def _find(call: Call, project: Document) -> Document:
    id_ = call.number("id")
    found = call.store.get("check", f"{project['id']}/{id_:09}")
    if found is None:
        # The end of this message is what the provider takes for "gone" whatever the status.
        raise ServiceError(
            404, f"Check configuration with Id {id_} does not exist.", "CheckConfigurationNotFoundException"
        )
    protected.demand(call, project, found["resource"]["type"], found["resource"]["id"], administer=False)
    return found


def _check_approvers(call: Call, settings: Document) -> None:
    approvers = settings.get("approvers")
    if not approvers or not isinstance(approvers, list):
        raise invalid("At least one approver is needed.", "ApprovalCheckConfigurationException")
    ids = [str(each.get("id", "")).lower() for each in approvers]
    if len(set(ids)) != len(ids):
        raise invalid("An approver is named twice.", "ApprovalCheckConfigurationException")
    for id_ in ids:
        found = identities.find(call.store, id_)
        # An Entra group has no place in approvals before it is a member of a group of Azure DevOps: provider issue 864.
        if found is None or found["subjectType"] == "aadgp":
            raise invalid(f"The identity {id_} is not valid as an approver.", "InvalidApproverException")
    people = 0
    for id_ in ids:
        found = identities.find(call.store, id_)
        people += 1 if found and found["kind"] == "user" else len(ids) + 100  # a group may hold any number of people
    minimum = settings.get("minRequiredApprovers", 0)
    if not isinstance(minimum, int) or not 0 <= minimum <= people:
        raise invalid(
            f"The minimum number of approvers ({minimum}) is more than the number of approvers.",
            "ApprovalCheckConfigurationException",
        )


def _check_task(settings: Document) -> None:
    task = str((settings.get("definitionRef") or {}).get("id", "")).lower()
    inputs = settings.get("inputs")
    if task not in _TASKS:
        raise invalid(f"The task definition '{task}' is not a check.", "InvalidCheckConfigurationException")
    if not isinstance(inputs, dict) or any(not isinstance(value, str) for value in inputs.values()):
        raise invalid("The inputs of a task check are texts.", "InvalidCheckConfigurationException")
    needed = {
        BRANCH_CONTROL: ("allowedBranches",),
        BUSINESS_HOURS: ("businessDays", "startTime", "endTime", "timeZone"),
    }
    for name in needed.get(task, ()):
        if name not in inputs:
            raise invalid(f"Input required: {name}", "InvalidCheckConfigurationException")


def _checked(call: Call, project: Document, mine: int | None = None) -> Document:
    body = call.document()
    type_id = str((body.get("type") or {}).get("id", "")).lower()
    if type_id not in TYPES:
        raise invalid(f"The check type '{type_id}' is not known.", "InvalidCheckTypeException")
    resource = body.get("resource")
    if not isinstance(resource, dict) or not resource.get("id") or not resource.get("type"):
        raise missing_value("resource")
    kind, id_ = str(resource["type"]).lower(), str(resource["id"])
    name = protected.demand(call, project, kind, id_, administer=True)
    settings = body.get("settings") or {}
    timeout = body.get("timeout") or _TIMEOUT
    if not isinstance(timeout, int) or not 1 <= timeout <= _TIMEOUT:
        raise invalid(f"The timeout must be from 1 to {_TIMEOUT} minutes.", "InvalidCheckConfigurationException")
    if type_id == APPROVAL:
        _check_approvers(call, settings)
    elif type_id == TASK_CHECK:
        _check_task(settings)
    here = {"type": kind, "id": id_}
    for each in call.store.all("check", f"{project['id']}/"):
        # A resource has one lock and one approval. The user interface offers no second one; the words are a guess.
        alone = type_id in (EXCLUSIVE_LOCK, APPROVAL) and each["type"] == type_id
        if alone and each["resource"] == here and each["id"] != mine:
            message = f"A check of type {TYPES[type_id]} already exists for the resource {name}."
            raise ServiceError(409, message, "CheckConfigurationExistsException")
    return {"type": type_id, "resource": here, "resourceName": name, "settings": settings, "timeout": timeout}


@configurations.on("POST")
def create(call: Call) -> Answer:
    project = project_of(call)
    check = _checked(call, project)
    id_, time = call.store.next_number("check"), now()
    check |= {"id": id_, "version": 1, "createdOn": time, "createdBy": call.user["id"]}
    check |= {"modifiedOn": time, "modifiedBy": call.user["id"]}
    call.store.put("check", f"{project['id']}/{id_:09}", check)
    return _shown(call, project, check)


@configurations.on("GET")
def get(call: Call) -> Answer:
    project = project_of(call)
    settings = call.query.get("$expand", "none").lower() == "settings"
    if "id" in call.route:
        return _shown(call, project, _find(call, project), settings=settings)
    kind, id_ = call.query.get("resourcetype", "").lower(), call.query.get("resourceid", "")
    protected.demand(call, project, kind, id_, administer=False)
    return _on(call, project, {"type": kind, "id": id_}, settings=settings)


def _on(call: Call, project: Document, resource: Document, *, settings: bool) -> list[Document]:
    found = call.store.all("check", f"{project['id']}/")
    return [_shown(call, project, each, settings=settings) for each in found if each["resource"] == resource]


@configurations.on("PATCH")
def update(call: Call) -> Answer:
    project = project_of(call)
    before = _find(call, project)
    after = _checked(call, project, before["id"])
    if (after["type"], after["resource"]) != (before["type"], before["resource"]):
        raise invalid("The type and the resource of a check cannot be changed.", "InvalidCheckConfigurationException")
    given = call.document().get("version")
    if given is not None and given != before["version"]:
        message = f"The version {given} of check {before['id']} is stale; it is at version {before['version']}."
        raise ServiceError(409, message, "CheckConfigurationVersionConflictException")
    check = before | after | {"version": before["version"] + 1, "modifiedOn": now(), "modifiedBy": call.user["id"]}
    call.store.put("check", f"{project['id']}/{check['id']:09}", check)
    return _shown(call, project, check)


@configurations.on("DELETE")
def delete(call: Call) -> Answer:
    project = project_of(call)
    check = _find(call, project)
    protected.demand(call, project, check["resource"]["type"], check["resource"]["id"], administer=True)
    call.store.delete("check", f"{project['id']}/{check['id']:09}")
    return None


@query.on("POST")
def query_checks(call: Call) -> Answer:
    project = project_of(call)
    resources = call.json()
    if not isinstance(resources, list):
        raise missing_value("resources")
    settings = call.query.get("$expand", "none").lower() == "settings"
    found = []
    for each in resources:
        kind, id_ = str(each.get("type", "")).lower(), str(each.get("id", ""))
        protected.demand(call, project, kind, id_, administer=False)
        found += _on(call, project, {"type": kind, "id": id_}, settings=settings)
    return found

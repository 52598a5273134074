"""Variable groups: https://learn.microsoft.com/rest/api/azure/devops/distributedtask/variablegroups.

Values of secret variables never leave the service by its REST interface; `find_group` hands them to a run.
"""

from rehearsal.azuredevops import identities, permissions
from rehearsal.azuredevops.context import Call, by_name, now
from rehearsal.azuredevops.errors import ServiceError, invalid, missing_value
from rehearsal.azuredevops.permissions import LIBRARY
from rehearsal.azuredevops.projects import find_project, project_of
from rehearsal.azuredevops.routing import Answer, location
from rehearsal.store import Document, Store

of_organization = location(
    "distributedtask", "variablegroups", "_apis/{area}/{resource}/{groupId}", "ef5b7057-ffc3-4c77-bbad-c10b4a4abcc7"
)
of_project = location(
    "distributedtask",
    "variablegroups",
    "{project}/_apis/{area}/{resource}/{groupId}",
    "f5b09dd5-9d54-45a1-8b5a-1c8287d634cc",
)


def key(project_id: str, id_: int) -> str:
    return f"{project_id}/{id_:09}"


def find_group(store: Store, project: Document, name: str) -> Document | None:
    """A project's group by its name, in any case, with the values of its secret variables; or None.

    Its `variables` are documents by name, with `value` and `isSecret`; `id` is its number.
    """
    return by_name(store.all("variable-group", f"{project['id']}/"), name)


def find(call: Call, project: Document, id_: int, action: str = "View") -> Document | None:
    """The group, if the user may see it; None when there is none that the user may see.

    Raises:
        ServiceError: 403, when the user may see it and not do `action` with it.
    """
    found = call.store.get("variable-group", key(project["id"], id_))
    token = permissions.library_token(project["id"], id_)
    if found is None or not permissions.may(call.store, call.user, LIBRARY, token, "View"):
        return None
    permissions.demand(call.store, call.user, LIBRARY, token, action)
    return found


def _shown(call: Call, project: Document, group: Document) -> Document:
    who = {name: call.store.get("identity", group[name]) for name in ("createdBy", "modifiedBy")}
    people = {name: identities.reference(each, call.vssps) if each else None for name, each in who.items()}
    reference = {"id": project["id"], "name": project["name"]}
    return {
        "id": group["id"],
        "type": group["type"],
        "name": group["name"],
        "description": group["description"],
        "variables": {
            name: each | {"value": None} if each["isSecret"] else each for name, each in group["variables"].items()
        },
        **people,
        "createdOn": group["createdOn"],
        "modifiedOn": group["modifiedOn"],
        "isShared": False,
        "variableGroupProjectReferences": [
            {"name": group["name"], "description": group["description"], "projectReference": reference}
        ],
    }


def _project_given(call: Call, body: Document) -> Document:
    references = body.get("variableGroupProjectReferences") or []
    if len(references) != 1:
        # On the real service a group may be shared among projects; the product needs none.
        raise invalid("A variable group belongs to one project.", "InvalidVariableGroupException")
    return find_project(call, str((references[0].get("projectReference") or {}).get("id")))


def _checked(call: Call, project: Document, body: Document, before: Document | None = None) -> Document:
    name = str(body.get("name") or "").strip()
    if not name:
        raise missing_value("group.Name")
    kind = body.get("type") or "Vsts"
    if kind != "Vsts":
        # `AzureKeyVault` asks a vault of Azure, and there is none here.
        raise invalid(f"Variable groups of type {kind} are not supported.", "InvalidVariableGroupException")
    taken = find_group(call.store, project, name)
    if taken is not None and (before is None or taken["id"] != before["id"]):
        message = f"A variable group with name '{name}' already exists in the project."
        raise ServiceError(409, message, "VariableGroupExistsException")
    given = body.get("variables")
    if not isinstance(given, dict) or not given:
        raise missing_value("group.Variables")
    kept = before["variables"] if before else {}
    variables = {each: _variable(value, kept.get(each)) for each, value in given.items()}
    return {"name": name, "description": body.get("description") or "", "type": kind, "variables": variables}


def _variable(given: object, kept: Document | None) -> Document:
    """One variable. A secret that comes without a value keeps the one it has: clients never learn it."""
    if not isinstance(given, dict):
        given = {"value": given}
    secret, value = bool(given.get("isSecret")), given.get("value")
    if secret and value is None and kept:
        value = kept["value"]
    return {"value": str(value if value is not None else ""), "isSecret": secret}


@of_organization.on("POST")
def create(call: Call) -> Answer:
    body = call.document()
    project = _project_given(call, body)
    permissions.demand(call.store, call.user, LIBRARY, permissions.library_token(project["id"]), "Create")
    wanted = _checked(call, project, body)
    id_, time = call.store.next_number("variable-group"), now()
    me = call.user["id"]
    group = wanted | {"id": id_, "project": project["id"]}
    group |= {"createdOn": time, "createdBy": me, "modifiedOn": time, "modifiedBy": me}
    call.store.put("variable-group", key(project["id"], id_), group)
    # Who makes a group administers it.
    token = permissions.library_token(project["id"], id_)
    permissions.set_entry(call.store, LIBRARY, token, call.user, allow=LIBRARY.everything)
    return _shown(call, project, group)


@of_organization.on("PUT")
def update(call: Call) -> Answer:
    body = call.document()
    project = _project_given(call, body)
    group = find(call, project, call.number("groupId"), "Administer")
    if group is None:
        raise _not_found(call)
    group |= _checked(call, project, body, group) | {"modifiedOn": now(), "modifiedBy": call.user["id"]}
    call.store.put("variable-group", key(project["id"], group["id"]), group)
    return _shown(call, project, group)


def _not_found(call: Call) -> ServiceError:
    message = f"Variable group {call.route.get('groupId')} does not exist or you do not have permission to view it."
    return ServiceError(404, message, "VariableGroupNotFoundException")


@of_organization.on("DELETE")
def delete(call: Call) -> Answer:
    id_ = call.number("groupId")
    for given in filter(None, call.query.get("projectids", "").split(",")):
        project = find_project(call, given)
        group = find(call, project, id_, "Administer")
        if group is None:
            raise _not_found(call)
        store = call.store
        store.delete("variable-group", key(project["id"], id_))
        store.delete("acl", permissions.acl_key(LIBRARY, permissions.library_token(project["id"], id_)))
        for kind in ("pipeline-permission", "resource-authorization"):
            store.delete(kind, f"{project['id']}/variablegroup/{id_}")
        for place, check in store.items("check", f"{project['id']}/"):
            if check["resource"] == {"type": "variablegroup", "id": str(id_)}:
                store.delete("check", place)
    return None


@of_project.on("GET")
def get(call: Call) -> Answer:
    project = project_of(call)
    if "groupId" in call.route:
        group = find(call, project, call.number("groupId"))
        if group is None:
            raise _not_found(call)
        return _shown(call, project, group)
    found = [
        group
        for each in call.store.all("variable-group", f"{project['id']}/")
        if (group := find(call, project, each["id"])) is not None
    ]
    if call.query.get("groupids"):
        wanted = call.query["groupids"].split(",")
        found = [each for each in found if str(each["id"]) in wanted]
    if call.query.get("groupname"):
        # As for environments: an asterisk at the end asks for names that begin so.
        name = call.query["groupname"].casefold()
        matches = str.startswith if name.endswith("*") else str.__eq__
        found = [each for each in found if matches(each["name"].casefold(), name.removesuffix("*"))]
    return [_shown(call, project, each) for each in found[: call.whole_number("$top", 1000)]]

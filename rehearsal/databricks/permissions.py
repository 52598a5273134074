"""Access lists of folders, notebooks, files and jobs.

docs.databricks.com/api/workspace/permissions. A PUT replaces the object's own entries, a PATCH adds to them; what is
inherited comes back marked as such, and the administrators inherit CAN_MANAGE on everything.
"""

from rehearsal.databricks import job_rights, principals, tree
from rehearsal.databricks.calls import Call, Endpoint
from rehearsal.databricks.errors import ApiError, denied, invalid, missing
from rehearsal.databricks.principals import Principal
from rehearsal.databricks.tree import Grant, Level
from rehearsal.store import Document, Store

# Kind of object in the address -> kind in the answer, and the object_type in the tree.
_TREE_KINDS = {
    "directories": ("directory", "DIRECTORY"),
    "notebooks": ("notebook", "NOTEBOOK"),
    "files": ("file", "FILE"),
}

_TREE_LEVELS = {
    "CAN_READ": "Can view and comment on the object",
    "CAN_RUN": "Can view, comment, attach/detach, and run the object",
    "CAN_EDIT": "Can view, comment, attach/detach, run, and edit the object",
    "CAN_MANAGE": "Can view, comment, attach/detach, run, edit, and change permissions of the object",
}
_JOB_LEVELS = {
    "CAN_VIEW": "Can view the job",
    "CAN_MANAGE_RUN": "Can view the job, trigger and cancel its runs",
    "IS_OWNER": "Is the owner of the job",
    "CAN_MANAGE": "Can edit the job and change its permissions",
}

# In an access list given twice, the higher level counts. What the service does then is not known.
_RANK = {name: rank for rank, name in enumerate([*_TREE_LEVELS, *_JOB_LEVELS])}


def get_permissions(call: Call) -> Document:
    if call.path["kind"] == "jobs":
        job_rights.check(call.caller, _job(call), "CAN_MANAGE")
        return _job_answer(call.store, _job(call))
    document = _object(call)
    tree.check(call.store, call.caller, document["path"], Level.CAN_MANAGE)
    return _answer(call.store, call.path["kind"], document)


def get_levels(call: Call) -> Document:
    if call.path["kind"] == "jobs":
        _job(call)
        levels = _JOB_LEVELS
    else:
        _object(call)
        levels = _TREE_LEVELS
    return {"permission_levels": [{"permission_level": name, "description": text} for name, text in levels.items()]}


def set_permissions(call: Call) -> Document:
    return _write(call, [])


def update_permissions(call: Call) -> Document:
    if call.path["kind"] == "jobs":
        return _write(call, job_rights.own_grants(_job(call)))
    own = [each for each in tree.grants(call.store, _object(call)["path"]) if each.source is None]
    return _write(call, own)


def _write(call: Call, kept: list[Grant]) -> Document:
    if call.path["kind"] == "jobs":
        job = _job(call)
        job_rights.check(call.caller, job, "CAN_MANAGE")
        job_rights.replace(call.store, call.caller, job, _merged(kept, _given(call, _JOB_LEVELS)))
        return _job_answer(call.store, _job(call))
    document = _object(call)
    path = document["path"]
    if path == "/Shared":
        # Status and words as github.com/databrickslabs/migrate/pull/127 recorded them, for administrators, too.
        raise ApiError(500, "INTERNAL_ERROR", f"Cannot modify permissions of directory {document['object_id']}")
    tree.check(call.store, call.caller, path, Level.CAN_MANAGE)
    merged = _merged(kept, _given(call, _TREE_LEVELS))
    if path == "/" and Grant(Principal("group_name", "admins"), "CAN_MANAGE") not in merged:
        # github.com/databricks/terraform-provider-databricks/issues/2134; its status is not shown there.
        raise invalid("Cannot remove admins's CAN_MANAGE permission on 0")
    return _answer(call.store, call.path["kind"], tree.set_acl(call.store, document, merged))


def _merged(kept: list[Grant], given: list[Grant]) -> list[Grant]:
    """One entry for each principal; what is given now wins over what was there."""
    merged: dict[Principal, Grant] = {}
    for each in sorted(given, key=lambda grant: _RANK[grant.level]):
        merged[each.principal] = each
    if any(each.level == "IS_OWNER" for each in given):
        kept = [each for each in kept if each.level != "IS_OWNER"]
    return list(({each.principal: each for each in kept} | merged).values())


def _given(call: Call, levels: dict[str, str]) -> list[Grant]:
    entries = call.body.get("access_control_list") or []
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise invalid("Could not parse request object: field access_control_list must be a list of objects")
    return [_grant(call.store, each, levels) for each in entries]


def _grant(store: Store, entry: Document, levels: dict[str, str]) -> Grant:
    named = [(kind, entry[field]) for kind, field in principals.FIELDS.items() if entry.get(field)]
    if len(named) != 1:
        raise invalid("Principal name not defined")  # github.com/databricks/databricks-sdk-py/issues/286
    kind, name = named[0][0], str(named[0][1])
    level = entry.get("permission_level")
    if not isinstance(level, str) or level not in levels:
        raise invalid(f"Permission level {level} is not supported; allowed levels: {', '.join(levels)}")
    found = principals.find(store, kind, name)
    if found is None and kind == principals.USER:
        # The provider gives the caller's userName as the owner, and a service principal's is its application id.
        kind = principals.SERVICE_PRINCIPAL
        found = principals.find(store, kind, name)
    if found is None:
        # github.com/databricks/cli/issues/4488
        words = {principals.GROUP: "GroupName", principals.USER: "UserName"}.get(named[0][0], "ServicePrincipalName")
        raise missing(f"Principal: {words}({name}) does not exist")
    return Grant(Principal(principals.FIELDS[kind], principals.name_of(kind, found)), level)


def _object(call: Call) -> Document:
    kind = call.path["kind"]
    if kind not in _TREE_KINDS:
        raise invalid(f"Unsupported object type: {kind}")
    document = tree.by_id(call.store, call.path["id"])
    if document["object_type"] != _TREE_KINDS[kind][1]:
        raise invalid(f"{call.path['id']} is not a {_TREE_KINDS[kind][0]}")
    return document


def _job(call: Call) -> Document:
    job = call.store.get("job", call.path["id"])
    if job is None:
        if not call.caller.is_admin:
            # The service looks at the rights first: whether the job exists stays unknown.
            raise denied(job_rights.refusal(call.caller, call.path["id"]))
        raise missing(f"Job {call.path['id']} does not exist.")
    return job


def _answer(store: Store, kind: str, document: Document) -> Document:
    grants = list(tree.grants(store, document["path"]))
    return {
        "object_id": f"/{kind}/{document['object_id']}",
        "object_type": _TREE_KINDS[kind][0],
        "access_control_list": _access_list(store, grants),
    }


def _job_answer(store: Store, job: Document) -> Document:
    inherited = Grant(Principal("group_name", "admins"), "CAN_MANAGE", "/jobs/")
    return {
        "object_id": f"/jobs/{job['job_id']}",
        "object_type": "job",
        "access_control_list": _access_list(store, [*job_rights.own_grants(job), inherited]),
    }


def _access_list(store: Store, grants: list[Grant]) -> list[Document]:
    """One entry for each principal, with its own and its inherited levels."""
    entries: dict[Principal, Document] = {}
    kinds = {field: kind for kind, field in principals.FIELDS.items()}
    for each in grants:
        kind = kinds[each.principal.field]
        document = principals.find(store, kind, each.principal.name)
        if document is None:
            continue  # deleted since
        entry = entries.setdefault(each.principal, {each.principal.field: each.principal.name, "all_permissions": []})
        if kind != principals.GROUP:
            entry["display_name"] = document["displayName"]
        permission: Document = {"permission_level": each.level, "inherited": each.source is not None}
        if each.source is not None:
            permission["inherited_from_object"] = [each.source]
        entry["all_permissions"].append(permission)
    return list(entries.values())


ENDPOINTS = (
    Endpoint("GET", "/api/2.0/permissions/{kind}/{id}/permissionLevels", get_levels),
    Endpoint("GET", "/api/2.0/permissions/{kind}/{id}", get_permissions),
    Endpoint("PUT", "/api/2.0/permissions/{kind}/{id}", set_permissions),
    Endpoint("PATCH", "/api/2.0/permissions/{kind}/{id}", update_permissions),
)

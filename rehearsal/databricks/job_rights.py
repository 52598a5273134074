"""Who may do what with a job.

docs.databricks.com/security/auth/access-control: a job has exactly one owner, who is no group; administrators manage
every job.
"""

from rehearsal.databricks.errors import denied, invalid
from rehearsal.databricks.principals import Caller, Principal
from rehearsal.databricks.tree import Grant
from rehearsal.store import Document, Store

_RANK = {"CAN_VIEW": 1, "CAN_MANAGE_RUN": 2, "CAN_MANAGE": 3, "IS_OWNER": 3}


def own_grants(job: Document) -> list[Grant]:
    """The entries of the job's own access list."""
    return [Grant(Principal(each["field"], each["name"]), each["level"]) for each in job["acl"]]


def may(caller: Caller, job: Document, wanted: str) -> bool:
    """Whether the caller has this level on the job."""
    if caller.is_admin:
        return True
    held = (_RANK[each.level] for each in own_grants(job) if each.principal in caller.principals)
    return max(held, default=0) >= _RANK[wanted]


def refusal(caller: Caller, job_id: str) -> str:
    """The service's words to one who may not manage the access list of a job."""
    return (
        f"{caller.name} does not have Manage permissions on Job with ID: ElasticJobId({job_id}). "
        "Please contact the owner or an administrator for access."
    )


def check(caller: Caller, job: Document, wanted: str) -> None:
    """Whether the caller has this level on the access list of the job.

    Raises:
        ApiError: 403.
    """
    if not may(caller, job, wanted):
        raise denied(refusal(caller, str(job["job_id"])))


def owner_entry(caller: Caller) -> Document:
    """The entry that makes one who creates a job its owner."""
    return {"field": caller.principal.field, "name": caller.principal.name, "level": "IS_OWNER"}


def replace(store: Store, caller: Caller, job: Document, grants: list[Grant]) -> None:
    """Puts these in place of the job's own entries.

    Raises:
        ApiError: 400, there is not exactly one owner, or it is a group; 403, only an administrator may give a job to
            somebody else.
    """
    owners = [each.principal for each in grants if each.level == "IS_OWNER"]
    if len(owners) != 1:
        raise invalid("The job must have exactly one owner.")
    if owners[0].field == "group_name":
        raise invalid("Groups can not be owners of a job.")
    before = next((each.principal for each in own_grants(job) if each.level == "IS_OWNER"), None)
    if owners[0] != before and not caller.is_admin:
        raise denied("Only an administrator can change the owner of a job.")
    acl = [{"field": each.principal.field, "name": each.principal.name, "level": each.level} for each in grants]
    store.put("job", str(job["job_id"]), job | {"acl": acl})

"""Agent pools of the organisation and agent queues of its projects.

https://learn.microsoft.com/rest/api/azure/devops/distributedtask/pools and …/queues.
"""

from rehearsal.azuredevops import identities
from rehearsal.azuredevops.context import Call, fixed_id, now
from rehearsal.azuredevops.errors import ServiceError
from rehearsal.azuredevops.projects import project_of
from rehearsal.azuredevops.routing import Answer, location
from rehearsal.store import Document, Store

pools = location("distributedtask", "pools", "_apis/{area}/{resource}/{poolId}", "a8c47e17-4d56-4a56-92bb-de7ea7dc65be")
queues = location(
    "distributedtask", "queues", "{project}/_apis/{area}/{resource}/{queueId}", "900fa995-c559-4923-aae7-f8424fe4fbea"
)

HOSTED_POOL = "Azure Pipelines"


def seed(store: Store) -> None:
    """The pools of every organisation: an empty one for agents of one's own, and Microsoft's."""
    for id_, name, hosted in ((1, "Default", False), (9, HOSTED_POOL, True)):
        pool = {
            "id": id_,
            "name": name,
            "isHosted": hosted,
            "poolType": "automation",
            "autoProvision": True,
            "autoUpdate": True,
            "isLegacy": False,
            "scope": fixed_id("pool", name),
            "size": 0 if not hosted else 1,
            "options": "none" if not hosted else "elasticPool, singleUseAgents",
            "createdOn": now(),
        }
        store.put("pool", f"{id_:09}", pool)


def seed_project(store: Store, project_id: str) -> None:
    """A queue for each pool that is given to every project."""
    for pool in store.all("pool"):
        id_ = store.next_number("queue")
        queue = {"id": id_, "projectId": project_id, "name": pool["name"], "pool": pool["id"]}
        store.put("queue", f"{project_id}/{id_:09}", queue)


def pool_reference(store: Store, id_: int) -> Document:
    """The short form of a pool."""
    pool = store.get("pool", f"{id_:09}")
    assert pool is not None  # noqa: S101 - queues are made of pools
    return {key: pool[key] for key in ("id", "scope", "name", "isHosted", "poolType", "size", "isLegacy", "options")}


def queue_of(store: Store, project_id: str, *, name: str | None = None, id_: int | None = None) -> Document | None:
    """A project's queue by its name, in any case, or its id."""
    for queue in store.all("queue", f"{project_id}/"):
        if queue["id"] == id_ or (name is not None and queue["name"].casefold() == name.casefold()):
            return queue
    return None


def _shown(call: Call, queue: Document) -> Document:
    return {
        "id": queue["id"],
        "projectId": queue["projectId"],
        "name": queue["name"],
        "pool": pool_reference(call.store, queue["pool"]),
    }


@queues.on("GET")
def get_queues(call: Call) -> Answer:
    project = project_of(call)
    if "queueId" in call.route:
        queue = queue_of(call.store, project["id"], id_=call.number("queueId"))
        if queue is None:
            message = (
                f"The agent queue {call.route['queueId']} does not exist or you do not have permissions to view it."
            )
            raise ServiceError(404, message, "TaskAgentQueueNotFoundException")
        return _shown(call, queue)
    found = call.store.all("queue", f"{project['id']}/")
    for parameter, key in (("queuename", "name"), ("queuenames", "name"), ("queueids", "id"), ("poolids", "pool")):
        if call.query.get(parameter):
            wanted = [each.strip().casefold() for each in call.query[parameter].split(",")]
            found = [each for each in found if str(each[key]).casefold() in wanted]
    return [_shown(call, queue) for queue in found]


@pools.on("GET")
def get_pools(call: Call) -> Answer:
    owner = call.store.get("identity", identities.COLLECTION_ADMINISTRATORS)
    shown = [
        pool | {"createdBy": identities.reference(owner, call.vssps), "owner": identities.reference(owner, call.vssps)}
        for pool in call.store.all("pool")
        if owner is not None
    ]
    if "poolId" in call.route:
        found = [each for each in shown if each["id"] == call.number("poolId")]
        if not found:
            message = f"No agent pool found with identifier {call.route['poolId']}."
            raise ServiceError(404, message, "TaskAgentPoolNotFoundException")
        return found[0]
    if call.query.get("poolname"):
        shown = [each for each in shown if each["name"].casefold() == call.query["poolname"].casefold()]
    if call.query.get("pooltype"):
        shown = [each for each in shown if each["poolType"] == call.query["pooltype"].lower()]
    return shown

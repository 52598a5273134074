"""The exclusive lock of a resource: one stage has it, from its gate to its end, and others wait.

https://learn.microsoft.com/azure/devops/pipelines/process/approvals#exclusive-lock. A stage asks for its locks when
everything else has passed, and gets all of them at once, so that no two stages wait for each other.
`sequential` lets the waiting stages through in the order of their runs; `runLatest` lets only the newest run of
each pipeline through, and the others are cancelled.
"""

from rehearsal.azuredevops import build
from rehearsal.store import Document, Store


def _place(project_id: str, resource: Document) -> str:
    return f"{project_id}/{resource['type']}/{resource['id']}/"


def _waiter(project_id: str, resource: Document, gate: Document) -> str:
    return f"{_place(project_id, resource)}{gate['run']:09}/{gate['stage']}"


def holder(store: Store, project_id: str, resource: Document) -> Document | None:
    """Who has the lock of a resource: `run`, `stage` and `since`; or None."""
    place = _place(project_id, resource)
    found = store.get("lock", place)
    if found is None:
        return None
    run = store.get("run", build.key(project_id, found["run"]))
    if run is not None and run.get("status") != "completed":
        return found
    # A run that has ended holds nothing, whatever happened to its stage.
    store.delete("lock", place)
    return None


def acquire(
    store: Store, gate: Document, resources: list[Document], behavior: str, time: str
) -> tuple[bool, str, bool]:
    """Asks for the locks of all these resources.

    Args:
        store: of the organisation.
        gate: whose stage asks: `project`, `run`, `definition`, `stage`.
        resources: documents with `type`, `id` and `name`.
        behavior: `sequential` or `runLatest`.
        time: of the question.

    Returns:
        Whether the stage has them now; if not, for what it waits; and whether it waits in vain, because a newer run of
        its pipeline waits, too.
    """
    project_id = gate["project"]
    mine = {"run": gate["run"], "definition": gate["definition"], "stage": gate["stage"], "since": time}
    for resource in resources:
        place = _waiter(project_id, resource, gate)
        if store.get("lock-waiter", place) is None:
            store.put("lock-waiter", place, mine | {"behavior": behavior})
    for resource in resources:
        waiting = [
            each for each in store.all("lock-waiter", _place(project_id, resource)) if _lives(store, project_id, each)
        ]
        rivals = [each for each in waiting if (each["run"], each["stage"]) != (gate["run"], gate["stage"])]
        if behavior != "sequential":
            newer = [each for each in rivals if each["definition"] == gate["definition"] and each["run"] > gate["run"]]
            if newer:
                run = max(each["run"] for each in newer)
                return False, f"a newer run ({run}) waits for the exclusive lock of {resource['name']}", True
        held = holder(store, project_id, resource)
        if held is not None and (held["run"], held["stage"]) != (gate["run"], gate["stage"]):
            return False, f"waits for the exclusive lock of {resource['name']}, which run {held['run']} has", False
        earlier = [each for each in rivals if _precedes(each, gate)]
        if earlier:
            run = min(each["run"] for each in earlier)
            return False, f"waits for the exclusive lock of {resource['name']} behind run {run}", False
    for resource in resources:
        store.put("lock", _place(project_id, resource), mine)
        store.delete("lock-waiter", _waiter(project_id, resource, gate))
    return True, "", False


def _precedes(other: Document, gate: Document) -> bool:
    """Whether another stage that waits comes first; of a pipeline that runs its latest, an older run never does."""
    if other["behavior"] != "sequential" and other["definition"] == gate["definition"]:
        return False
    return bool((other["run"], other["stage"]) < (gate["run"], gate["stage"]))


def _lives(store: Store, project_id: str, waiter: Document) -> bool:
    run = store.get("run", build.key(project_id, waiter["run"]))
    return run is not None and run.get("status") != "completed"


def release(store: Store, gate: Document, resources: list[Document]) -> None:
    """Gives up the locks that the gate's stage has, and its places among those that wait."""
    for resource in resources:
        place = _place(gate["project"], resource)
        held = store.get("lock", place)
        if held is not None and (held["run"], held["stage"]) == (gate["run"], gate["stage"]):
            store.delete("lock", place)
        store.delete("lock-waiter", _waiter(gate["project"], resource, gate))

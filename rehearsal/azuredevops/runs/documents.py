"""What is kept of a run: the run itself, the graph of its stages and jobs, and where to find a job again.

| kind | key | what |
|---|---|---|
| `run` | project / run | what was asked for, and how it stands |
| `run-graph` | project / run | stages, jobs and legs with their states, see `graph` |
| `active-run` | project / run | runs that have not ended |
| `job` | id of the job | where it is: project, run, and its names in the graph |
| `waiting-job` | number | jobs that wait for an agent, in their order |
| `job-token` | SHA-256 of the token | whose the access token of a running job is |
| `heartbeat` | id of the job | when its agent was last heard of |
"""

from typing import Literal, TypeAlias

from rehearsal.azuredevops import build
from rehearsal.store import Document, Store

Reason: TypeAlias = Literal[
    "manual", "individualCI", "batchedCI", "pullRequest", "schedule", "resourceTrigger", "buildCompletion"
]


def find(store: Store, project_id: str, run_id: int) -> Document | None:
    """The run, or None."""
    return store.get("run", build.key(project_id, run_id))


def keep(store: Store, project_id: str, run: Document) -> None:
    """Keeps the run, and whether there is still something to do for it."""
    place = build.key(project_id, run["id"])
    store.put("run", place, run)
    if run["status"] == "completed":
        store.delete("active-run", place)
    elif store.get("active-run", place) is None:
        store.put("active-run", place, {"project": project_id, "run": run["id"]})


def graph_of(store: Store, project_id: str, run_id: int) -> Document:
    """The run's graph; an empty one for a run that never got so far."""
    return store.get("run-graph", build.key(project_id, run_id)) or {"stages": []}


def keep_graph(store: Store, project_id: str, run_id: int, graph: Document) -> None:
    """Keeps the graph."""
    store.put("run-graph", build.key(project_id, run_id), graph)


def of_definition(store: Store, project_id: str, definition_id: int) -> list[Document]:
    """The runs of a pipeline, the newest first."""
    found = store.all("run", f"{project_id}/")
    return [each for each in reversed(found) if each["definition"] == definition_id]

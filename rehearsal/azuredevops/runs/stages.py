"""Trying a stage again, and cancelling one: https://learn.microsoft.com/rest/api/azure/devops/build/stages/update."""

from rehearsal.agent.language.outcomes import ancestors
from rehearsal.agent.language.plan import Pipeline
from rehearsal.azuredevops import permissions
from rehearsal.azuredevops.context import Call, Service, now
from rehearsal.azuredevops.errors import ServiceError, invalid
from rehearsal.azuredevops.permissions import BUILD
from rehearsal.azuredevops.projects import project_of
from rehearsal.azuredevops.routing import Answer, location
from rehearsal.azuredevops.run_access import run_of
from rehearsal.azuredevops.runs import documents, graph, sources
from rehearsal.store import Document

stages = location(
    "build",
    "stages",
    "{project}/_apis/{area}/builds/{buildId}/{resource}/{stageRefName}",
    "b8aac6c9-744b-46e1-88fc-3550969f9313",
    complete=True,
)

_DONE = ("succeeded", "succeededWithIssues", "skipped")


@stages.on("PATCH")
def update(call: Call) -> Answer:
    project = project_of(call)
    run = run_of(call, project)
    body = call.document()
    name, wanted = call.route["stageRefName"], body.get("state")
    token = f"{project['id']}/{run['definition']}"
    if wanted not in ("retry", 1):
        # `cancel` (0) is there in the interface; a run is cancelled as a whole here.
        raise invalid(f"The state '{wanted}' is not supported; a stage can be tried again with 'retry'.")
    permissions.demand(call.store, call.user, BUILD, token, "QueueBuilds")
    retry(call.service, project, run, name, everything=bool(body.get("forceRetryAllJobs")), user=call.user)
    return None


def retry(service: Service, project: Document, run: Document, name: str, *, everything: bool, user: Document) -> None:
    """Has a stage tried again: its jobs that have not succeeded, and the stages that wait for it.

    Args:
        service, project, run: which run. It may have ended; then it goes on.
        name: the stage's name.
        everything: its jobs that have succeeded, too.
        user: who asks.

    Raises:
        ServiceError: 404, there is no such stage; 400, it has not ended, or there is nothing to try again.
    """
    with service.store.transaction():
        known = documents.graph_of(service.store, project["id"], run["id"])
        state = graph.named(known["stages"], name)
        if state is None:
            raise ServiceError(404, f"The stage {name} could not be found.", "StageNotFoundException")
        # An approval that nobody gave in time has skipped its stage, and that can be tried again.
        failed = state["result"] not in _DONE or (state["result"] == "skipped" and state["checks"])
        if state["state"] != "completed" or run["status"] == "cancelling" or not (failed or everything):
            words = f"The stage {name} cannot be retried: it has not ended, or it has not failed."
            raise invalid(words, "InvalidStageRetryException")
        if state["result"] == "skipped" and not state["checks"]:
            raise invalid(f"The stage {name} cannot be retried: it was skipped.", "InvalidStageRetryException")
        plan = sources.plan_of(service, project, run)
        _again(known, plan, state["name"], everything=everything)
        for each in _behind(plan, state["name"]):
            _again(known, plan, each, everything=True)
        documents.keep_graph(service.store, project["id"], run["id"], known)
        run["attempts"].append({"stage": state["name"], "by": user["id"], "on": now()})
        run |= {"status": "inProgress", "result": None, "finishTime": None}
        documents.keep(service.store, project["id"], run)
    service.wake()


def _behind(plan: Pipeline, name: str) -> list[str]:
    """The stages that wait for this one, directly or not."""
    edges = {stage.name: stage.depends_on for stage in plan.stages}
    return [each for each in edges if name in ancestors(each, edges)]


def _again(known: Document, plan: Pipeline, name: str, *, everything: bool) -> None:
    """Puts a new attempt in the place of a stage. One that never began isn't an attempt."""
    position = next(number for number, each in enumerate(known["stages"]) if each["name"] == name)
    before = known["stages"][position]
    if before["leftOut"] or before["state"] == "pending":
        return
    began = before["startTime"] is not None or before["checks"]
    attempt = before["attempt"] + 1 if began else before["attempt"]
    fresh = graph.new_stage(plan.stages[position], attempt=attempt)
    fresh["previous"] = [*before["previous"], {**before, "previous": []}] if began else before["previous"]
    if not everything:
        kept = {each["name"]: each for each in before["jobs"] if each["result"] in ("succeeded", "succeededWithIssues")}
        fresh["jobs"] = [kept.get(each["name"], each) for each in fresh["jobs"]]
    for each in fresh["jobs"]:
        if each["state"] == "pending":
            each["attempt"] = attempt
            for leg in each["legs"]:
                leg["attempt"] = attempt
    known["stages"][position] = fresh

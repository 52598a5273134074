"""What becomes of a run from one look to the next: stages begin, checks are asked, jobs are queued, results add up.

https://learn.microsoft.com/azure/devops/pipelines/process/runs, …/stages, …/phases and …/conditions. All of it happens
in one transaction of the caller; nothing here waits.
"""

import time
from dataclasses import dataclass

from rehearsal.agent.language.errors import ExpressionError
from rehearsal.agent.language.plan import DeploymentJob, Job, Pipeline, RegularJob, Stage
from rehearsal.azuredevops import environments, events
from rehearsal.azuredevops.context import Service, now
from rehearsal.azuredevops.runs import checkpoints, documents, graph, resources, sources
from rehearsal.azuredevops.runs.evaluation import Evaluation
from rehearsal.store import Document


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One look at one run.

    Args:
        service, project: where.
        run, plan, known: the run, its plan, its graph. `run` and `known` are changed; the caller keeps them.
        alive_since: seconds since the epoch: before that nobody could hear an agent, so nobody is blamed for it.
        agent_timeout: seconds without a word from the agent, after which a job is given up.
    """

    service: Service
    project: Document
    run: Document
    plan: Pipeline
    known: Document
    alive_since: float
    agent_timeout: float

    @property
    def evaluation(self) -> Evaluation:
        return Evaluation(self.service, self.project, self.run, self.plan, known=self.known)

    @property
    def cancelling(self) -> bool:
        return bool(self.run["status"] == "cancelling")

    def stages(self) -> list[tuple[Stage, Document]]:
        """The stages of the plan with their states."""
        return list(zip(self.plan.stages, self.known["stages"], strict=True))


def advance(turn: Turn) -> None:
    """Does everything that can be done for the run by now."""
    if turn.run["status"] == "notStarted":
        turn.run.update({"status": "inProgress", "startTime": now()})
    while any([_advance_stage(turn, stage, state) for stage, state in turn.stages()]):  # noqa: C419 - all of them
        pass
    if all(state["state"] == "completed" for _, state in turn.stages()):
        _complete(turn)


def _complete(turn: Turn) -> None:
    """Ends the run with what its stages come to.

    Skipped stages count for nothing, one whose approval nobody gave in time among them: such a run has succeeded
    (https://github.com/microsoft/azure-pipelines-tasks/issues/14584), as has one with nothing but skipped stages
    (https://github.com/MicrosoftDocs/azure-devops-docs/issues/12062).
    """
    results = {state["result"] for _, state in turn.stages()}
    if turn.cancelling:
        result = "canceled"
    elif results & {"failed", "abandoned"}:
        result = "failed"
    elif "canceled" in results:
        result = "canceled"
    else:
        result = "partiallySucceeded" if "succeededWithIssues" in results else "succeeded"
    finish(turn.service, turn.project, turn.run, result)


def finish(service: Service, project: Document, run: Document, result: str, error: str | None = None) -> None:
    """Ends a run, and says so to everybody. `error`: what kept it from going on."""
    run |= {"status": "completed", "result": result, "finishTime": now()}
    run["startTime"] = run["startTime"] or run["finishTime"]
    if error:
        run["errors"].append(error)
    documents.keep(service.store, project["id"], run)
    sources.forget(service, project["id"], run["id"])
    events.publish(service, "run-completed", project=project, run=run)


def _advance_stage(turn: Turn, stage: Stage, state: Document) -> bool:
    """Whether something has changed that others may wait for."""
    match state["state"]:
        case "pending":
            return _begin_stage(turn, stage, state)
        case "checking":
            return _check_stage(turn, stage, state)
        case "running":
            return _run_stage(turn, stage, state)
    return False


def _begin_stage(turn: Turn, stage: Stage, state: Document) -> bool:
    evaluation = turn.evaluation
    ended = {each["name"] for each in turn.known["stages"] if each["state"] == "completed"}
    if not set(evaluation.depends_on(stage)) <= ended:
        return False
    try:
        runs = evaluation.stage_runs(stage, canceled=turn.cancelling)
    except ExpressionError as error:
        state["issues"].append({"type": "error", "message": str(error)})
        _give_up(state, "failed")
        return True
    if runs:
        state |= {"state": "checking", "afterCancel": turn.cancelling}
    else:
        _give_up(state, "skipped")
    return True


def _check_stage(turn: Turn, stage: Stage, state: Document) -> bool:
    if turn.cancelling and not state["afterCancel"]:
        checkpoints.leave(turn.service, turn.project, turn.run, state)
        _give_up(state, "canceled")
        return True
    used = resources.of_stage(turn.service.store, turn.project, turn.run, turn.plan, stage)
    verdict = checkpoints.advance(turn.service, turn.project, turn.run, stage, state, used=used)
    if verdict.state == "passed":
        state |= {"state": "running", "startTime": now()}
        return True
    if verdict.state == "failed":
        state["issues"].append({"type": "error", "message": verdict.reason})
        checkpoints.leave(turn.service, turn.project, turn.run, state)
        _give_up(state, verdict.result)
        return True
    return False


def _run_stage(turn: Turn, stage: Stage, state: Document) -> bool:
    changed = [_advance_job(turn, stage, job, state) for job in stage.jobs]
    jobs = state["jobs"]
    if all(each["state"] == "completed" for each in jobs):
        _end(state, graph.worst(each["result"] for each in jobs))
        checkpoints.leave(turn.service, turn.project, turn.run, state)
        return True
    return any(changed)


def _give_up(state: Document, result: str) -> None:
    """Ends a stage that has not begun, with its jobs."""
    for job in state["jobs"]:
        for node in (job, *job["legs"]):
            if node["state"] != "completed":
                _end(node, "skipped")
    _end(state, result)


def _end(node: Document, result: str) -> None:
    node |= {"state": "completed", "result": result, "finishTime": now()}


def _advance_job(turn: Turn, stage: Stage, job: Job, stage_state: Document) -> bool:
    state = graph.named(stage_state["jobs"], job.name)
    if state is None or state["state"] == "completed":
        return False
    if state["state"] == "pending":
        return _begin_job(turn, stage, job, stage_state, state)
    for leg in state["legs"]:
        _watch(turn, job, state, leg)
    _queue_legs(turn, stage, job, state)
    if any(leg["state"] != "completed" for leg in state["legs"]):
        return False
    result = graph.worst(leg["result"] for leg in state["legs"])
    if job.continue_on_error and result == "failed":
        result = "succeededWithIssues"
    _end(state, result)
    if isinstance(job, DeploymentJob):
        environment = resources.environment_of(turn.service.store, turn.project, job)
        if environment is not None:
            environments.record(turn.service, turn.project, environment, turn.run, stage.name, state)
    return True


def _begin_job(turn: Turn, stage: Stage, job: Job, stage_state: Document, state: Document) -> bool:
    ended = {each["name"] for each in stage_state["jobs"] if each["state"] == "completed"}
    if not set(job.depends_on) <= ended:
        return False
    # In a stage that began in spite of the cancellation, jobs without a condition run, too. The page on
    # conditions: "stage2 will still run".
    canceled = turn.cancelling and not stage_state["afterCancel"]
    try:
        runs = turn.evaluation.job_runs(stage, job, canceled=canceled)
    except ExpressionError as error:
        # "The service then abandons the job": https://learn.microsoft.com/azure/devops/pipelines/process/conditions
        state["issues"].append({"type": "error", "message": str(error)})
        runs, result = False, "abandoned"
    else:
        result = "skipped"
    if runs:
        state |= {"state": "running", "afterCancel": turn.cancelling}
        _queue_legs(turn, stage, job, state)
        return True
    for leg in state["legs"]:
        _end(leg, result)
    _end(state, result)
    return True


def _queue_legs(turn: Turn, stage: Stage, job: Job, state: Document) -> None:
    """Lets the legs wait for an agent, as many at once as the strategy allows."""
    most = (job.max_parallel if isinstance(job, RegularJob) else 0) or len(state["legs"])
    at_work = sum(leg["state"] in ("queued", "running") for leg in state["legs"])
    for leg in state["legs"]:
        if leg["state"] == "pending" and at_work < most:
            at_work += 1
            pool = resources.pool_name(turn.service.store, turn.project, turn.run, turn.plan, stage, job=job)
            enqueue(turn.service, turn.project, turn.run, leg, pool)


def enqueue(service: Service, project: Document, run: Document, leg: Document, pool: str) -> None:
    """Puts a leg at the end of the queue of its pool."""
    place = f"{service.store.next_number('waiting-job'):012}"
    leg |= {"state": "queued", "queueTime": now(), "pool": pool, "waiting": place}
    there = {"project": project["id"], "run": run["id"], "job": leg["id"], "pool": pool, "place": place}
    service.store.put("job", leg["id"], there)
    service.store.put("waiting-job", place, there)


def _watch(turn: Turn, job: Job, state: Document, leg: Document) -> None:
    """Cancels a leg, gives it up, or ends it when its time is over."""
    cancel = turn.cancelling and not state.get("afterCancel")
    if leg["state"] in ("pending", "queued") and cancel:
        end_leg(turn.service, leg, "canceled")
    if leg["state"] != "running":
        return
    heard = turn.service.store.get("heartbeat", leg["id"]) or {"at": 0.0, "heard": True}
    if time.time() - max(float(heard["at"]), turn.alive_since) > turn.agent_timeout:
        if not heard["heard"] and not leg["returned"] and leg["cancel"] is None:
            # Nobody ever spoke of it: the answer with the job was lost on its way. It goes to somebody else, once.
            leg["returned"] = True
            turn.service.store.delete("job-token", leg["token"])
            leg |= {"token": None, "agent": None, "startTime": None}
            enqueue(turn.service, turn.project, turn.run, leg, leg["pool"])
            return
        words = (
            f"We stopped hearing from agent {leg['agent']}. Verify the agent machine is running and has a healthy "
            "network connection. Anything that terminates an agent process, starves it for CPU, or blocks its network "
            "access can cause this error."
        )
        leg["issues"].append({"type": "error", "message": words})
        end_leg(turn.service, leg, "canceled" if leg["cancel"] and turn.cancelling else "failed")
    elif leg["cancel"] is not None:
        # The agent gets this long for the steps that run always; then nobody waits any more.
        if time.time() - leg["cancel"] > job.cancel_timeout_minutes * 60 + turn.agent_timeout:
            end_leg(turn.service, leg, "canceled")
    elif cancel:
        leg["cancel"] = time.time()
    elif job.timeout_minutes and time.time() - leg["since"] > job.timeout_minutes * 60:
        words = (
            f"The job running on agent {leg['agent']} ran longer than the maximum time of {job.timeout_minutes} "
            "minutes. For more information, see https://go.microsoft.com/fwlink/?linkid=2077134"
        )
        leg["issues"].append({"type": "error", "message": words})
        leg["cancel"] = time.time()


def end_leg(service: Service, leg: Document, result: str) -> None:
    """Ends a leg, whatever it is doing: nobody waits for it, and its token opens nothing any more."""
    if leg["waiting"]:
        service.store.delete("waiting-job", leg["waiting"])
    if leg["token"]:
        service.store.delete("job-token", leg["token"])
    service.store.delete("heartbeat", leg["id"])
    leg |= {"waiting": None, "token": None}
    _end(leg, result)


def abandon(service: Service, known: Document) -> None:
    """Ends everything that has not ended in a graph."""
    for stage, job, leg in graph.legs(known):
        if leg["state"] != "completed":
            end_leg(service, leg, "abandoned")
        for node in (job, stage):
            if node["state"] != "completed":
                _end(node, "abandoned")


def cancel(service: Service, project: Document, run: Document) -> None:
    """Asks for the end of a run. What has an `always()` still runs."""
    if run["status"] != "completed":
        run["status"] = "cancelling"
        documents.keep(service.store, project["id"], run)

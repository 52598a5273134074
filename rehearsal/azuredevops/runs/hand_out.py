"""Handing a job to an agent, and taking its result."""

import secrets
import time
from collections.abc import Mapping
from typing import Any

from rehearsal.agent import messages
from rehearsal.agent.language.errors import ExpressionError
from rehearsal.agent.language.plan import CheckoutStep, DeploymentJob, Job, Pipeline, RegularJob, Stage, job_steps
from rehearsal.agent.messages import JobRequest
from rehearsal.azuredevops import git_store, identities
from rehearsal.azuredevops.context import Service, by_name, now
from rehearsal.azuredevops.errors import ServiceError
from rehearsal.azuredevops.runs import documents, graph, machine, resources, run_variables, sources
from rehearsal.azuredevops.runs.evaluation import Evaluation
from rehearsal.store import Document, secret_key

RESULTS = {
    "Succeeded": "succeeded",
    "SucceededWithIssues": "succeededWithIssues",
    "Failed": "failed",
    "Canceled": "canceled",
}


def take(service: Service, agent: str, pool: str | None, origin: str) -> JobRequest | None:
    """The next job for an agent, or None while there is none.

    Args:
        service: the organisation.
        agent: the agent's name.
        pool: the only pool that it serves; None: all of them.
        origin: where the agent reached the service.
    """
    with service.store.transaction():
        for there in service.store.all("waiting-job"):
            if pool is not None and there["pool"].casefold() != pool.casefold():
                continue
            request = _hand_out(service, there, agent, origin)
            if request is not None:
                return request
    return None


def _hand_out(service: Service, there: Document, agent: str, origin: str) -> JobRequest | None:
    store = service.store
    project = store.get("project", there["project"])
    run = documents.find(store, there["project"], there["run"])
    known = documents.graph_of(store, there["project"], there["run"])
    found = graph.leg_of(known, there["job"])
    if project is None or run is None or found is None:
        store.delete("waiting-job", there["place"])
        return None
    _, job_state, leg = found
    token = secrets.token_urlsafe(39)
    try:
        plan = sources.plan_of(service, project, run)
        evaluation = Evaluation(service, project, run, plan, known=known, origin=origin)
        request = _request(service, evaluation, run, plan, found, token=token)
    except (ServiceError, ExpressionError) as error:
        leg["issues"].append({"type": "error", "message": str(error)})
        machine.end_leg(service, leg, "failed")
        request = None
    else:
        store.delete("waiting-job", leg["waiting"])
        identity = identities.build_service(store, project["id"])
        assert identity is not None  # noqa: S101 - it came with the first run
        store.put("job-token", secret_key(token), {"identity": identity["id"], "job": leg["id"]})
        store.put("heartbeat", leg["id"], {"at": time.time(), "heard": False})
        time_ = now()
        leg |= {"state": "running", "agent": agent, "startTime": time_, "since": time.time(), "waiting": None}
        leg["token"] = secret_key(token)
        job_state["startTime"] = job_state["startTime"] or time_
    documents.keep_graph(store, project["id"], run["id"], known)
    service.wake()
    return request


def _request(
    service: Service,
    evaluation: Evaluation,
    run: Document,
    plan: Pipeline,
    found: tuple[Document, Document, Document],
    *,
    token: str,
) -> JobRequest:
    project = evaluation.project
    stage_state, job_state, leg_state = found
    stage = next(each for each in plan.stages if each.name == stage_state["name"])
    job = next(each for each in stage.jobs if each.name == job_state["name"])
    legs = job.legs if isinstance(job, RegularJob) else ()
    leg = next((each for each in legs if each.name == leg_state["leg"]), None)
    environment = resources.environment_of(service.store, project, job) if isinstance(job, DeploymentJob) else None
    predefined = evaluation.predefined | _of_job(stage, job, found, environment)
    variables = evaluation.layers(stage, job, leg)
    # The last one of a name is the one that counts, and whether it is secret, too.
    last = {each.name.casefold(): each for each in variables}
    return JobRequest(
        id=leg_state["id"],
        attempt=leg_state["attempt"],
        name=job.name,
        display_name=job.display_name,
        stage=stage.name,
        project=messages.Project(id=project["id"], name=project["name"]),
        run_id=run["id"],
        definition=messages.Definition(
            id=run["definition"],
            name=evaluation.definition["body"]["name"],
            folder=evaluation.definition["body"]["path"],
        ),
        token=token,
        predefined=predefined,
        variables=variables,
        secrets={each.name: each.value for each in last.values() if each.secret},
        repositories=_repositories(service, evaluation, run, plan, job),
        pipelines={alias: _pipeline(service, each) for alias, each in run["pipelines"].items()},
        connections=tuple(_connection(each) for each in resources.connections_of(service.store, project, job)),
        steps=job.steps if isinstance(job, RegularJob) else (),
        hooks=job.hooks if isinstance(job, DeploymentJob) else (),
        on_success=job.on_success if isinstance(job, DeploymentJob) else None,
        on_failure=job.on_failure if isinstance(job, DeploymentJob) else None,
        output_prefix=messages.output_prefix(job, leg.name if leg else None),
        timeout_minutes=job.timeout_minutes,
        cancel_timeout_minutes=job.cancel_timeout_minutes,
        workspace_clean=job.workspace_clean,
        environment=messages.Environment(id=environment["id"], name=environment["name"]) if environment else None,
    )


def _connection(endpoint: Document) -> messages.Connection:
    body = endpoint["body"]
    return messages.Connection(
        id=endpoint["id"],
        name=body["name"],
        scheme=body["authorization"].get("scheme", ""),
        parameters=body["authorization"].get("parameters") or {},
        data=body.get("data") or {},
    )


def _of_job(
    stage: Stage, job: Job, found: tuple[Document, Document, Document], environment: Document | None
) -> dict[str, str]:
    """The service's own variables that belong to one job."""
    stage_state, job_state, leg_state = found
    names = [leg["leg"] for leg in job_state["legs"]]
    leg = leg_state["leg"]
    values = {
        "System.JobAttempt": str(leg_state["attempt"]),
        "System.JobDisplayName": f"{job.display_name} {leg}" if leg else job.display_name,
        "System.JobId": leg_state["id"],
        "System.JobName": leg or job.name,
        "System.JobPositionInPhase": str(names.index(leg) + 1),
        "System.PhaseAttempt": str(job_state["attempt"]),
        "System.PhaseDisplayName": job.display_name,
        "System.PhaseName": job.name,
        "System.StageAttempt": str(stage_state["attempt"]),
        "System.StageDisplayName": stage.display_name,
        "System.StageName": stage.name,
        "System.TotalJobsInPhase": str(len(names)),
    }
    if environment is not None:
        values |= {"Environment.Id": str(environment["id"]), "Environment.Name": environment["name"]}
    return values


def _pipeline(service: Service, chosen: Document) -> messages.PipelineRun:
    details = run_variables.resource(service.store, chosen)
    return messages.PipelineRun(
        project_id=chosen["project"],
        definition_id=chosen["definition"],
        definition_name=details["pipelineName"],
        run_id=chosen["run"],
        number=str(chosen["number"]),
        branch=chosen["branch"],
        commit=str(chosen["commit"]),
    )


def _repositories(
    service: Service, evaluation: Evaluation, run: Document, plan: Pipeline, job: Job
) -> Mapping[str, messages.Repository]:
    """The repositories by alias: the pipeline's own, and those that steps of this job check out."""
    project, own, origin = evaluation.project, evaluation.repository, evaluation.origin
    result = {"self": _repository(project, own, run["branch"], str(run["sourceVersion"]), origin)}
    wanted = {step.repository.casefold() for step in job_steps(job) if isinstance(step, CheckoutStep)}
    for each in plan.repositories:
        if each.alias.casefold() not in wanted:
            continue
        found = by_name(service.store.all("repository", f"{project['id']}/"), each.name.rpartition("/")[2])
        commit = git_store.git(service, found).resolve(each.ref) if found else None
        if found is None or commit is None:
            raise sources.refused(f"{each.position}: The repository {each.name} has no {each.ref}.")
        result[each.alias] = _repository(project, found, each.ref, commit, origin)
    return result


def _repository(project: Document, repository: Document, ref: str, commit: str, origin: str) -> messages.Repository:
    return messages.Repository(
        id=repository["id"],
        name=repository["name"],
        url=run_variables.clone_url(origin, project, repository),
        default_branch=repository["defaultBranch"] or "refs/heads/main",
        ref=ref,
        commit=commit,
    )


def find(service: Service, job_id: str) -> tuple[Document, Document, Document]:
    """Where a running job is: project and run, as their ids, then its graph, and its leg.

    Raises:
        ServiceError: 404, there is no such job any more: it has ended, or a newer attempt has taken its place.
    """
    there = service.store.get("job", job_id)
    known = documents.graph_of(service.store, there["project"], there["run"]) if there else {"stages": []}
    found = graph.leg_of(known, job_id)
    if there is None or found is None:
        raise ServiceError(404, f"The job {job_id} is not known.", "TaskOrchestrationJobNotFoundException")
    return there, known, found[2]


def heartbeat(service: Service, job_id: str) -> bool:
    """Notes that the agent is there; says whether it should stop the job."""
    with service.store.transaction():
        _, _, leg = find(service, job_id)
        if leg["state"] != "running":
            return True
        service.store.put("heartbeat", job_id, {"at": time.time(), "heard": True})
        return leg["cancel"] is not None


def finish(service: Service, job_id: str, result: str, outputs: Mapping[str, Any]) -> None:
    """The agent says how the job ended. Said twice, the first time counts."""
    with service.store.transaction():
        there, known, leg = find(service, job_id)
        if leg["state"] != "running":
            return
        for name, given in outputs.items():
            one = given if isinstance(given, dict) else {"value": given, "secret": False}
            leg["outputs"][name] = {"value": str(one["value"]), "secret": bool(one.get("secret"))}
        machine.end_leg(service, leg, RESULTS[result])
        documents.keep_graph(service.store, there["project"], there["run"], known)
    service.wake()

"""What a run uses that is protected: environments, agent queues, variable groups, service connections.

All of it must be there when the run is queued. Whether the pipeline may use it is asked before each stage: until
somebody permits it the stage waits ("This pipeline needs permission to access a resource before this run can
continue"). https://learn.microsoft.com/azure/devops/pipelines/process/resources#authorize-a-yaml-pipeline
"""

from collections.abc import Iterable

from rehearsal.agent import tasks
from rehearsal.agent.language.errors import PipelineError, Position
from rehearsal.agent.language.plan import DeploymentJob, Job, Pipeline, Stage, TaskStep, job_steps
from rehearsal.agent.language.runtime import RunVariables
from rehearsal.azuredevops import agents, variable_groups
from rehearsal.azuredevops.agents import HOSTED_POOL
from rehearsal.azuredevops.context import by_name
from rehearsal.azuredevops.runs import run_variables, sources
from rehearsal.store import Document, Store

# Inputs that name a service connection, by what the tasks themselves call them.
_CONNECTIONS = ("azuresubscription", "connectedservicename", "connectedservicenamearm")


def check(store: Store, project: Document, run: Document, plan: Pipeline) -> None:
    """Goes on only when everything that the plan uses is there, tasks included.

    Raises:
        ServiceError: 400, with the place of the first thing that isn't.
    """
    try:
        tasks.check(plan)
    except PipelineError as error:
        raise sources.refused(str(error)) from error
    for stage in plan.stages:
        for job in stage.jobs:
            _check_job(store, project, job)
            pool = pool_name(store, project, run, plan, stage, job=job)
            if agents.queue_of(store, project["id"], name=pool) is None:
                place = (job.pool or stage.pool or plan.pool or job).position
                raise sources.refused(
                    f"{place}: Could not find a pool with name {pool}. The pool does not exist or has not been "
                    "authorized for use."
                )


def _check_job(store: Store, project: Document, job: Job) -> None:
    if isinstance(job, DeploymentJob) and environment_of(store, project, job) is None:
        # The service makes an environment that is missing when whoever pushed the file may do that. Gates belong to
        # environments, so a new one would have none: that is refused here.
        raise sources.refused(
            f"{job.position}: Job {job.name}: Environment {job.environment} could not be found. The environment does "
            "not exist or has not been authorized for use."
        )
    for position, name in _connections(job):
        if by_name((each["body"] for each in store.all("endpoint", f"{project['id']}/")), name) is None:
            raise sources.refused(
                f"{position}: Job {job.name}: Step references service connection {name} which could not be found. The "
                "service connection does not exist, has been disabled or has not been authorized for use."
            )


def environment_of(store: Store, project: Document, job: DeploymentJob) -> Document | None:
    """The environment of a deployment job, or None."""
    return by_name(store.all("environment", f"{project['id']}/"), job.environment)


def pool_name(store: Store, project: Document, run: Document, plan: Pipeline, stage: Stage, *, job: Job) -> str:
    """The pool in which a job runs. Its name may hold variables that are known before the run."""
    definition = sources.definition_of(store, project["id"], run["definition"]) or {"body": {}}
    pool = job.pool or stage.pool or plan.pool
    if pool is not None:
        layers = (run_variables.of_settings(definition), run_variables.of_queue_time(run), plan.variables)
        known = RunVariables({}, *layers, stage.variables)
        name = known.expand(pool.name or "").strip()
        if name:
            return name
        if known.expand(pool.vm_image or "").strip():
            return HOSTED_POOL
    queue = definition["body"].get("queue") or {}
    return str(queue.get("name") or HOSTED_POOL)


def _connections(job: Job) -> Iterable[tuple[Position, str]]:
    """The service connections that steps name. One in a variable isn't known before the run."""
    for step in job_steps(job):
        if isinstance(step, TaskStep):
            for name, value in step.inputs.items():
                if name.lower() in _CONNECTIONS and "$(" not in value:
                    yield step.position, value


def connections_of(store: Store, project: Document, job: Job) -> list[Document]:
    """The service connections that steps of a job name, each once."""
    known = store.all("endpoint", f"{project['id']}/")
    names = {name.casefold() for _, name in _connections(job)}
    return [each for each in known if each["body"]["name"].casefold() in names]


def of_stage(store: Store, project: Document, run: Document, plan: Pipeline, stage: Stage) -> list[Document]:
    """What a stage uses: `{"type": "environment|queue|variablegroup|endpoint", "id", "name"}`, each once."""
    found: dict[tuple[str, str], Document] = {}

    def add(kind: str, id_: object, name: str) -> None:
        found[kind, str(id_)] = {"type": kind, "id": str(id_), "name": name}

    scopes = (plan.variables, stage.variables, *(job.variables for job in stage.jobs))
    for name in dict.fromkeys(each.group for scope in scopes for each in scope if each.group):
        group = variable_groups.find_group(store, project, name)
        if group is not None:
            add("variablegroup", group["id"], group["name"])
    for job in stage.jobs:
        if isinstance(job, DeploymentJob):
            environment = environment_of(store, project, job)
            if environment is not None:
                add("environment", environment["id"], environment["name"])
        queue = agents.queue_of(store, project["id"], name=pool_name(store, project, run, plan, stage, job=job))
        if queue is not None:
            add("queue", queue["id"], queue["name"])
        for each in connections_of(store, project, job):
            add("endpoint", each["id"], each["body"]["name"])
    return list(found.values())


def unpermitted(store: Store, project: Document, definition_id: int, used: Iterable[Document]) -> list[Document]:
    """Those of the resources that the pipeline may not use yet."""
    return [each for each in used if not _permitted(store, project, definition_id, each)]


def _permitted(store: Store, project: Document, definition_id: int, resource: Document) -> bool:
    if resource["type"] == "queue" and resource["name"] == HOSTED_POOL:
        return True  # Microsoft's pool is open to every pipeline of a project from the first day on
    place = f"{project['id']}/{resource['type']}/{resource['id'].lower()}"
    kept = store.get("pipeline-permission", place) or {}
    if kept.get("allPipelines") or str(definition_id) in kept.get("pipelines", {}):
        return True
    # The older interface opens a resource to all pipelines of the project.
    return store.get("resource-authorization", f"{project['id']}/{resource['type']}/{resource['id']}") is not None

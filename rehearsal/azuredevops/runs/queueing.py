"""Starting a run: what is asked for is looked at whole before anything of it is kept.

https://learn.microsoft.com/rest/api/azure/devops/pipelines/runs/run-pipeline and
https://learn.microsoft.com/azure/devops/pipelines/process/run-number.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rehearsal.agent.language.errors import ExpressionError
from rehearsal.agent.language.plan import Pipeline, PipelineResource
from rehearsal.agent.language.run_number import run_number
from rehearsal.azuredevops import git_store, identities, permissions
from rehearsal.azuredevops.context import Service, new_id, now
from rehearsal.azuredevops.errors import ServiceError, invalid
from rehearsal.azuredevops.runs import documents, graph, resources, run_variables, sources
from rehearsal.azuredevops.runs.documents import Reason
from rehearsal.azuredevops.runs.evaluation import Evaluation
from rehearsal.store import Document, Store


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a run is asked for.

    Args:
        reason: why it runs.
        user: for whom it runs.
        branch: by default that of the definition.
        commit: by default the branch's newest.
        parameters: values for the pipeline's `parameters`.
        variables: queue-time variables: `{name: {"value", "isSecret"}}`.
        pull_request: for the build of a pull request: `id`, `sourceBranch`, `targetBranch`, `sourceCommit`.
        pipelines: for pipeline resources, by alias: the number (name) or the id of the run that is to be used.
        skip_stages: names of stages to leave out.
        schedule: what the schedule in the YAML is called that starts the run; else empty.
    """

    reason: Reason
    user: Document
    branch: str | None = None
    commit: str | None = None
    parameters: Mapping[str, object] | None = None
    variables: Mapping[str, Document] | None = None
    pull_request: Document | None = None
    pipelines: Mapping[str, object] | None = None
    skip_stages: tuple[str, ...] = ()
    schedule: str = ""


def queue(service: Service, project: Document, definition_id: int, asked: Request) -> Document:
    """Starts a run of a pipeline. Whether the user may do that has been looked at before.

    Returns:
        The run's document.

    Raises:
        ServiceError: the YAML can't be read or is refused, with the place in it; or what is asked for isn't there.
    """
    with service.store.transaction():
        run = draft(service, project, definition_id, asked)
        plan = prepared(service, project, run, asked) if service.orchestrated else None
        _ensure_build_identity(service.store, project)
        run["id"] = service.store.next_number("run")
        run["number"] = _number(service, project, run, plan) if plan else str(run["id"])
        if plan:
            documents.keep_graph(service.store, project["id"], run["id"], graph.new(plan, run["stagesSkipped"]))
            sources.remember(service, project, run, plan)
        documents.keep(service.store, project["id"], run)
    service.wake()
    return run


def keep_refused(
    service: Service, project: Document, definition_id: int, asked: Request, error: ServiceError
) -> Document:
    """A run that nobody waits for and that can't be started: it is kept as failed, so that people see why."""
    with service.store.transaction():
        run = draft(service, project, definition_id, asked)
        run["id"] = service.store.next_number("run")
        time = now()
        run |= {"number": str(run["id"]), "status": "completed", "result": "failed", "errors": [error.message]}
        run |= {"startTime": time, "finishTime": time}
        documents.keep(service.store, project["id"], run)
    return run


def start(service: Service, project: Document, definition_id: int, asked: Request) -> None:
    """Starts a run; what is wrong with it is kept with it, for there is nobody to be told."""
    try:
        queue(service, project, definition_id, asked)
    except ServiceError as error:
        keep_refused(service, project, definition_id, asked, error)


def draft(service: Service, project: Document, definition_id: int, asked: Request) -> Document:
    """The run as it is asked for, not looked at any further than for its commit.

    Raises:
        ServiceError: there is no such definition, branch or commit, or it is disabled.
    """
    definition = sources.definition_of(service.store, project["id"], definition_id)
    if definition is None:
        raise ServiceError(404, f"Definition {definition_id} was not found.", "DefinitionNotFoundException")
    if definition["body"].get("queueStatus") == "disabled":
        raise invalid(f"Definition {definition_id} is disabled.", "DefinitionDisabledException")
    branch = sources.full_branch(asked.branch) if asked.branch else sources.default_branch(definition)
    return {
        "id": 0,
        "plan": new_id(),
        "definition": definition_id,
        "number": "",
        "branch": branch,
        "sourceVersion": _commit(service, definition, branch, asked.commit),
        "reason": asked.reason,
        "queuedAt": now(),
        "startTime": None,
        "finishTime": None,
        "requestedBy": asked.user["id"],
        "requestedFor": asked.user["id"],
        "templateParameters": dict(asked.parameters or {}),
        "variables": dict(asked.variables or {}),
        "pullRequest": asked.pull_request,
        "pipelines": {},
        "tags": [],
        "status": "notStarted",
        "result": None,
        "errors": [],
        "stagesSkipped": list(asked.skip_stages),
        "schedule": asked.schedule,
        "attempts": [],
        "yaml": definition["body"]["process"]["yamlFilename"],
    }


def _commit(service: Service, definition: Document, branch: str, commit: str | None) -> str | None:
    repository = sources.repository_of(service.store, definition)
    here = git_store.git(service, repository) if repository else None
    found = here.resolve(commit or branch) if here else None
    if found is None and service.orchestrated:
        name = repository["name"] if repository else "?"
        kind, short = ("Commit", commit) if commit else ("Branch", branch.removeprefix("refs/heads/"))
        message = (
            f"TF401175: The version descriptor <{kind}: {short} > could not be resolved to a version in the repository "
            f"{name}"
        )
        raise invalid(message, "GitUnresolvableToCommitException")
    return found


def prepared(service: Service, project: Document, run: Document, asked: Request) -> Pipeline:
    """Compiles the draft of a run, and puts in which runs its pipeline resources stand for.

    Raises:
        ServiceError: as `queue`.
    """
    definition = sources.definition_of(service.store, project["id"], run["definition"])
    assert definition is not None  # noqa: S101 - the draft was made of it
    settings = service.store.get("general-settings", f"{project['id']}/") or {}
    if settings.get("enforceSettableVar", True):
        _check_variables(definition, run["variables"])
    plan = sources.compiled(service, project, run)
    _check_stages(plan, run["stagesSkipped"])
    resources.check(service.store, project, run, plan)
    run["pipelines"] = _chosen(service.store, project, plan, asked.pipelines or {}, asked.reason)
    return plan


def _check_variables(definition: Document, given: Mapping[str, Document]) -> None:
    """Only what the settings say may be set when a run is queued (`System.Debug` always).

    https://learn.microsoft.com/azure/devops/pipelines/security/inputs#limit-variables-that-can-be-set-at-queue-time
    """
    settings = {name.casefold(): each for name, each in (definition["body"].get("variables") or {}).items()}
    refused = [
        name
        for name in given
        if name.casefold() != "system.debug" and not (settings.get(name.casefold()) or {}).get("allowOverride")
    ]
    if refused:
        raise invalid(
            f"You can't set the following variables ({', '.join(refused)}). If you want to be able to set these "
            "variables, then edit the pipeline and select Settable at queue time on the variables tab of the pipeline "
            "editor.",
            "PipelineValidationException",
        )


def _check_stages(plan: Pipeline, skipped: Iterable[str]) -> None:
    known = {stage.name.casefold() for stage in plan.stages}
    unknown = [name for name in skipped if name.casefold() not in known]
    if unknown:
        raise sources.refused(f"The pipeline has no stage {unknown[0]} that could be skipped.")


def _chosen(
    store: Store, project: Document, plan: Pipeline, given: Mapping[str, object], reason: Reason
) -> dict[str, Document]:
    """The run for each pipeline resource: the one that is asked for, or else the newest that has succeeded."""
    asked = {alias.casefold(): version for alias, version in given.items()}
    chosen = {}
    for each in plan.pipelines:
        definition = source_of(store, project, each)
        version = asked.pop(each.alias.casefold(), None) or each.version
        run = _version(store, definition, version) if version else _newest(store, definition, each)
        if run is None and version:
            message = f"The version {version} of the pipeline resource {each.alias} doesn't exist."
            raise sources.refused(f"{each.position}: {message}")
        if run is None:
            raise sources.refused(
                f"{each.position}: Unable to resolve latest version for pipeline {each.alias} this could be due to "
                "inaccessible pipeline or no version is available."
            )
        chosen[each.alias] = {
            "project": definition["project"],
            "definition": definition["id"],
            "run": run["id"],
            "number": run["number"],
            "branch": run["branch"],
            "commit": run["sourceVersion"],
            "triggered": reason == "resourceTrigger" and each.alias.casefold() in {name.casefold() for name in given},
        }
    if asked:
        raise sources.refused(f"The pipeline has no pipeline resource {next(iter(asked))}.")
    return chosen


def source_of(store: Store, project: Document, resource: PipelineResource) -> Document:
    """The pipeline behind a pipeline resource: a document with its `id` and `project`.

    Raises:
        ServiceError: 400, there is none.
    """
    owner = project
    if resource.project is not None:
        wanted = resource.project.casefold()
        others = (each for each in store.all("project") if wanted in (each["name"].casefold(), each["id"]))
        owner = next(others, {"id": "", "name": ""})
    name = resource.source.rpartition("\\")[2].casefold()
    for each in store.all("definition", f"{owner['id']}/"):
        if each["body"]["name"].casefold() == name:
            return {"id": each["id"], "project": owner["id"]}
    raise sources.refused(f"{resource.position}: Pipeline Resource {resource.alias} Input Must be Valid.")


def _version(store: Store, definition: Document, version: object) -> Document | None:
    """The run with this id, for a number; for a text the one with this name, or with this id when no name is it."""
    known = documents.of_definition(store, definition["project"], definition["id"])
    if isinstance(version, int):
        return next((each for each in known if each["id"] == version), None)
    by_number = next((each for each in known if str(each["number"]).casefold() == str(version).casefold()), None)
    return by_number or next((each for each in known if str(each["id"]) == str(version)), None)


def _newest(store: Store, definition: Document, resource: PipelineResource) -> Document | None:
    """The newest run that has succeeded, on the resource's branch and with its tags where it names them.

    https://learn.microsoft.com/azure/devops/pipelines/yaml-schema/resources-pipelines-pipeline: "the latest successful
    run across all stages".
    """
    branch = sources.full_branch(resource.branch) if resource.branch else None
    for run in documents.of_definition(store, definition["project"], definition["id"]):
        if run["result"] not in ("succeeded", "partiallySucceeded"):
            continue
        if (branch is None or run["branch"] == branch) and set(resource.tags) <= set(run["tags"]):
            return run
    return None


def _ensure_build_identity(store: Store, project: Document) -> None:
    """The project's own build identity comes into being with its first run."""
    if identities.build_service(store, project["id"]) is None:
        permissions.seed_build_service(store, project["id"], identities.add_build_service(store, project))


def _number(service: Service, project: Document, run: Document, plan: Pipeline) -> str:
    """The name of the run, by the pipeline's `name:`."""
    store = service.store

    def next_revision(base: str) -> int:
        return store.next_number(f"revision/{project['id']}/{run['definition']}/{base}")

    try:
        known = Evaluation(service, project, run, plan).of_pipeline().values()
        return run_number(plan.name, run_variables.started_at(run), known.get, next_revision)
    except ExpressionError as error:
        raise sources.refused(str(error)) from error

"""What starts runs by itself: pushes, the end of other pipelines' runs, and the clock.

https://learn.microsoft.com/azure/devops/pipelines/repos/azure-repos-git#ci-triggers, …/process/pipeline-triggers and
…/process/scheduled-triggers. Pull requests start runs by a branch policy, which isn't in the YAML.
"""

import re
import traceback

from rehearsal.agent.language.plan import Filter, Pipeline, PipelineResource, Trigger
from rehearsal.azuredevops import events, git_store
from rehearsal.azuredevops.context import Service
from rehearsal.azuredevops.errors import ServiceError
from rehearsal.azuredevops.git_store import NOTHING, Git, GitError
from rehearsal.azuredevops.runs import documents, filters, queueing, sources
from rehearsal.azuredevops.runs.queueing import Request
from rehearsal.store import Document

_HEADS = "refs/heads/"
# https://learn.microsoft.com/azure/devops/pipelines/repos/azure-repos-git#skipping-ci-for-individual-pushes
_SKIP = re.compile(
    r"\[skip ci\]|\[ci skip\]|skip-checks: ?true|\[(skip azurepipelines|azurepipelines skip)\]|"
    r"\[(skip azpipelines|azpipelines skip)\]|\[(skip azp|azp skip)\]|\*\*\*NO_CI\*\*\*"
)


@events.on("push")
def pushed(service: Service, *, repository: Document, user: Document, updates: list[Document]) -> None:
    """Starts the pipelines that want to run at a push, by what their YAML says in the commit that was pushed."""
    if not service.orchestrated:
        return
    for update in updates:
        if update["name"].startswith(_HEADS) and update["newObjectId"] != NOTHING:
            if _skipped(git_store.git(service, repository), update["newObjectId"]):
                continue
            for definition in _definitions_of(service, repository):
                try:
                    _push_to(service, repository, definition, user, update)
                except Exception:  # noqa: BLE001 - the branch has moved, whatever becomes of its runs; the log has it
                    traceback.print_exc()


def _definitions_of(service: Service, repository: Document) -> list[Document]:
    found = service.store.all("definition", f"{repository['project']}/")
    return [
        each | {"project": repository["project"]}
        for each in found
        if str((each["body"].get("repository") or {}).get("id", "")).lower() == repository["id"]
        and each["body"].get("queueStatus", "enabled") == "enabled"
    ]


def _skipped(here: Git, commit: str) -> bool:
    """Whether the newest commit's message asks for no run."""
    return bool(_SKIP.search(here.text("show", "--no-patch", "--format=%B", commit)))


def _takes_pushes(definition: Document) -> bool:
    """Whether the settings leave the trigger to the YAML: without such an entry it is overridden, and switched off.

    https://learn.microsoft.com/azure/devops/pipelines/troubleshooting/troubleshoot-triggers; that it is the entry which
    says so, https://github.com/github/gh-gei/issues/1237 shows. The end of other pipelines' runs isn't asked for here.
    """
    return any(
        each.get("triggerType") == "continuousIntegration" and each.get("settingsSourceType") == 2
        for each in definition["body"].get("triggers") or []
    )


def _push_to(service: Service, repository: Document, definition: Document, user: Document, update: Document) -> None:
    project = service.store.get("project", repository["project"])
    here, branch, commit = git_store.git(service, repository), update["name"], update["newObjectId"]
    if project is None or not _takes_pushes(definition):
        return
    asked = Request(reason="individualCI", user=user, branch=branch, commit=commit)
    if sources.reader(here, commit)(definition["body"]["process"]["yamlFilename"].strip("/")) is None:
        return  # a branch without the file has no trigger either
    try:
        plan = _plan(service, project, definition, asked)
    except ServiceError as error:
        queueing.keep_refused(service, project, definition["id"], asked, error)
        return
    trigger = plan.trigger or Trigger(enabled=True)
    wanted = trigger.enabled and filters.branch(trigger.branches, branch.removeprefix(_HEADS))
    if not wanted or not _touches(here, trigger.paths, update):
        return
    place = f"{project['id']}/{definition['id']}/{branch}"
    if trigger.batch and _running(service, project, definition, branch):
        service.store.put("batched-push", place, {"user": user["id"], "definition": definition["id"], "branch": branch})
        return
    queueing.start(service, project, definition["id"], asked)


def _plan(service: Service, project: Document, definition: Document, asked: Request) -> Pipeline:
    return sources.compiled(service, project, queueing.draft(service, project, definition["id"], asked))


def _running(service: Service, project: Document, definition: Document, branch: str) -> bool:
    known = documents.of_definition(service.store, project["id"], definition["id"])
    return any(
        each["status"] != "completed" and each["branch"] == branch and each["reason"] in ("individualCI", "batchedCI")
        for each in known
    )


def _touches(here: Git, paths: Filter, update: Document) -> bool:
    """Whether a push changes what a trigger asks for. What a new branch changes isn't known: it counts."""
    if not (paths.include or paths.exclude) or update["oldObjectId"] == NOTHING:
        return True
    try:
        changed = here.text("diff", "--name-only", "-z", update["oldObjectId"], update["newObjectId"]).split("\0")
    except GitError:
        return True
    return any(filters.file(paths, path) for path in changed if path)


@events.on("run-completed")
def ended(service: Service, *, project: Document, run: Document) -> None:
    """Starts what waited for this run: pushes that were kept back, and pipelines with a trigger on this one."""
    if not service.orchestrated:
        return
    _batched(service, project, run)
    if run["result"] not in ("succeeded", "partiallySucceeded"):
        # "Run completes successfully" is all that the documentation says; a run with warnings is taken for one.
        return
    for other in service.store.all("project"):
        for definition in service.store.all("definition", f"{other['id']}/"):
            _triggered(service, other, definition, project, run)


def _batched(service: Service, project: Document, run: Document) -> None:
    place = f"{project['id']}/{run['definition']}/{run['branch']}"
    kept = service.store.get("batched-push", place)
    user = service.store.get("identity", kept["user"]) if kept else None
    if kept is not None and user is not None:
        service.store.delete("batched-push", place)
        asked = Request(reason="batchedCI", user=user, branch=kept["branch"])
        queueing.start(service, project, kept["definition"], asked)


def _triggered(service: Service, owner: Document, definition: Document, project: Document, run: Document) -> None:
    """Starts `definition` when it has a trigger on the pipeline whose run has ended.

    What the trigger is, the YAML on the default branch says. When both pipelines live in one repository, the new run
    takes the branch and the commit of the one that has ended.
    https://learn.microsoft.com/azure/devops/pipelines/process/pipeline-triggers
    """
    if definition["body"].get("queueStatus", "enabled") != "enabled":
        return
    user = service.store.get("identity", run["requestedFor"])
    if user is None or (owner["id"], definition["id"]) == (project["id"], run["definition"]):
        return
    try:
        plan = _plan(service, owner, definition, Request(reason="resourceTrigger", user=user))
        resource = next((each for each in plan.pipelines if _wants(service, owner, each, project, run)), None)
    except ServiceError:
        return  # a file that can't be read has no trigger
    if resource is None:
        return
    finished = sources.definition_of(service.store, project["id"], run["definition"])
    same = finished is not None and _repository_id(finished) == _repository_id(definition)
    asked = Request(
        reason="resourceTrigger",
        # The documentation doesn't say for whom such a run is. For whom the first one was is the strict answer: who
        # merged must not approve the release of it when requesters mustn't.
        user=user,
        branch=run["branch"] if same else None,
        commit=run["sourceVersion"] if same else None,
        pipelines={resource.alias: run["id"]},
    )
    queueing.start(service, owner, definition["id"], asked)


def _repository_id(definition: Document) -> str:
    return str((definition["body"].get("repository") or {}).get("id", "")).lower()


def _wants(service: Service, owner: Document, resource: PipelineResource, project: Document, run: Document) -> bool:
    trigger = resource.trigger
    if trigger is None or not trigger.enabled:
        return False
    source = queueing.source_of(service.store, owner, resource)
    if (source["project"], source["id"]) != (project["id"], run["definition"]):
        return False
    if not filters.branch(trigger.branches, run["branch"].removeprefix(_HEADS)):
        return False
    known = documents.graph_of(service.store, project["id"], run["id"])
    done = {each["name"] for each in known["stages"] if each["result"] in ("succeeded", "succeededWithIssues")}
    return set(trigger.stages) <= done and (not trigger.tags or set(trigger.tags) <= set(run["tags"]))

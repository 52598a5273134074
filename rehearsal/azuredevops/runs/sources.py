"""The files of a run: the definition's YAML at the run's commit, compiled to a plan."""

import threading
import weakref
from collections.abc import Mapping

from rehearsal.agent.language.compiler import compile_pipeline
from rehearsal.agent.language.errors import PipelineError
from rehearsal.agent.language.plan import Pipeline, RepositoryResource
from rehearsal.agent.language.sources import ReadFile
from rehearsal.agent.language.variables import GroupVariable
from rehearsal.azuredevops import build, git_store, variable_groups
from rehearsal.azuredevops.context import Service, by_name
from rehearsal.azuredevops.errors import ServiceError, invalid
from rehearsal.azuredevops.git_store import Git, GitError
from rehearsal.azuredevops.runs import run_variables
from rehearsal.store import Document, Store

# What a run was compiled to doesn't change, so it is worked out once for as long as this process lives.
_PLANS: weakref.WeakKeyDictionary[Service, dict[str, Pipeline]] = weakref.WeakKeyDictionary()
_LOCK = threading.Lock()


def definition_of(store: Store, project_id: str, definition_id: int) -> Document | None:
    """The pipeline's definition, or None."""
    return store.get("definition", build.key(project_id, definition_id))


def repository_of(store: Store, definition: Document) -> Document | None:
    """The repository that holds the definition's YAML; None for one that is gone or isn't here."""
    wanted = str((definition["body"].get("repository") or {}).get("id", "")).lower()
    return next((each for each in store.all("repository") if each["id"] == wanted), None)


def default_branch(definition: Document) -> str:
    """The branch that a run takes when nobody says which: the definition's, as a full name."""
    return full_branch((definition["body"].get("repository") or {}).get("defaultBranch") or "main")


def full_branch(name: str) -> str:
    """`refs/heads/main` for `main`; full names stay."""
    return name if name.startswith("refs/") else f"refs/heads/{name}"


def reader(here: Git, commit: str) -> ReadFile:
    """Reads the files of a commit."""

    def read(path: str) -> str | None:
        try:
            return here.run("cat-file", "blob", f"{commit}:{path}").decode(errors="replace")
        except GitError:
            return None

    return read


def find_group(store: Store, project: Document, name: str) -> Mapping[str, GroupVariable] | None:
    """The variables of a variable group, or None."""
    group = variable_groups.find_group(store, project, name)
    if group is None:
        return None
    return {
        key: GroupVariable(str(each.get("value") or ""), bool(each.get("isSecret")))
        for key, each in group["variables"].items()
    }


def compiled(service: Service, project: Document, run: Document) -> Pipeline:
    """The plan of a run, worked out anew.

    Raises:
        ServiceError: 400, with file, line and column: the YAML can't be read or is refused.
    """
    store = service.store
    definition = definition_of(store, project["id"], run["definition"])
    repository = repository_of(store, definition) if definition else None
    if definition is None or repository is None:
        raise invalid(f"The repository of definition {run['definition']} is gone.", "RepositoryNotFoundException")

    def find_repository(resource: RepositoryResource) -> ReadFile | None:
        known = store.all("repository", f"{project['id']}/")
        found = by_name(known, resource.name.rpartition("/")[2])
        commit = git_store.git(service, found).resolve(resource.ref) if found else None
        return reader(git_store.git(service, found), commit) if found and commit else None

    try:
        return compile_pipeline(
            run["yaml"],
            reader(git_store.git(service, repository), run["sourceVersion"]),
            parameters=run["templateParameters"],
            predefined=run_variables.before_the_run(store, project, definition, repository, run),
            find_group=lambda name: find_group(store, project, name),
            find_repository=find_repository,
        )
    except PipelineError as error:
        raise refused(str(error)) from error


def refused(message: str) -> ServiceError:
    """400 for a pipeline that can't run as it is."""
    return invalid(message, "PipelineValidationException")


def plan_of(service: Service, project: Document, run: Document) -> Pipeline:
    """The plan of a run; see `compiled`."""
    place = build.key(project["id"], run["id"])
    with _LOCK:
        known = _PLANS.setdefault(service, {})
        plan = known.get(place)
    if plan is None:
        plan = compiled(service, project, run)
        remember(service, project, run, plan)
    return plan


def remember(service: Service, project: Document, run: Document, plan: Pipeline) -> None:
    """Keeps the plan at hand until `forget`."""
    with _LOCK:
        _PLANS.setdefault(service, {})[build.key(project["id"], run["id"])] = plan


def forget(service: Service, project_id: str, run_id: int) -> None:
    """Nobody will ask for the plan again soon."""
    with _LOCK:
        _PLANS.get(service, {}).pop(build.key(project_id, run_id), None)

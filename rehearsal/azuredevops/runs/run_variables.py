"""The variables of a run that the service itself sets, and those of its settings.

https://learn.microsoft.com/azure/devops/pipelines/build/variables. `Agent.*`, the directories and
`System.AccessToken` are the agent's to add.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote

from rehearsal.agent.language.errors import Position
from rehearsal.agent.language.expressions import Context
from rehearsal.agent.language.plan import Variable
from rehearsal.azuredevops import git_store, identities
from rehearsal.azuredevops.context import ORGANIZATION, Service
from rehearsal.azuredevops.git_store import GitError
from rehearsal.store import Document, Store

_REASONS = {
    "manual": "Manual",
    "individualCI": "IndividualCI",
    "batchedCI": "BatchedCI",
    "pullRequest": "PullRequest",
    "schedule": "Schedule",
    "resourceTrigger": "ResourceTrigger",
    "buildCompletion": "BuildCompletion",
}
_SETTINGS = Position("the pipeline's settings", 1, 1)
_QUEUE_TIME = Position("the request", 1, 1)


def started_at(run: Document) -> datetime:
    """When the run was queued, which is what its expressions take for its start."""
    return datetime.fromisoformat(run["queuedAt"]).astimezone(UTC)


def before_the_run(
    store: Store, project: Document, definition: Document, repository: Document, run: Document
) -> dict[str, str]:
    """What `${{ variables }}` knows: the service's own variables, and those of the settings that aren't secret."""
    return {
        **{each.name: each.value for each in (*of_settings(definition), *of_queue_time(run)) if not each.secret},
        **_of_run(store, project, definition, repository, run),
    }


def of_settings(definition: Document) -> tuple[Variable, ...]:
    """The variables that stand in the pipeline's settings."""
    known = definition["body"].get("variables") or {}
    return tuple(
        Variable(name=name, value=str(each.get("value") or ""), secret=bool(each.get("isSecret")), position=_SETTINGS)
        for name, each in known.items()
    )


def of_queue_time(run: Document) -> tuple[Variable, ...]:
    """The variables that were given when the run was queued."""
    return tuple(
        Variable(name=name, value=str(each.get("value") or ""), secret=bool(each.get("isSecret")), position=_QUEUE_TIME)
        for name, each in run["variables"].items()
    )


def _of_run(
    store: Store, project: Document, definition: Document, repository: Document, run: Document
) -> dict[str, str]:
    branch = str(run["branch"])
    who = store.get("identity", run["requestedFor"]) or {"id": "", "displayName": "", "mailAddress": ""}
    queued_by = store.get("identity", run["requestedBy"]) or who
    values = {
        "Build.BuildId": str(run["id"]),
        "Build.BuildUri": f"vstfs:///Build/Build/{run['id']}",
        "Build.ContainerId": str(run["id"]),
        "Build.DefinitionName": definition["body"]["name"],
        "Build.DefinitionVersion": str(definition["revision"]),
        "Build.QueuedBy": queued_by["displayName"],
        "Build.QueuedById": queued_by["id"],
        "Build.Reason": _REASONS[run["reason"]],
        "Build.RequestedFor": who["displayName"],
        "Build.RequestedForEmail": who["mailAddress"] or "",
        "Build.RequestedForId": who["id"],
        "Build.Repository.Clean": "False",
        "Build.Repository.Git.SubmoduleCheckout": "False",
        "Build.Repository.ID": repository["id"],
        "Build.Repository.Name": repository["name"],
        "Build.Repository.Provider": "TfsGit",
        "Build.SourceBranch": branch,
        "Build.SourceBranchName": branch.rpartition("/")[2],
        "Build.SourceVersion": str(run["sourceVersion"] or ""),
        "System.CollectionId": identities.HOST_ID,
        "System.DefinitionId": str(run["definition"]),
        "System.HostType": "build",
        "System.TeamProject": project["name"],
        "System.TeamProjectId": project["id"],
    }
    if run.get("schedule"):
        values["Build.CronSchedule.DisplayName"] = run["schedule"]
    pull_request = run.get("pullRequest")
    if pull_request:
        target = str(pull_request["targetBranch"])
        values |= {
            "System.PullRequest.IsFork": "False",
            "System.PullRequest.PullRequestId": str(pull_request["id"]),
            "System.PullRequest.SourceBranch": str(pull_request["sourceBranch"]),
            "System.PullRequest.SourceCommitId": str(pull_request.get("sourceCommit") or ""),
            "System.PullRequest.TargetBranch": target,
            "System.PullRequest.targetBranchName": target.removeprefix("refs/heads/"),
        }
    return values


def of_commit(service: Service, repository: Document, run: Document) -> dict[str, str]:
    """What is known of the commit."""
    try:
        raw = git_store.git(service, repository).text(
            "show", "--no-patch", "--format=%an <%ae>%x00%s", run["sourceVersion"]
        )
    except GitError:
        return {}
    author, _, subject = raw.partition("\0")
    return {"Build.SourceVersionAuthor": author, "Build.SourceVersionMessage": subject}


def predefined(
    service: Service, project: Document, run: Document, definition: Document, repository: Document, *, origin: str
) -> dict[str, str]:
    """The service's own variables in a run's jobs, apart from those of the single job.

    Args:
        service: the organisation.
        project, run, definition, repository: of the run.
        origin: where whoever asks has reached the service, `http://127.0.0.1:PORT`; empty: as nobody has asked yet.
    """
    collection = f"{origin}/{ORGANIZATION}/" if origin else ""
    values = {
        **_of_run(service.store, project, definition, repository, run),
        **of_commit(service, repository, run),
        **of_pipelines(service.store, run),
        "Build.BuildNumber": str(run["number"]),
        "System.PipelineStartTime": started_at(run).strftime("%Y-%m-%d %H:%M:%S+00:00"),
        "System.PlanId": str(run["plan"]),
        "System.TimelineId": str(run["plan"]),
    }
    if collection:
        url = clone_url(origin, project, repository)
        values |= {
            "Build.Repository.Uri": url,
            "System.CollectionUri": collection,
            "System.TeamFoundationCollectionUri": collection,
            "System.TeamFoundationServerUri": collection,
            "System.TaskDefinitionsUri": collection,
        }
        if run.get("pullRequest"):
            values["System.PullRequest.SourceRepositoryURI"] = url
    return values


def clone_url(origin: str, project: Document, repository: Document) -> str:
    """Where git finds a repository."""
    return f"{origin}/{ORGANIZATION}/{quote(project['name'])}/_git/{quote(repository['name'])}"


def of_pipelines(store: Store, run: Document) -> dict[str, str]:
    """The variables of the pipeline resources, and what triggered the run.

    https://learn.microsoft.com/azure/devops/pipelines/yaml-schema/resources-pipelines-pipeline
    """
    values: dict[str, str] = {}
    for alias, each in run["pipelines"].items():
        details = resource(store, each)
        values |= {f"resources.pipeline.{alias}.{name}": value for name, value in details.items()}
        if each.get("triggered"):
            values |= {
                "Build.TriggeredBy.BuildId": str(each["run"]),
                "Build.TriggeredBy.BuildNumber": str(each["number"]),
                "Build.TriggeredBy.DefinitionId": str(each["definition"]),
                "Build.TriggeredBy.DefinitionName": details["pipelineName"],
                "Build.TriggeredBy.ProjectID": str(each["project"]),
                "Resources.TriggeringAlias": alias,
                "Resources.TriggeringCategory": "pipeline",
            }
    return values


def resource(store: Store, chosen: Document) -> dict[str, str]:
    """What a pipeline resource tells of the run that it stands for."""
    project = store.get("project", chosen["project"]) or {"name": ""}
    definition = store.get("definition", f"{chosen['project']}/{chosen['definition']:09}") or {"body": {"name": ""}}
    run = store.get("run", f"{chosen['project']}/{chosen['run']:09}") or {"requestedFor": ""}
    who = store.get("identity", run["requestedFor"]) or {"displayName": "", "id": ""}
    return {
        "projectID": str(chosen["project"]),
        "projectName": project["name"],
        "pipelineID": str(chosen["definition"]),
        "pipelineName": definition["body"]["name"],
        "runID": str(chosen["run"]),
        "runName": str(chosen["number"]),
        "runURI": f"vstfs:///Build/Build/{chosen['run']}",
        "sourceBranch": str(chosen["branch"]),
        "sourceCommit": str(chosen["commit"]),
        "sourceProvider": "TfsGit",
        "requestedFor": who["displayName"],
        "requestedForID": who["id"],
    }


def resources_context(store: Store, run: Document) -> Mapping[str, object]:
    """The context `resources` of `$[ ]`."""
    known = {alias: Context(resource(store, each)) for alias, each in run["pipelines"].items()}
    return {"pipeline": Context(known)}

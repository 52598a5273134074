"""Build validation: the policy that builds what the target would be after the merge.

https://learn.microsoft.com/azure/devops/repos/git/branch-policies#build-validation
"""

from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias

from rehearsal.azuredevops import build, runs
from rehearsal.azuredevops.context import Service, now
from rehearsal.azuredevops.errors import ServiceError
from rehearsal.azuredevops.pull_requests import merging
from rehearsal.azuredevops.runs.queueing import Request, keep_refused
from rehearsal.store import Document

State: TypeAlias = Literal["queued", "running", "approved", "rejected", "broken"]


def advance(service: Service, pull: Document, configuration: Document, evaluation: Document) -> tuple[State, str]:
    """How the policy stands; a build is queued where the policy says so by itself.

    Args:
        evaluation: what is kept; its context gets the build.

    Returns:
        The state, and why it isn't approved.
    """
    settings, context = configuration["settings"], evaluation["context"]
    is_current = context.get("lastMergeSourceCommitId") == pull["sourceCommit"]
    # A draft isn't built until somebody asks (https://learn.microsoft.com/azure/devops/repos/git/pull-requests).
    by_itself = not settings.get("manualQueueOnly") and not pull["isDraft"] and pull["mergeCommit"]
    if not is_current and by_itself:
        queue(service, pull, configuration, evaluation)
    elif is_current and by_itself and _is_expired(service, pull, settings, context) and pull["autoCompleteSetBy"]:
        # Who set auto-complete needn't come back for it; of others the documentation says that they queue it again.
        queue(service, pull, configuration, evaluation)
        evaluation["context"]["wasAutoRequeued"] = True
    return _state(service, pull, configuration, evaluation)


def queue(service: Service, pull: Document, configuration: Document, evaluation: Document) -> None:
    """Starts the build of the trial merge, in place of an earlier one.

    A pipeline that can't be started counts as a build that failed: its run says why.
    """
    project = service.store.get("project", pull["project"])
    user = service.store.get("identity", pull["iterations"][-1]["author"])
    assert project is not None  # noqa: S101 - a pull request goes with its project
    assert user is not None  # noqa: S101 - users are never removed
    definition_id = configuration["settings"]["buildDefinitionId"]
    definition = service.store.get("definition", build.key(project["id"], definition_id))
    evaluation["context"] = context = {
        "buildId": 0,
        "buildDefinitionId": definition_id,
        "buildDefinitionName": definition["body"]["name"] if definition else "",
        "lastMergeSourceCommitId": pull["sourceCommit"],
        "lastMergeTargetCommitId": pull["targetCommit"],
        "lastMergeCommitId": pull["mergeCommit"],
        "isExpired": False,
        "buildIsNotCurrent": False,
        "buildStartedUtc": now(),
        "buildAfterMerge": False,
        "wasAutoRequeued": False,
        "buildOutputPreview": None,
    }
    asked = Request(
        reason="pullRequest",
        user=user,
        branch=merging.ref_of(pull),
        commit=pull["mergeCommit"],
        pull_request={
            "id": pull["id"],
            "sourceBranch": pull["source"],
            "targetBranch": pull["target"],
            "sourceCommit": pull["sourceCommit"],
        },
    )
    try:
        run = runs.queue(service, project, definition_id, asked)
    except ServiceError as error:
        try:
            run = keep_refused(service, project, definition_id, asked, error)
        except ServiceError:
            context["error"] = error.message
            return
    context["buildId"] = run["id"]


def _state(service: Service, pull: Document, configuration: Document, evaluation: Document) -> tuple[State, str]:
    context = evaluation["context"]
    name = configuration["settings"].get("displayName") or context.get("buildDefinitionName") or "The build"
    target = pull["target"].removeprefix("refs/heads/")
    # The service's words, from https://github.com/Azure/azure-devops-cli-extension/issues/548.
    wanted = f"{name} must succeed to update {target}."
    if context.get("error"):
        return "broken", f"{wanted} {context['error']}"
    run = runs.find(service.store, pull["project"], context["buildId"]) if context.get("buildId") else None
    if run is None:
        return "queued", wanted if pull["mergeCommit"] else f"{wanted} It can't be built while there are conflicts."
    is_current = context["lastMergeSourceCommitId"] == pull["sourceCommit"]
    context["isExpired"] = not is_current or _is_expired(service, pull, configuration["settings"], context)
    context["buildIsNotCurrent"] = not is_current or context.get("lastMergeTargetCommitId") != pull["targetCommit"]
    if run["status"] != "completed":
        return ("queued" if run["status"] == "notStarted" else "running"), wanted
    # Whether a build that succeeded partially suffices isn't documented; here it doesn't.
    if run["result"] != "succeeded":
        return "rejected", wanted
    if context["isExpired"]:
        return "queued", f"{wanted} Its last build has expired: the branch has changed since."
    return "approved", ""


def _is_expired(service: Service, pull: Document, settings: Document, context: Document) -> bool:
    """Whether the target has moved since the build, and the policy cares.

    Minutes of 0 mean at once, or never where only changes of the source count
    (https://github.com/Azure/azure-devops-cli-extension/issues/923).
    """
    if context.get("lastMergeTargetCommitId") == pull["targetCommit"]:
        return False
    minutes = float(settings.get("validDuration") or 0)
    if not minutes:
        return not settings.get("queueOnSourceUpdateOnly")
    run = runs.find(service.store, pull["project"], context["buildId"])
    if run is None or not run.get("finishTime"):
        return False
    return datetime.now(UTC) > datetime.fromisoformat(run["finishTime"]) + timedelta(minutes=minutes)

"""What becomes of a pull request: its branches move, it is merged, completed, abandoned and taken up again.

https://learn.microsoft.com/azure/devops/repos/git/about-pull-requests
"""

from typing import Any

from rehearsal.azuredevops import events, git_store, permissions, policy, push_rules
from rehearsal.azuredevops.context import Service, new_id, now
from rehearsal.azuredevops.errors import ServiceError, invalid
from rehearsal.azuredevops.git_store import NOTHING, RefUpdate
from rehearsal.azuredevops.permissions import GIT
from rehearsal.azuredevops.pull_requests import discussion, documents, evaluation, merging
from rehearsal.store import Document


def merge_again(service: Service, pull: Document) -> None:
    """Tries the merge with the branches as they are now."""
    pull |= {"mergeId": new_id(), "mergeFailureMessage": None}
    merging.try_again(service, pull)


def refresh(service: Service, pull: Document) -> list[Document]:
    """Looks at the policies again after something has changed, and completes what waits for them.

    Returns:
        The evaluations.
    """
    found = evaluation.evaluate(service, pull)
    if pull["status"] == "active":
        _ask_required_reviewers(service, pull, found)
        documents.keep(service.store, pull)
        if pull["autoCompleteSetBy"] and _is_due(pull, found):
            _complete_by_itself(service, pull)
    return found


def _is_due(pull: Document, evaluations: list[Document]) -> bool:
    ignored = set((pull["completionOptions"] or {}).get("autoCompleteIgnoreConfigIds") or [])
    waits = [
        each
        for each in evaluations
        if each["status"] not in ("approved", "notApplicable")
        # It waits for what only advises, too, unless it is told not to.
        and (each["blocking"] or each["configuration"] not in ignored)
    ]
    return not waits and not pull["isDraft"] and pull["mergeStatus"] == "succeeded"


def _complete_by_itself(service: Service, pull: Document) -> None:
    user = service.store.get("identity", pull["autoCompleteSetBy"])
    assert user is not None  # noqa: S101 - users are never removed
    try:
        complete(service, pull, user, bypass=False)
    except ServiceError as error:
        pull |= {"autoCompleteSetBy": None, "mergeFailureMessage": error.message}
        documents.keep(service.store, pull)


def _ask_required_reviewers(service: Service, pull: Document, evaluations: list[Document]) -> None:
    """Whom a policy requires is a reviewer without being asked by anybody."""
    applicable = {each["configuration"] for each in evaluations if each["status"] != "notApplicable"}
    for each in service.store.all("policy", f"{pull['project']}/"):
        if each["type"] != policy.REQUIRED_REVIEWERS or each["id"] not in applicable:
            continue
        for id_ in each["settings"]["requiredReviewerIds"]:
            if str(id_) == pull["createdBy"]:
                continue
            entry = documents.reviewer(pull, str(id_))
            if entry is None:
                entry = documents.new_reviewer(str(id_))
                pull["reviewers"].append(entry)
            entry["isRequired"] = entry["isRequired"] or each["isBlocking"]


@events.on("push")
def branches_moved(service: Service, repository: Document, user: Document, updates: list[Document]) -> None:
    """A push to the source is a new iteration; one to the target is merged with again."""
    moved = {each["name"]: each for each in updates}
    for known in documents.active(service.store, repository):
        # As it is now: the one before may have been completed, and have taken this one along.
        pull = documents.find(service.store, known["project"], known["id"]) or known
        source, target = moved.get(pull["source"]), moved.get(pull["target"])
        if pull["status"] != "active" or not (source or target):
            continue
        if source and source["newObjectId"] != NOTHING:
            _source_moved(service, pull, user, source)
        if target and target["newObjectId"] != NOTHING:
            pull["targetCommit"] = target["newObjectId"]
        merge_again(service, pull)
        refresh(service, pull)


def _source_moved(service: Service, pull: Document, user: Document, update: Document) -> None:
    here = documents.git_of(service, pull)
    forward = here.is_ancestor(pull["sourceCommit"], update["newObjectId"])
    pull["sourceCommit"] = update["newObjectId"]
    documents.add_iteration(here, pull, user["id"], "push" if forward else "forcePush")
    _reset_votes(service, pull, user)
    text = f"{user['displayName']} updated the source branch."
    discussion.note(service, pull, user, text, "RefUpdate")


def _reset_votes(service: Service, pull: Document, user: Document) -> None:
    """Takes votes back after a push, as the policies want: approvals, or all of them."""
    repository = documents.repository_of(service.store, pull)
    assert repository is not None  # noqa: S101 - something was just pushed to it
    settings = [
        each["settings"]
        for each in evaluation.configurations(service.store, repository, pull["target"])
        if each["type"] == policy.MINIMUM_REVIEWERS
    ]
    everything = any(each.get("resetRejectionsOnSourcePush") for each in settings)
    approvals = everything or any(each.get("resetOnSourcePush") for each in settings)
    taken = [
        each
        for each in pull["reviewers"]
        if (approvals and each["vote"] > documents.NO_VOTE) or (everything and each["vote"] < documents.NO_VOTE)
    ]
    for each in taken:
        each |= {"vote": documents.NO_VOTE}
    if taken:
        discussion.note(service, pull, user, "The votes were reset: the source branch has changed.", "ResetAllVotes")


@events.on("run-completed")
def run_completed(service: Service, project: Document, run: Document) -> None:
    """The build that a policy waits for has ended."""
    about = run.get("pullRequest")
    pull = documents.find(service.store, project["id"], int(about["id"])) if about else None
    if pull is not None and pull["status"] == "active":
        refresh(service, pull)


def demand_completion(service: Service, pull: Document, user: Document, *, bypass: bool) -> None:
    """Goes on only when the pull request can be completed by this user, now.

    Raises:
        ServiceError: 403, without the rights, or with the reasons of every blocking policy that isn't satisfied; 400
            for a draft; 409 with conflicts.
    """
    if pull["isDraft"]:
        raise invalid("A draft pull request cannot be completed; publish it first.")
    token = permissions.git_token(pull["project"], pull["repository"], pull["target"])
    permissions.demand(service.store, user, GIT, token, "GenericContribute")
    if pull["mergeStatus"] != "succeeded":
        files = ", ".join(pull["conflicts"])
        raise ServiceError(409, f"The pull request has merge conflicts: {files}.", "GitPullRequestStaleException")
    if bypass:
        permissions.demand(service.store, user, GIT, token, "PullRequestBypassPolicy")
        return
    open_ = [
        each
        for each in evaluation.evaluate(service, pull)
        if each["blocking"] and each["status"] not in ("approved", "notApplicable")
    ]
    if open_:
        message = "\n".join(each["reason"] for each in open_)
        raise ServiceError(403, message, "GitPullRequestUpdateRejectedByPolicyException")


def complete(service: Service, pull: Document, user: Document, *, bypass: bool) -> None:
    """Merges into the target, and closes the pull request.

    Raises:
        ServiceError: as `demand_completion`; 409, when the strategy's merge has conflicts.
    """
    demand_completion(service, pull, user, bypass=bypass)
    repository = documents.repository_of(service.store, pull)
    assert repository is not None  # noqa: S101 - it was found by the request
    options = pull["completionOptions"] or {}
    strategy = _strategy(service, pull, repository)
    message = options.get("mergeCommitMessage") or f"Merged PR {pull['id']}: {pull['title']}"
    author = service.store.get("identity", pull["createdBy"]) or user
    here = git_store.git(service, repository)
    signatures = {"author": merging.Signature.of(author), "committer": merging.Signature.of(user)}
    try:
        commit = merging.merge(here, pull, strategy, message, **signatures)
    except merging.ConflictError as conflict:
        raise ServiceError(
            409, f"The pull request has merge conflicts: {conflict}.", "GitPullRequestStaleException"
        ) from None
    time = now()
    pull |= {"status": "completed", "closedDate": time, "closedBy": user["id"], "mergeCommit": commit}
    pull["completionQueueTime"] = pull["completionQueueTime"] or time
    discussion.note(service, pull, user, f"{user['displayName']} completed the pull request.", "StatusUpdate")
    # Kept before the push is told to the others, which asks for the pull requests that are open.
    documents.keep(service.store, pull)
    git_store.update_refs(service, repository, [RefUpdate(pull["target"], pull["targetCommit"], commit)], user)
    if options.get("deleteSourceBranch"):
        _delete_source(service, pull, repository, user)


def _strategy(service: Service, pull: Document, repository: Document) -> str:
    """What is asked for; else the first that the policies allow.

    https://learn.microsoft.com/javascript/api/azure-devops-extension-api/gitpullrequestcompletionoptions
    """
    options = pull["completionOptions"] or {}
    if options.get("mergeStrategy"):
        return str(options["mergeStrategy"])
    for each in evaluation.configurations(service.store, repository, pull["target"]):
        if each["type"] == policy.MERGE_STRATEGY:
            return evaluation.allowed_strategies(each["settings"])[0]
    return "squash" if options.get("squashMerge") else "noFastForward"


def _delete_source(service: Service, pull: Document, repository: Document, user: Document) -> None:
    """The branch goes, if it is where it was merged and this user may delete it; otherwise it stays."""
    here = git_store.git(service, repository)
    update = RefUpdate(pull["source"], pull["sourceCommit"], NOTHING)
    if here.refs(pull["source"]).get(pull["source"]) != pull["sourceCommit"]:
        return
    if pull["source"] == repository["defaultBranch"] or push_rules.refusal(service, repository, user, update):
        discussion.note(service, pull, user, "The source branch was not deleted.", "SourceRefDeleteFailure")
        return
    git_store.update_refs(service, repository, [update], user)


def abandon(service: Service, pull: Document, user: Document) -> None:
    """Closes it without a merge."""
    pull |= {"status": "abandoned", "closedDate": now(), "closedBy": user["id"], "autoCompleteSetBy": None}
    discussion.note(service, pull, user, f"{user['displayName']} abandoned the pull request.", "StatusUpdate")
    documents.keep(service.store, pull)


def reactivate(service: Service, pull: Document, user: Document) -> None:
    """Takes it up again, with the branches as they are now.

    Raises:
        ServiceError: 400, when one of them is gone, or 409, when there is another one for them.
    """
    repository = documents.repository_of(service.store, pull)
    assert repository is not None  # noqa: S101 - it was found by the request
    source, target = tips(service, repository, pull["source"], pull["target"])
    demand_unique(service, repository, pull["source"], pull["target"])
    moved = source != pull["sourceCommit"]
    pull |= {"status": "active", "closedDate": None, "closedBy": None, "targetCommit": target, "sourceCommit": source}
    if moved:
        documents.add_iteration(git_store.git(service, repository), pull, user["id"], "push")
        _reset_votes(service, pull, user)
    discussion.note(service, pull, user, f"{user['displayName']} reactivated the pull request.", "StatusUpdate")
    merge_again(service, pull)
    refresh(service, pull)


def tips(service: Service, repository: Document, source: str, target: str) -> tuple[str, str]:
    """Where both branches are.

    Raises:
        ServiceError: 400, when one isn't there.
    """
    refs = git_store.git(service, repository).refs("refs/heads/")
    if source not in refs or target not in refs:
        raise invalid(
            "TF401398: The pull request cannot be activated because the source and/or the target branch no longer "
            "exists, or the requested branches do not exist.",
            "GitPullRequestCannotBeActivated",
        )
    return refs[source], refs[target]


def demand_unique(service: Service, repository: Document, source: str, target: str) -> None:
    """Goes on only when there is no open pull request for the two branches.

    Raises:
        ServiceError: 409.
    """
    if any(
        (each["source"], each["target"]) == (source, target) for each in documents.active(service.store, repository)
    ):
        message = "TF401179: An active pull request for the source and target branch already exists."
        raise ServiceError(409, message, "GitPullRequestExistsException")


def new(service: Service, repository: Document, user: Document, given: dict[str, Any]) -> Document:
    """Makes a pull request: merged for a trial, looked at by the policies, their builds queued.

    Args:
        given: `source`, `target`, `title`, `description`, `isDraft`, `workItems`, `reviewers`, `completionOptions`.

    Raises:
        ServiceError: 400 or 409, see `tips` and `demand_unique`.
    """
    source, target = tips(service, repository, given["source"], given["target"])
    demand_unique(service, repository, given["source"], given["target"])
    pull = {
        "project": repository["project"],
        "repository": repository["id"],
        "status": "active",
        "createdBy": user["id"],
        "creationDate": now(),
        "closedDate": None,
        "closedBy": None,
        "completionQueueTime": None,
        "autoCompleteSetBy": None,
        "sourceCommit": source,
        "targetCommit": target,
        "iterations": [],
        **given,
    }
    # Numbers are the organisation's: no two projects share one.
    pull["id"] = service.store.next_number("pull-request")
    documents.add_iteration(git_store.git(service, repository), pull, user["id"], "create")
    merge_again(service, pull)
    documents.keep(service.store, pull)
    refresh(service, pull)
    return pull

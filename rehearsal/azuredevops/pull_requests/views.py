"""Pull requests as the REST interface shows them, and finding the one that a request is about."""

from rehearsal.azuredevops import git_rest, identities, permissions
from rehearsal.azuredevops.context import Call
from rehearsal.azuredevops.errors import ServiceError
from rehearsal.azuredevops.permissions import GIT
from rehearsal.azuredevops.pull_requests import documents
from rehearsal.azuredevops.routing import Location, location
from rehearsal.store import Document


def of_a_pull_request(resource: str, rest: str, id_: str, *, complete: bool = False) -> Location:
    """Publishes a location below one pull request."""
    template = "{project}/_apis/{area}/repositories/{repositoryId}/pullRequests/{pullRequestId}/" + rest
    return location("git", resource, template, id_, complete=complete)


def found(call: Call, action: str = "GenericRead") -> Document:
    """The pull request that the path names, if the user may do `action` in its repository.

    Raises:
        ServiceError: 404, when there is none or the user may not see it; 403, when the action is refused.
    """
    repository = git_rest.find(call)
    number = call.number("pullRequestId")
    pull = documents.find(call.store, repository["project"], number)
    if pull is None or pull["repository"] != repository["id"]:
        raise not_found(number)
    if action != "GenericRead":
        token = permissions.git_token(pull["project"], pull["repository"])
        permissions.demand(call.store, call.user, GIT, token, action)
    return pull


def not_found(number: int) -> ServiceError:
    """404 for a pull request that isn't there, or that this user may not see."""
    message = f"TF401180: The requested pull request was not found. ({number})"
    return ServiceError(404, message, "GitPullRequestNotFoundException")


def url(call: Call, pull: Document, *rest: object) -> str:
    """The address of a pull request, or of something below it."""
    repositories = (pull["project"], "_apis", "git", "repositories", pull["repository"])
    return call.url(*repositories, "pullRequests", pull["id"], *rest)


def person(call: Call, id_: str | None) -> Document | None:
    """Who did something."""
    identity = call.store.get("identity", id_) if id_ else None
    return identities.reference(identity, call.vssps) if identity else None


def commit(call: Call, pull: Document, id_: str) -> Document:
    """The short form of a commit (GitCommitRef)."""
    repositories = (pull["project"], "_apis", "git", "repositories", pull["repository"])
    return {"commitId": id_, "url": call.url(*repositories, "commits", id_)}


def reviewer(call: Call, pull: Document, entry: Document) -> Document:
    """A reviewer with the vote (IdentityRefWithVote)."""
    identity = call.store.get("identity", entry["id"])
    shown = {
        **(identities.reference(identity, call.vssps) if identity else {"id": entry["id"]}),
        "reviewerUrl": url(call, pull, "reviewers", entry["id"]),
        "vote": entry["vote"],
        "hasDeclined": entry["hasDeclined"],
        "isFlagged": entry["isFlagged"],
    }
    if entry["isRequired"]:
        shown["isRequired"] = True
    if identity is not None and identity["kind"] == "group":
        shown["isContainer"] = True
    return shown


def shown(call: Call, pull: Document) -> Document:
    """A pull request as the service answers it."""
    repository = documents.repository_of(call.store, pull)
    assert repository is not None  # noqa: S101 - it was found by it
    address = url(call, pull)
    own = git_rest.reference(call, repository, size=False)
    document = {
        "repository": own,
        "pullRequestId": pull["id"],
        "codeReviewId": pull["id"],
        "status": pull["status"],
        "createdBy": person(call, pull["createdBy"]),
        "creationDate": pull["creationDate"],
        "title": pull["title"],
        "description": pull["description"],
        "sourceRefName": pull["source"],
        "targetRefName": pull["target"],
        "mergeStatus": pull["mergeStatus"],
        "isDraft": pull["isDraft"],
        "mergeId": pull["mergeId"],
        "lastMergeSourceCommit": commit(call, pull, pull["sourceCommit"]),
        "lastMergeTargetCommit": commit(call, pull, pull["targetCommit"]),
        "reviewers": [reviewer(call, pull, each) for each in pull["reviewers"]],
        "labels": [],
        "url": address,
        "supportsIterations": True,
        "artifactId": f"vstfs:///Git/PullRequestId/{pull['project']}%2F{pull['repository']}%2F{pull['id']}",
        "_links": {
            "self": {"href": address},
            "web": {"href": f"{own['webUrl']}/pullrequest/{pull['id']}"},
            "repository": {"href": own["url"]},
            "statuses": {"href": f"{address}/statuses"},
        },
    }
    if pull["mergeCommit"]:
        document["lastMergeCommit"] = commit(call, pull, pull["mergeCommit"])
    for name in ("closedDate", "completionQueueTime", "completionOptions", "mergeFailureMessage"):
        if pull[name]:
            document[name] = pull[name]
    for name in ("closedBy", "autoCompleteSetBy"):
        if pull[name]:
            document[name] = person(call, pull[name])
    if pull["mergeStatus"] == "conflicts":
        document["mergeFailureType"] = "none"
    return document

"""Reviewers and their votes.

https://learn.microsoft.com/rest/api/azure/devops/git/pull-request-reviewers
"""

from typing import Any

from rehearsal.azuredevops import identities
from rehearsal.azuredevops.context import Call
from rehearsal.azuredevops.errors import ServiceError, invalid, missing_value
from rehearsal.azuredevops.pull_requests import discussion, documents, lifecycle, views
from rehearsal.azuredevops.routing import Answer
from rehearsal.store import Document

reviewers = views.of_a_pull_request("reviewers", "{resource}/{reviewerId}", "4b6702c7-aa35-4b89-9c96-b9abf6d3e540")

_WORDS = {
    10: "approved the pull request",
    5: "approved the pull request with suggestions",
    0: "took the vote back",
    -5: "waits for the author",
    -10: "rejected the pull request",
}


def identity(call: Call, id_: str) -> Document:
    """The identity with this id.

    Raises:
        ServiceError: 400, when there is none.
    """
    found = identities.find(call.store, id_) if id_ else None
    if found is None:
        raise invalid(f"TF401186: The reviewer '{id_}' is not a valid identity.", "GitPullRequestReviewerException")
    return found


def _open(call: Call) -> Document:
    pull = views.found(call, "PullRequestContribute")
    if pull["status"] != "active":
        message = "TF401181: The pull request cannot be edited due to its state."
        raise ServiceError(400, message, "GitPullRequestNotEditableException")
    return pull


def _vote(call: Call, pull: Document, entry: Document, vote: object) -> None:
    if vote not in documents.VOTES:
        raise invalid(f"The value '{vote}' is not valid for vote.")
    if vote == entry["vote"] and vote == documents.NO_VOTE:
        return
    if entry["id"] != call.user["id"]:
        # The service's words aren't known; that it refuses to vote for others is documented.
        raise ServiceError(403, "Only the reviewer can change their own vote.", "GitPullRequestVoteForbiddenException")
    entry["vote"] = vote
    if int(str(vote)) > documents.NO_VOTE:
        entry["approvedOn"] = sorted({*entry["approvedOn"], len(pull["iterations"])})
    else:
        entry["approvedOn"] = []
    discussion.note(
        call.service, pull, call.user, f"{call.user['displayName']} {_WORDS[int(str(vote))]}.", "VoteUpdate"
    )


def _put(call: Call, pull: Document, id_: str, given: dict[str, Any]) -> Document:
    who = identity(call, id_)
    entry = documents.reviewer(pull, who["id"])
    if entry is None:
        entry = documents.new_reviewer(who["id"])
        pull["reviewers"].append(entry)
    for name in ("isRequired", "isFlagged", "hasDeclined"):
        if given.get(name) is not None:
            entry[name] = bool(given[name])
    if given.get("vote") is not None:
        _vote(call, pull, entry, given["vote"])
    return entry


@reviewers.on("PUT")
def put(call: Call) -> Answer:
    pull = _open(call)
    body = call.document()
    entry = _put(call, pull, str(call.route.get("reviewerId") or body.get("id") or ""), body)
    answer = views.reviewer(call, pull, entry)
    lifecycle.refresh(call.service, pull)
    return answer


@reviewers.on("PATCH")
def patch(call: Call) -> Answer:
    """One reviewer's flags; without one, the votes of several are taken back, which is the author's right."""
    pull = _open(call)
    body = call.json()
    if "reviewerId" in call.route:
        given = {name: body.get(name) for name in ("isFlagged", "hasDeclined")} if isinstance(body, dict) else {}
        answer: Answer = views.reviewer(call, pull, _put(call, pull, call.route["reviewerId"], given))
    elif not isinstance(body, list):
        raise missing_value("patchVotes")
    else:
        if call.user["id"] != pull["createdBy"]:
            raise ServiceError(403, "Only the author can reset votes.", "GitPullRequestVoteForbiddenException")
        wanted = {str(each.get("id")) for each in body if each.get("vote") == documents.NO_VOTE}
        for entry in pull["reviewers"]:
            if entry["id"] in wanted:
                entry |= {"vote": documents.NO_VOTE, "approvedOn": []}
        answer = None
    lifecycle.refresh(call.service, pull)
    return answer


@reviewers.on("POST")
def post(call: Call) -> Answer:
    pull = _open(call)
    body = call.json()
    if not isinstance(body, list):
        raise missing_value("reviewers")
    added = [_put(call, pull, str(each.get("id") or ""), {**each, "vote": None}) for each in body]
    answer = [views.reviewer(call, pull, each) for each in added]
    lifecycle.refresh(call.service, pull)
    return answer


@reviewers.on("GET")
def get(call: Call) -> Answer:
    pull = views.found(call)
    if "reviewerId" not in call.route:
        return [views.reviewer(call, pull, each) for each in pull["reviewers"]]
    return views.reviewer(call, pull, _existing(call, pull))


def _existing(call: Call, pull: Document) -> Document:
    entry = documents.reviewer(pull, call.route["reviewerId"].lower())
    if entry is None:
        message = f"The reviewer {call.route['reviewerId']} was not found."
        raise ServiceError(404, message, "GitPullRequestReviewerNotFoundException")
    return entry


@reviewers.on("DELETE")
def delete(call: Call) -> Answer:
    pull = _open(call)
    pull["reviewers"].remove(_existing(call, pull))
    # Whom a policy requires comes back at once.
    lifecycle.refresh(call.service, pull)
    return None

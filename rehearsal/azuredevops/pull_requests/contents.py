"""What a pull request brings: its iterations, commits, changed files, conflicts, and linked work items.

https://learn.microsoft.com/rest/api/azure/devops/git/pull-request-iterations
"""

from rehearsal.azuredevops import git_commits
from rehearsal.azuredevops.context import Call
from rehearsal.azuredevops.errors import ServiceError
from rehearsal.azuredevops.pull_requests import documents, rest, views
from rehearsal.azuredevops.routing import Answer
from rehearsal.store import Document

iterations = views.of_a_pull_request(
    "pullRequestIterations", "iterations/{iterationId}", "d43911ee-6958-46b0-a42b-8445b8a0d004"
)
iteration_changes = views.of_a_pull_request(
    "pullRequestIterationChanges",
    "iterations/{iterationId}/changes",
    "4216bdcf-b6b1-4d59-8b82-c34cc183fc8b",
)
iteration_commits = views.of_a_pull_request(
    "pullRequestIterationCommits", "iterations/{iterationId}/commits", "e7ea0883-095f-4926-b5fb-f24691c26fb9"
)
commits = views.of_a_pull_request("pullRequestCommits", "commits", "52823034-34a8-4576-922c-8d8b77e9e4c4")
conflicts = views.of_a_pull_request(
    "pullRequestConflicts", "conflicts/{conflictId}", "d840fb74-bbef-42d3-b250-564604c054a4"
)
work_items = views.of_a_pull_request("pullRequestWorkItems", "workitems", "0a637fcc-5370-4ce8-b0e8-98091f5f9482")

_CHANGES = {"A": "add", "M": "edit", "D": "delete", "T": "edit"}


def _shown(call: Call, pull: Document, iteration: Document) -> Document:
    return {
        "id": iteration["id"],
        "description": "",
        "author": views.person(call, iteration["author"]),
        "createdDate": iteration["date"],
        "updatedDate": iteration["date"],
        "sourceRefCommit": views.commit(call, pull, iteration["source"]),
        "targetRefCommit": views.commit(call, pull, iteration["target"]),
        "commonRefCommit": views.commit(call, pull, iteration["base"]),
        "hasMoreCommits": False,
        "reason": iteration["reason"],
        "_links": {"self": {"href": views.url(call, pull, "iterations", iteration["id"])}},
    }


def _iteration(call: Call, pull: Document) -> Document:
    number = call.number("iterationId")
    if not 1 <= number <= len(pull["iterations"]):
        message = f"The iteration {number} of the pull request was not found."
        raise ServiceError(404, message, "GitPullRequestIterationNotFoundException")
    found: Document = pull["iterations"][number - 1]
    return found


@iterations.on("GET")
def get_iterations(call: Call) -> Answer:
    pull = views.found(call)
    if "iterationId" in call.route:
        return _shown(call, pull, _iteration(call, pull))
    return [_shown(call, pull, each) for each in pull["iterations"]]


@iteration_changes.on("GET")
def get_changes(call: Call) -> Answer:
    pull = views.found(call)
    iteration = _iteration(call, pull)
    compared = call.whole_number("$compareTo", 0)
    old = pull["iterations"][compared - 1]["source"] if 0 < compared <= len(pull["iterations"]) else iteration["base"]
    here = documents.git_of(call.service, pull)
    found = list(documents.changes(here, old, iteration["source"]))
    skip, top = call.whole_number("$skip", 0), call.whole_number("$top", 100)
    page = list(enumerate(found, 1))[skip : skip + top]
    more = skip + top < len(found)
    return {
        "changeEntries": [
            {
                "changeTrackingId": number,
                "changeId": number,
                "item": {"path": path, "objectId": object_id},
                "changeType": _CHANGES[letter],
            }
            for number, (letter, path, object_id) in page
        ],
        "nextSkip": skip + top if more else 0,
        "nextTop": min(top, len(found) - skip - top) if more else 0,
    }


def _commits(call: Call, pull: Document, base: str, source: str) -> list[Document]:
    repository = documents.repository_of(call.store, pull)
    assert repository is not None  # noqa: S101 - the pull request was found by it
    here = documents.git_of(call.service, pull)
    top = call.whole_number("$top", call.whole_number("top", 100))
    listed = here.text("rev-list", f"--max-count={top}", f"{base}..{source}").splitlines()
    return [git_commits.described(call, repository, here, each) for each in listed]


@iteration_commits.on("GET")
def get_iteration_commits(call: Call) -> Answer:
    pull = views.found(call)
    iteration = _iteration(call, pull)
    return _commits(call, pull, iteration["base"], iteration["source"])


@commits.on("GET")
def get_commits(call: Call) -> Answer:
    pull = views.found(call)
    last = pull["iterations"][-1]
    return _commits(call, pull, last["base"], last["source"])


@conflicts.on("GET")
def get_conflicts(call: Call) -> Answer:
    pull = views.found(call)
    return [
        {
            "conflictId": number,
            "conflictPath": f"/{path}",
            # Of the service's kinds; which one it is makes no difference to anybody who has to merge by hand.
            "conflictType": "editEdit",
            "resolutionStatus": "unresolved",
            "mergeSourceCommit": views.commit(call, pull, pull["sourceCommit"]),
            "mergeTargetCommit": views.commit(call, pull, pull["targetCommit"]),
            "mergeOrigin": {"pullRequestId": pull["id"]},
        }
        for number, path in enumerate(pull["conflicts"], 1)
    ]


@work_items.on("GET")
def get_work_items(call: Call) -> Answer:
    return rest.work_item_references(call, views.found(call))

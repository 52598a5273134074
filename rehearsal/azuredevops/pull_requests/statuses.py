"""What outside services say of a pull request, or of one of its iterations.

https://learn.microsoft.com/rest/api/azure/devops/git/pull-request-statuses
"""

from rehearsal.azuredevops import policy
from rehearsal.azuredevops.context import Call, now
from rehearsal.azuredevops.errors import ServiceError, invalid, missing_value
from rehearsal.azuredevops.pull_requests import documents, evaluation, lifecycle, views
from rehearsal.azuredevops.routing import Answer
from rehearsal.store import Document

statuses = views.of_a_pull_request("pullRequestStatuses", "statuses/{statusId}", "b5f6bb4f-8d1e-4d79-8d11-4c9172c99c35")
of_iteration = views.of_a_pull_request(
    "pullRequestIterationStatuses",
    "iterations/{iterationId}/statuses/{statusId}",
    "75cf11c5-979f-4038-a76e-058a06adf2bf",
)

_STATES = ("notSet", "pending", "succeeded", "failed", "error", "notApplicable")


def _shown(call: Call, pull: Document, status: Document) -> Document:
    address = views.url(call, pull, "statuses", status["id"])
    shown = {**status, "createdBy": views.person(call, status["createdBy"]), "_links": {"self": {"href": address}}}
    if status["iterationId"] is None:
        del shown["iterationId"]
    return shown


def _add(call: Call, iteration: int | None) -> Answer:
    pull = views.found(call, "PullRequestContribute")
    body = call.document()
    context = body.get("context") or {}
    if not context.get("name"):
        raise missing_value("context.name")
    state = body.get("state") or "notSet"
    state = _STATES[state] if isinstance(state, int) and 0 <= state < len(_STATES) else state
    if state not in _STATES:
        raise invalid(f"The value '{state}' is not valid for state.")
    iteration = iteration if iteration is not None else body.get("iterationId")
    if iteration is not None and not 1 <= int(iteration) <= len(pull["iterations"]):
        raise invalid(f"The iteration {iteration} does not exist.")
    if iteration is None and _wants_iteration(call, pull, context):
        # The words are known from https://github.com/cake-contrib/Cake.AzureDevOps/issues/347.
        raise ServiceError(
            403,
            "Pull request status rejected by status policy. Policy configuration requires status to be posted on "
            "iteration",
            "GitPullRequestStatusRejectedByPolicyException",
        )
    time = now()
    status = {
        "id": len(documents.statuses(call.store, pull)) + 1,
        "state": state,
        "description": body.get("description"),
        "context": {"name": context["name"], "genre": context.get("genre")},
        "targetUrl": body.get("targetUrl"),
        "createdBy": call.user["id"],
        "creationDate": time,
        "updatedDate": time,
        "iterationId": iteration,
    }
    call.store.put("pull-request-status", f"{documents.key(pull)}/{status['id']:06}", status)
    answer = _shown(call, pull, status)
    lifecycle.refresh(call.service, pull)
    return answer


def _wants_iteration(call: Call, pull: Document, context: Document) -> bool:
    repository = documents.repository_of(call.store, pull)
    assert repository is not None  # noqa: S101 - the pull request was found by it
    return any(
        each["type"] == policy.STATUS
        and each["settings"].get("invalidateOnSourceUpdate")
        and each["settings"]["statusName"] == context["name"]
        and (each["settings"].get("statusGenre") or None) == (context.get("genre") or None)
        for each in evaluation.configurations(call.store, repository, pull["target"])
    )


def _listed(call: Call, iteration: int | None) -> Answer:
    pull = views.found(call)
    found = [
        each for each in documents.statuses(call.store, pull) if iteration is None or each["iterationId"] == iteration
    ]
    if "statusId" not in call.route:
        return [_shown(call, pull, each) for each in found]
    wanted = call.number("statusId")
    one = next((each for each in found if each["id"] == wanted), None)
    if one is None:
        raise ServiceError(404, f"The status {wanted} was not found.", "GitPullRequestStatusNotFoundException")
    return _shown(call, pull, one)


@statuses.on("POST")
def create(call: Call) -> Answer:
    return _add(call, None)


@statuses.on("GET")
def get(call: Call) -> Answer:
    return _listed(call, None)


@of_iteration.on("POST")
def create_of_iteration(call: Call) -> Answer:
    return _add(call, call.number("iterationId"))


@of_iteration.on("GET")
def get_of_iteration(call: Call) -> Answer:
    return _listed(call, call.number("iterationId"))

"""Pull requests: made, listed, read, changed and completed.

https://learn.microsoft.com/rest/api/azure/devops/git/pull-requests
"""

from collections.abc import Iterable
from typing import Any

from starlette.responses import JSONResponse

from rehearsal.azuredevops import git_rest, identities, permissions, push_rules
from rehearsal.azuredevops.context import Call, now
from rehearsal.azuredevops.errors import ServiceError, invalid, missing_value
from rehearsal.azuredevops.permissions import GIT
from rehearsal.azuredevops.projects import project_of
from rehearsal.azuredevops.pull_requests import documents, lifecycle, merging, reviewing, views
from rehearsal.azuredevops.routing import Answer, location
from rehearsal.store import Document

pull_requests = location(
    "git",
    "pullRequests",
    "{project}/_apis/{area}/repositories/{repositoryId}/{resource}/{pullRequestId}",
    "9946fd70-0d40-406e-b686-b4744cbbcc37",
)
of_project = location(
    "git", "pullRequests", "{project}/_apis/{area}/{resource}", "a5d28130-9cd2-40fa-9f08-902e7daa9efb", complete=True
)
by_id = location(
    "git",
    "pullRequests",
    "{project}/_apis/{area}/{resource}/{pullRequestId}",
    "01a46dea-7d46-4d40-bc84-319e7c260d99",
    complete=True,
)

NOBODY = "00000000-0000-0000-0000-000000000000"
_LONGEST_TITLE, _LONGEST_DESCRIPTION = 400, 4000  # characters
_STATES = ("notSet", "active", "abandoned", "completed", "all")
_PAGE = 101  # how many come without $top


def _texts(title: object, description: object) -> None:
    if not str(title or "").strip():
        raise missing_value("title")
    if len(str(title)) > _LONGEST_TITLE:
        raise _too_long("title", _LONGEST_TITLE)
    if len(str(description or "")) > _LONGEST_DESCRIPTION:
        raise _too_long("description", _LONGEST_DESCRIPTION)


def _too_long(what: str, limit: int) -> ServiceError:
    # The words for a description: https://github.com/scala-steward-org/scala-steward/issues/3543.
    message = f"A {what} for a pull request must not be longer than {limit} characters."
    return invalid(f"Invalid argument value.\r\nParameter name: {message}")


@pull_requests.on("POST")
def create(call: Call) -> Answer:
    repository = git_rest.find(call, "PullRequestContribute")
    body = call.document()
    source, target = str(body.get("sourceRefName") or ""), str(body.get("targetRefName") or "")
    if not (source.startswith("refs/heads/") and target.startswith("refs/heads/")) or source == target:
        raise invalid(f"The branches '{source}' and '{target}' are not valid for a pull request.")
    _texts(body.get("title"), body.get("description"))
    reviewers: list[Document] = []
    for given in body.get("reviewers") or []:
        entry = documents.new_reviewer(reviewing.identity(call, str(given.get("id") or ""))["id"])
        reviewers.append(entry | {"isRequired": bool(given.get("isRequired"))})
    wanted = {
        "source": source,
        "target": target,
        "title": str(body["title"]),
        "description": str(body.get("description") or ""),
        "isDraft": bool(body.get("isDraft")),
        "workItems": [str(each.get("id")) for each in body.get("workItemRefs") or []],
        "reviewers": reviewers,
        "completionOptions": _options(body.get("completionOptions")),
    }
    pull = lifecycle.new(call.service, repository, call.user, wanted)
    # The merge is tried after the answer has gone out, as far as a client can see.
    answer = views.shown(call, pull) | {"mergeStatus": "queued"}
    return JSONResponse({name: value for name, value in answer.items() if name != "lastMergeCommit"}, 201)


def _options(given: object) -> Document | None:
    if given is None:
        return None
    if not isinstance(given, dict):
        raise invalid("The value of completionOptions is not valid.")
    options = {name: value for name, value in given.items() if value is not None}
    strategy = options.get("mergeStrategy")
    if isinstance(strategy, int) and 1 <= strategy <= len(merging.STRATEGIES):
        # GitPullRequestMergeStrategy counts from 1.
        options["mergeStrategy"] = strategy = merging.STRATEGIES[strategy - 1]
    if strategy is not None and strategy not in merging.STRATEGIES:
        raise invalid(f"The value '{strategy}' is not valid for mergeStrategy.")
    return options


@pull_requests.on("GET")
def get(call: Call) -> Answer:
    if "pullRequestId" in call.route:
        return _one(call, views.found(call))
    repository = git_rest.find(call)
    return _listed(call, call.store.all("pull-request", f"{repository['project']}/"), repository["id"])


def _one(call: Call, pull: Document) -> Document:
    answer = views.shown(call, pull)
    if call.flag("includeWorkItemRefs"):
        answer["workItemRefs"] = work_item_references(call, pull)
    return answer


def work_item_references(call: Call, pull: Document) -> list[Document]:
    """The work items that are linked (ResourceRef). They aren't kept here: only their numbers are."""
    return [{"id": each, "url": call.url("_apis", "wit", "workItems", each)} for each in pull["workItems"]]


@of_project.on("GET")
def get_of_project(call: Call) -> Answer:
    project = project_of(call)
    return _listed(call, call.store.all("pull-request", f"{project['id']}/"), None)


def _listed(call: Call, pulls: Iterable[Document], repository_id: str | None) -> list[Document]:
    wanted = call.query.get("searchcriteria.status") or "active"
    if wanted not in _STATES:
        raise invalid(f"The value '{wanted}' is not valid for searchCriteria.status.")
    repository_id = repository_id or call.query.get("searchcriteria.repositoryid")
    fields = {"source": "sourcerefname", "target": "targetrefname", "createdBy": "creatorid"}
    filters = {name: call.query.get(f"searchcriteria.{asked}") for name, asked in fields.items()}
    reviewer_id = call.query.get("searchcriteria.reviewerid")
    found = [
        each
        for each in pulls
        if (repository_id is None or each["repository"] == repository_id.lower())
        and (wanted == "all" or each["status"] == (wanted if wanted != "notSet" else "active"))
        and all(value is None or each[name] == value for name, value in filters.items())
        and (reviewer_id is None or documents.reviewer(each, reviewer_id) is not None)
        and _may_read(call, each)
    ]
    skip = call.whole_number("$skip", 0)
    newest = sorted(found, key=lambda each: int(each["id"]), reverse=True)
    return [views.shown(call, each) for each in newest[skip : skip + call.whole_number("$top", _PAGE)]]


def _may_read(call: Call, pull: Document) -> bool:
    repository = documents.repository_of(call.store, pull)
    return repository is not None and push_rules.may(call.service, repository, call.user, "GenericRead")


@by_id.on("GET")
def get_by_id(call: Call) -> Answer:
    number = call.number("pullRequestId")
    pull = next((each for each in call.store.all("pull-request") if each["id"] == number), None)
    if pull is None:
        raise views.not_found(number)
    project = call.store.get("project", pull["project"])
    assert project is not None  # noqa: S101 - a pull request goes with its project
    call.user = identities.acting(call.store, call.user, project)
    if not _may_read(call, pull):
        raise views.not_found(number)
    return _one(call, pull)


@pull_requests.on("PATCH")
def update(call: Call) -> Answer:
    pull = views.found(call, "PullRequestContribute")
    body = {name: value for name, value in call.document().items() if value is not None}
    status = str(body.get("status", pull["status"]))
    if status not in ("active", "abandoned", "completed", "notSet"):
        raise invalid(f"The value '{status}' is not valid for status.")
    if status == "notSet":
        status = pull["status"]
    if pull["status"] == "completed" or (pull["status"] == "abandoned" and status == "completed"):
        raise ServiceError(
            400, "TF401181: The pull request cannot be edited due to its state.", "GitPullRequestNotEditableException"
        )
    if status == "completed":
        return _complete(call, pull, body)
    _change(call, pull, body)
    if status == "abandoned" and pull["status"] == "active":
        lifecycle.abandon(call.service, pull, call.user)
    elif status == "active" and pull["status"] == "abandoned":
        lifecycle.reactivate(call.service, pull, call.user)
    else:
        lifecycle.refresh(call.service, pull)
    documents.keep(call.store, pull)
    return views.shown(call, pull)


def _change(call: Call, pull: Document, body: dict[str, Any]) -> None:
    _texts(body.get("title", pull["title"]), body.get("description", pull["description"]))
    for name in ("title", "description"):
        pull[name] = str(body.get(name, pull[name]))
    pull["isDraft"] = bool(body.get("isDraft", pull["isDraft"]))
    if "completionOptions" in body:
        pull["completionOptions"] = _options(body["completionOptions"])
    target = str(body.get("targetRefName", pull["target"]))
    if target != pull["target"]:
        repository = git_rest.find(call)
        _, pull["targetCommit"] = lifecycle.tips(call.service, repository, pull["source"], target)
        lifecycle.demand_unique(call.service, repository, pull["source"], target)
        pull["target"] = target
        lifecycle.merge_again(call.service, pull)
    if body.get("mergeStatus") == "queued" and pull["status"] == "active":
        # "Restart merge".
        lifecycle.merge_again(call.service, pull)
    if "autoCompleteSetBy" in body:
        _set_auto_complete(call, pull, str((body["autoCompleteSetBy"] or {}).get("id") or NOBODY))


def _set_auto_complete(call: Call, pull: Document, id_: str) -> None:
    if id_ == NOBODY:
        pull["autoCompleteSetBy"] = None
        return
    if id_ != call.user["id"]:
        raise invalid("Auto-complete can be set for oneself only.")
    # Whoever sets it completes, so they must be allowed to.
    token = permissions.git_token(pull["project"], pull["repository"], pull["target"])
    permissions.demand(call.store, call.user, GIT, token, "GenericContribute")
    pull["autoCompleteSetBy"] = id_


def _complete(call: Call, pull: Document, body: dict[str, Any]) -> Answer:
    given = str((body.get("lastMergeSourceCommit") or {}).get("commitId") or "")
    if not given:
        # The service's words aren't known; that it wants the commit is: the merge must be of what was reviewed.
        raise invalid("Invalid argument value.\r\nParameter name: lastMergeSourceCommit")
    if given != pull["sourceCommit"]:
        message = "TF401192: The source branch has been modified since the last merge attempt."
        raise ServiceError(409, message, "GitPullRequestStaleException")
    if "completionOptions" in body:
        pull["completionOptions"] = _options(body["completionOptions"])
    pull["completionQueueTime"] = now()
    bypass = bool((pull["completionOptions"] or {}).get("bypassPolicy"))
    before = views.shown(call, pull)
    lifecycle.complete(call.service, pull, call.user, bypass=bypass)
    # The service merges after its answer (https://github.com/ssc-sp/datahub-portal/pull/1285): a client has to look
    # again until the status is completed. Here that is so at the next look.
    return before | {"mergeStatus": "queued"}

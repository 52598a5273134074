"""How the policies of the target branch stand, and asking for a build again.

https://learn.microsoft.com/rest/api/azure/devops/policy/evaluations
"""

import re

from rehearsal.azuredevops import permissions, policy
from rehearsal.azuredevops.context import Call
from rehearsal.azuredevops.errors import ServiceError, invalid
from rehearsal.azuredevops.permissions import GIT
from rehearsal.azuredevops.projects import project_of
from rehearsal.azuredevops.pull_requests import builds, documents, evaluation, lifecycle, views
from rehearsal.azuredevops.routing import Answer, location
from rehearsal.store import Document

of_artifact = location(
    "policy",
    "evaluations",
    "{project}/_apis/{area}/{resource}",
    "c23ddff5-229c-4d04-a80b-0fdce9f360c8",
    complete=True,
)
evaluations = location(
    "policy",
    "evaluations",
    "{project}/_apis/{area}/{resource}/{evaluationId}",
    "46aecb7a-5d2c-4647-897b-0209505a9fe4",
    complete=True,
)

_ARTIFACT = re.compile(
    r"vstfs:///CodeReview/CodeReviewId/(?P<project>[0-9a-f-]{36})(/|%2f)(?P<number>\d+)", re.IGNORECASE
)


def _pull_request(call: Call, project: Document, number: int) -> Document:
    pull = documents.find(call.store, project["id"], number)
    if pull is None:
        raise views.not_found(number)
    token = permissions.git_token(pull["project"], pull["repository"])
    if not permissions.may(call.store, call.user, GIT, token, "GenericRead"):
        raise views.not_found(number)
    return pull


def _shown(call: Call, project: Document, found: Document) -> Document:
    configuration = call.store.get("policy", policy.key(project["id"], found["configuration"]))
    shown = {
        "artifactId": f"vstfs:///CodeReview/CodeReviewId/{project['id']}%2f{found['pullRequest']}",
        "evaluationId": found["id"],
        "startedDate": found["startedDate"],
        "status": found["status"],
        "_links": {"self": {"href": call.url(project["id"], "_apis", "policy", "evaluations", found["id"])}},
        "configuration": policy.shown(call, project, configuration) if configuration else None,
    }
    if found["completedDate"]:
        shown["completedDate"] = found["completedDate"]
    if found["context"]:
        shown["context"] = found["context"]
    return shown


@of_artifact.on("GET")
def get_of_artifact(call: Call) -> Answer:
    project = project_of(call)
    asked = _ARTIFACT.fullmatch(call.query.get("artifactid", ""))
    if asked is None or asked["project"].lower() != project["id"]:
        raise invalid(f"The value '{call.query.get('artifactid', '')}' is not valid for artifactId.")
    pull = _pull_request(call, project, int(asked["number"]))
    # What depends on the time, and policies that came since, are looked at now.
    found = lifecycle.refresh(call.service, pull)
    if not call.flag("includeNotApplicable"):
        found = [each for each in found if each["status"] != "notApplicable"]
    return [_shown(call, project, each) for each in found]


def _find(call: Call, project: Document) -> tuple[Document, Document]:
    id_ = call.route["evaluationId"].lower()
    known = call.store.all("policy-evaluation", f"{project['id']}/")
    found = next((each for each in known if each["id"] == id_), None)
    if found is None:
        message = f"The policy evaluation record {id_} does not exist."
        raise ServiceError(404, message, "PolicyEvaluationNotFoundException")
    return found, _pull_request(call, project, found["pullRequest"])


@evaluations.on("GET")
def get(call: Call) -> Answer:
    project = project_of(call)
    found, _ = _find(call, project)
    return _shown(call, project, found)


@evaluations.on("PATCH")
def requeue(call: Call) -> Answer:
    """Looks at a policy again; a build starts anew."""
    project = project_of(call)
    found, pull = _find(call, project)
    token = permissions.git_token(pull["project"], pull["repository"])
    permissions.demand(call.store, call.user, GIT, token, "PullRequestContribute")
    configuration = call.store.get("policy", policy.key(project["id"], found["configuration"]))
    if pull["status"] == "active" and configuration and configuration["type"] == policy.BUILD_VALIDATION:
        if not pull["mergeCommit"]:
            raise invalid("The build can't be queued: the pull request has merge conflicts.")
        builds.queue(call.service, pull, configuration, found)
        call.store.put("policy-evaluation", documents.evaluation_key(pull, configuration["id"]), found)
    looked = {each["id"]: each for each in evaluation.evaluate(call.service, pull)}
    return _shown(call, project, looked.get(found["id"], found))

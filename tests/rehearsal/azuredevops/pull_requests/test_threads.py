"""Comments: what people and pipelines say on a pull request."""

from typing import Any

import pytest
from azure.devops.exceptions import AzureDevOpsServiceError

from rehearsal.azuredevops.users import BUILD_SERVICE, DANA, DEVIN
from tests.rehearsal.azuredevops.organization import GIT_NAMESPACE, SOCKETS_LEFT_OPEN

pytestmark = SOCKETS_LEFT_OPEN

CONTRIBUTE = 1 << 14  # PullRequestContribute


@pytest.fixture
def pull(place: Any) -> Any:
    place.push()
    return place.open()


def spoken(place: Any, pull: Any) -> list[Any]:
    """The threads, without the service's own notes."""
    found = place.client().get_threads(place.repository.id, pull.pull_request_id)
    return [each for each in found if each.comments[0].comment_type != "system"]


def test_a_thread_keeps_its_place_its_mark_and_its_answers(place: Any, pull: Any) -> None:
    where = {"filePath": "/b.py", "rightFileStart": {"line": 1, "offset": 1}, "rightFileEnd": {"line": 1, "offset": 2}}
    made = place.comment(pull, "why?", DEVIN, threadContext=where, properties={"delivery.preview": "both"})
    reply = {"content": "because", "parentCommentId": 1, "commentType": 1}
    place.client().create_comment(reply, place.repository.id, pull.pull_request_id, made.id)
    (thread,) = spoken(place, pull)
    assert thread.thread_context.file_path == "/b.py"
    assert thread.properties["delivery.preview"] == {"$type": "System.String", "$value": "both"}
    assert [(each.id, each.parent_comment_id, each.content) for each in thread.comments] == [
        (1, 0, "why?"),
        (2, 1, "because"),
    ]
    assert [each.author.unique_name for each in thread.comments] == [
        "devin@rehearsal.example",
        "dana@rehearsal.example",
    ]
    assert thread.status == "active"


def test_a_comment_is_edited_in_place_by_its_author_alone(place: Any, pull: Any) -> None:
    made = place.comment(pull, "first", DEVIN)
    where = (place.repository.id, pull.pull_request_id, made.id, 1)
    place.client(DEVIN).update_comment({"content": "second"}, *where)
    (thread,) = spoken(place, pull)
    assert [each.content for each in thread.comments] == ["second"]
    with pytest.raises(AzureDevOpsServiceError, match="Only the author"):
        place.client(DANA).update_comment({"content": "third"}, *where)
    with pytest.raises(AzureDevOpsServiceError, match="Administer"):
        place.client(DANA).delete_comment(*where)
    place.client(DEVIN).delete_comment(*where)
    (thread,) = spoken(place, pull)
    assert (thread.is_deleted, thread.comments[0].is_deleted, thread.comments[0].content) == (True, True, None)


def test_a_comment_has_a_longest_length(place: Any, pull: Any) -> None:
    limit = 150_000
    place.comment(pull, "x" * limit)
    message = "A discussion comment cannot be longer than 150000 characters."
    with pytest.raises(AzureDevOpsServiceError, match=message):
        place.comment(pull, "x" * (limit + 1))
    body = {"content": "x" * (limit + 1)}
    (thread,) = spoken(place, pull)
    refused = place.http("PATCH", f"pullRequests/{pull.pull_request_id}/threads/{thread.id}/comments/1", json=body)
    assert (refused.status_code, message in refused.json()["message"]) == (400, True)
    with pytest.raises(AzureDevOpsServiceError, match=r"comment\.Content"):
        place.comment(pull, " ")


def test_a_pipeline_comments_with_the_right_to_do_so(place: Any, pull: Any) -> None:
    place.validate()
    place.evaluations(pull)  # the first run brings the project's build identity into being
    found = (
        place.organization.clients()
        .get_identity_client()
        .read_identities(search_filter="General", filter_value=f"{place.project.name} Build Service (rehearsal)")
    )
    entry = {"descriptor": found[0].descriptor, "allow": CONTRIBUTE, "deny": 0}
    body = {"token": f"repoV2/{place.project.id}", "merge": True, "accessControlEntries": [entry]}
    with place.organization.http() as http:
        http.post(f"/_apis/AccessControlEntries/{GIT_NAMESPACE}", json=body).raise_for_status()
    made = place.comment(pull, "preview", BUILD_SERVICE)
    assert made.comments[0].author.display_name == f"{place.project.name} Build Service (rehearsal)"
    with pytest.raises(AzureDevOpsServiceError, match="GenericContribute"):
        place.complete(pull, BUILD_SERVICE)


def test_the_service_notes_what_has_happened(place: Any, pull: Any) -> None:
    place.vote(pull, DEVIN)
    place.push(content="3\n")
    place.complete(pull)
    found = place.client().get_threads(place.repository.id, pull.pull_request_id)
    kinds = [each.properties["CodeReviewThreadType"]["$value"] for each in found]
    assert kinds == ["VoteUpdate", "RefUpdate", "StatusUpdate"]
    assert {each.comments[0].comment_type for each in found} == {"system"}
    assert {each.status for each in found} == {None}

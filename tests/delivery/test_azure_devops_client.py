"""The client of Azure DevOps: what it repeats, what it doesn't, and what it says."""

import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import pytest

from delivery.azure_devops import AzureDevOps, AzureDevOpsError
from delivery.console import Progress, UnusableError
from tests.delivery.azure_devops_service import CREDENTIALS, Organization, running


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Organization]:
    with running(tmp_path_factory.mktemp("azuredevops")) as made:
        yield made


@pytest.fixture
def organization(service: Organization) -> Organization:
    service.calm()
    return service


@pytest.fixture(scope="module")
def project(service: Organization) -> str:
    return service.new_project()


def names(client: AzureDevOps) -> list[str]:
    return [each["name"] for each in client.get("/projects")["value"]]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_read_gets_over_a_passing_fault(organization: Organization, project: str, status: int) -> None:
    organization.fault(action="status", status=status, count=3, path="_apis/projects")
    assert project in names(organization.client(project))
    assert organization.waits == [1.0, 2.0, 4.0]


@pytest.mark.parametrize("action", ["reset-before", "reset-after"])
def test_a_read_gets_over_a_dropped_connection(organization: Organization, project: str, action: str) -> None:
    organization.fault(action=action, count=2, path="_apis/projects")
    assert project in names(organization.client(project))
    assert organization.waits == [1.0, 2.0]


def test_it_waits_as_long_as_the_service_says(
    organization: Organization, project: str, capsys: pytest.CaptureFixture[str]
) -> None:
    later = formatdate(time.time() + 60, usegmt=True)
    for told in ("17", later):
        organization.fault(action="status", status=429, path="_apis/projects", headers={"Retry-After": told})
    assert project in names(organization.client(project, progress=Progress()))
    assert organization.waits[0] == 17
    assert organization.waits[1] == pytest.approx(60, abs=30)
    assert "Azure DevOps answers 429; once more in 17 s" in capsys.readouterr().err


def test_a_fault_that_does_not_pass_ends_it_with_the_services_words(organization: Organization, project: str) -> None:
    organization.fault(action="status", status=503, count=100, path="_apis/projects")
    with pytest.raises(AzureDevOpsError, match=r"GET /projects: 503, Service Unavailable; see whether") as caught:
        names(organization.client(project, attempts=3))
    assert (caught.value.status, caught.value.uncertain) == (503, False)
    assert len(organization.waits) == 2


@pytest.mark.parametrize("status", [429, 503])
def test_a_create_is_repeated_when_the_service_says_that_it_did_nothing(
    organization: Organization, project: str, status: int
) -> None:
    organization.fault(action="status", status=status, method="POST")
    body = {"name": f"repository {status}"}
    assert organization.client(project).post("git/repositories", body)["name"] == body["name"]


@pytest.mark.parametrize(
    "order", [{"action": "reset-after"}, {"action": "reset-before"}, {"action": "status", "status": 500}]
)
def test_a_create_is_not_repeated_when_it_may_have_been_done(
    organization: Organization, project: str, order: dict[str, object]
) -> None:
    client = organization.client(project)
    before = len(client.get("git/repositories")["value"])
    organization.fault(method="POST", **order)
    with pytest.raises(AzureDevOpsError, match="look whether it was done all the same") as caught:
        client.post("git/repositories", {"name": f"doubtful {before}"})
    assert caught.value.uncertain
    assert organization.waits == []
    done = 1 if order["action"] == "reset-after" else 0
    assert len(client.get("git/repositories")["value"]) == before + done


def test_a_change_that_may_be_made_twice_is_repeated(organization: Organization, project: str) -> None:
    client = organization.client(project)
    id_ = client.get("git/repositories")["value"][0]["id"]
    organization.fault(action="reset-after", method="PATCH")
    assert client.patch(f"git/repositories/{id_}", {"name": "renamed"}, repeat=True)["name"] == "renamed"
    assert organization.waits == [1.0]


def test_what_is_gone_already_can_be_deleted(organization: Organization, project: str) -> None:
    client = organization.client(project)
    id_ = client.post("git/repositories", {"name": "to go"})["id"]
    organization.fault(action="reset-after", method="DELETE")
    client.delete(f"git/repositories/{id_}")
    assert organization.waits == [1.0]


def test_a_wrong_token_is_told_and_is_not_in_the_message(organization: Organization, project: str) -> None:
    with pytest.raises(AzureDevOpsError, match="renew the token") as caught:
        names(organization.client(project, token="nobodys-token"))
    assert caught.value.status == 401
    assert "nobodys-token" not in str(caught.value)


@pytest.mark.parametrize("status", [203, 302])
def test_the_page_for_signing_in_is_a_wrong_token(organization: Organization, project: str, status: int) -> None:
    headers = {"Location": f"{organization.url}/_signin"}
    organization.fault(action="status", status=status, path="_apis/projects", headers=headers, body="<html>")
    with pytest.raises(AzureDevOpsError, match="the page for signing in; renew the token") as caught:
        names(organization.client(project))
    assert caught.value.status == 401


def test_an_error_has_the_services_words_and_its_name(organization: Organization, project: str) -> None:
    with pytest.raises(AzureDevOpsError, match="TF401019") as caught:
        organization.client(project).get("git/repositories/nowhere")
    assert (caught.value.status, caught.value.type_key) == (404, "GitRepositoryNotFoundException")
    assert organization.waits == []


def test_a_list_is_read_page_after_page(organization: Organization, project: str) -> None:
    client = organization.client(project)
    expected = names(client)
    for _ in range(2):
        expected.append(organization.new_project())
    assert sorted(each["name"] for each in client.get_all("/projects", query={"$top": 1})) == sorted(expected)


def test_a_download_that_is_cut_off_is_begun_again(organization: Organization, project: str, tmp_path: Path) -> None:
    organization.fault(action="reset-after", path="_apis/projects")
    organization.client(project).download(f"{organization.url}/_apis/projects?api-version=7.1", tmp_path / "projects")
    assert project in (tmp_path / "projects").read_text()
    assert organization.waits == [1.0]


@pytest.mark.parametrize(
    "url", ["https://example.com/x", "http://x.visualstudio.com/", "https://visualstudio.com.example/x"]
)
def test_the_token_goes_to_no_other_host(organization: Organization, project: str, tmp_path: Path, url: str) -> None:
    with pytest.raises(AzureDevOpsError, match="not one of the service"):
        organization.client(project).download(url, tmp_path / "file")


def test_a_service_that_is_down_is_unreachable_and_nothing_was_done(tmp_path: Path) -> None:
    waits: list[float] = []
    client = AzureDevOps("http://127.0.0.1:9/nowhere", "p", "t", attempts=3, wait=waits.append)
    with pytest.raises(AzureDevOpsError, match="Connection refused") as caught:
        client.post("git/repositories", {})
    assert not caught.value.uncertain
    assert waits == [1.0, 2.0]


def test_organisation_project_and_token_come_from_the_environment(organization: Organization, project: str) -> None:
    for names_ in (
        ("AZDO_ORG_SERVICE_URL", "SYSTEM_TEAMPROJECT", "AZDO_PERSONAL_ACCESS_TOKEN"),
        ("SYSTEM_COLLECTIONURI", "SYSTEM_TEAMPROJECT", "SYSTEM_ACCESSTOKEN"),
    ):
        values = (organization.url + "/", project, CREDENTIALS["dana"])
        client = AzureDevOps.from_environment(environment=dict(zip(names_, values, strict=True)))
        assert client.get("git/repositories")["count"] >= 1


@pytest.mark.parametrize(
    ("environment", "key"), [({}, "AZDO_ORG_SERVICE_URL"), ({"AZDO_ORG_SERVICE_URL": "https://x"}, "--project-name")]
)
def test_what_the_environment_lacks_is_named(environment: dict[str, str], key: str) -> None:
    with pytest.raises(UnusableError) as caught:
        AzureDevOps.from_environment(environment=environment)
    assert caught.value.mistakes[0].key == key

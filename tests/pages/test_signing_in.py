"""Who may look at the pages, and what keeps others from acting with somebody's session."""

from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser

import httpx
import pytest

from rehearsal.pages.sessions import Session, Sessions
from tests.pages.conftest import Project, SignIn
from tests.rehearsal.azuredevops.organization import CREDENTIALS, Organization
from tests.rehearsal.databricks.clients import CREDENTIALS as DATABRICKS
from tests.rehearsal.databricks.clients import Workspace


class _Tokens(HTMLParser):
    """The tokens in a page's forms, and how many forms have none."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tokens: list[str] = []
        self.forms = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.forms += tag == "form" and given.get("method") == "post"
        if tag == "input" and given.get("name") == "token":
            self.tokens.append(str(given["value"]))


@contextmanager
def _signed_in(root: str, user: str) -> Iterator[httpx.Client]:
    """A browser without a window."""
    accepting = {"accept": "text/html"}
    with httpx.Client(base_url=root, headers=accepting, follow_redirects=True, timeout=20) as client:
        token = _Tokens(client.get("/_signin").text).tokens[0]
        assert client.post("/_signin", data={"token": token, "user": user}).status_code == 200
        yield client


def test_who_is_not_signed_in_chooses_a_person_and_then_sees_the_page_that_was_asked_for(
    organization: Organization, project: Project, at_azure_devops: SignIn
) -> None:
    dana = at_azure_devops("Dana Developer")
    dana.page.context.clear_cookies()
    dana.open(f"/rehearsal/{project.name}/_build")
    assert "Who are you?" in dana.text()
    assert "Devin Developer" in dana.text()
    dana.press("Dana Developer dana@rehearsal.example, member of every project")
    assert dana.page.url == f"{organization.root}/rehearsal/{project.name.replace(' ', '%20')}/_build"
    assert "Dana Developer" in dana.page.inner_text("header")
    dana.press("Sign out")
    dana.open("/rehearsal")
    assert "Who are you?" in dana.text()


def test_a_person_without_rights_sees_no_project(project: Project, at_azure_devops: SignIn) -> None:
    nobody = at_azure_devops("Nobody")
    assert project.name not in nobody.text()
    answer = nobody.open(f"/rehearsal/{project.name}/_git/{project.name}")
    assert answer.status == 404
    assert "TF200016: The following project does not exist" in nobody.refusal


def test_every_form_carries_the_sessions_token_and_without_it_nothing_is_done(organization: Organization) -> None:
    with _signed_in(organization.root, "dana") as client:
        found = _Tokens(client.get("/rehearsal").text)
        assert found.forms == len(found.tokens) > 0
        for token in ("", "wrong", found.tokens[0][:-1]):
            refused = client.post("/_signout", data={"token": token})
            assert refused.status_code == 403
            assert "Who are you?" not in client.get("/rehearsal").text
    with _signed_in(organization.root, "devin") as other:
        stolen = other.post("/_signout", data={"token": found.tokens[0]})
        assert stolen.status_code == 403


def test_a_form_of_another_sites_page_changes_nothing(workspace: Workspace) -> None:
    workspace.notebook("/Shared/rides")
    before = workspace.call("GET", "2.0/workspace/export", params={"path": "/Shared/rides"}).json()
    with _signed_in(workspace.url, "administrator") as client:
        for token in ("", "wrong"):
            sent = client.post("/browse/Shared/rides", data={"do": "save", "text": "# mine", "token": token})
            assert sent.status_code == 403
            assert "The form did not come from this session" in sent.text
    assert workspace.call("GET", "2.0/workspace/export", params={"path": "/Shared/rides"}).json() == before


def test_a_cookie_that_the_service_did_not_sign_signs_nobody_in(organization: Organization) -> None:
    with _signed_in(organization.root, "nobody") as client:
        kept = client.cookies["rehearsal_azuredevops"].strip('"')
        body, _, signature = kept.partition(".")
        forged = Sessions("azuredevops", "another secret").write(Session(nonce="x", user="administrator"))
        for cookie in (forged, f"{body[:-2]}AA.{signature}", body, "", f"{body}.", "é.é"):
            header = {b"cookie": f"rehearsal_azuredevops={cookie}".encode()}
            answer = httpx.get(f"{organization.root}/rehearsal", headers=header)
            assert (answer.status_code, answer.headers["location"][:8]) == (303, "/_signin")


def test_an_address_of_another_site_is_no_place_to_go_after_the_sign_in(organization: Organization) -> None:
    for address in ("https://example.com/", "//example.com/", "/\\example.com/", "javascript:alert(1)"):
        with httpx.Client(base_url=organization.root) as client:
            page = client.get("/_signin", params={"reply_to": address})
            assert "example.com" not in page.text
            token = _Tokens(page.text).tokens[0]
            answer = client.post("/_signin", data={"token": token, "user": "dana", "reply_to": address})
            assert answer.headers["location"] == "/rehearsal"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "127.0.0.1:80@evil.example"])
def test_the_pages_answer_under_this_machines_own_names_alone(organization: Organization, host: str) -> None:
    assert httpx.get(f"{organization.root}/_signin", headers={"host": host}).status_code == 421


def test_no_page_lets_a_script_run_or_loads_from_elsewhere(organization: Organization, workspace: Workspace) -> None:
    for root in (organization.root, workspace.url):
        with _signed_in(root, "dana") as client:
            for path in ("/_signin", "/", "/status", "/rehearsal"):
                answer = client.get(path)
                if "text/html" not in answer.headers["content-type"]:
                    continue
                policy = answer.headers["content-security-policy"]
                assert "default-src 'none'" in policy
                assert "script-src" not in policy
                assert "<script" not in answer.text
                cookie = client.get(path).headers["set-cookie"]
                assert "HttpOnly" in cookie
                assert "SameSite=lax" in cookie


def test_no_token_of_a_user_is_in_a_page_or_a_cookie(organization: Organization, workspace: Workspace) -> None:
    for root, secrets in ((organization.root, CREDENTIALS), (workspace.url, DATABRICKS)):
        with _signed_in(root, "administrator") as client:
            seen = client.get("/").text + str(dict(client.cookies)) + client.get("/_signin").text
            assert not [each for each in secrets.values() if each in seen]


def test_the_rest_interface_is_where_it_was(organization: Organization, workspace: Workspace) -> None:
    with organization.http() as client:
        assert client.get("/_apis/projects").json()["count"] >= 0
        assert client.get("/_apis/nothing").json()["typeKey"] == "HttpException"
        assert client.post("/nothing/here").status_code == 404
    assert workspace.call("GET", "2.0/workspace/list", params={"path": "/"}).json()["objects"]
    assert workspace.plain("GET", "/nothing").json()["error_code"] == "ENDPOINT_NOT_FOUND"

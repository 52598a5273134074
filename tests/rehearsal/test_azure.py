"""The stand-in of Azure: who gets a token, for what, and how its names are reached."""

import re
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from rehearsal import azure, connections, openid
from rehearsal.azure import Application, Trust, blobs, entra, proxy, resource_manager, serving, storage_keys
from rehearsal.azure.directory import CONTRIBUTOR, READER, SUBSCRIPTION_ID
from rehearsal.azuredevops.identities import TENANT_ID
from rehearsal.azuredevops.oidc import AUDIENCE
from rehearsal.databricks.entra import RESOURCE
from rehearsal.databricks.users import SEEDS
from rehearsal.home import Home
from rehearsal.service import Background, listen
from rehearsal.toolchain import ToolchainError
from tests.rehearsal.databricks.run_helpers import served

DEPLOYER, PREVIEWER = (next(seed.name for seed in SEEDS if seed.key == key) for key in ("deployer-test", "previewer"))
SUBJECT = "sc://contoso/Databricks CI-CD/azure"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ME = "/api/2.0/preview/scim/v2/Me"


@dataclass(frozen=True)
class Tenant:
    """The stand-in, and somebody whose tokens its application trusts."""

    home: Home
    issuer: str
    signs: openid.Issuer
    client: httpx.Client
    port: int

    def assertion(self, signs: openid.Issuer | None = None, **changes: Any) -> str:
        """A token for the application, unless `changes` of its claims say otherwise."""
        now = int(time.time())
        claims = {"iss": self.issuer, "sub": SUBJECT, "aud": AUDIENCE, "nbf": now, "exp": now + 600} | changes
        return (signs or self.signs).signed(claims)

    def ask(self, assertion: str, tenant: str = TENANT_ID, **changes: str) -> httpx.Response:
        """Asks for an access token for Databricks."""
        form = {
            "grant_type": "client_credentials",
            "client_id": DEPLOYER,
            "client_assertion_type": ASSERTION,
            "client_assertion": assertion,
            "scope": f"{RESOURCE}/.default",
        }
        return self.client.post(f"https://{entra.HOST}/{tenant}/oauth2/v2.0/token", data=form | changes)

    def token(self, scope: str = f"{RESOURCE}/.default", application: str = DEPLOYER) -> str:
        answer = self.ask(self.assertion(), scope=scope, client_id=application)
        return str(answer.raise_for_status().json()["access_token"])

    def blob(self, method: str, path: str, application: str = DEPLOYER, **options: Any) -> httpx.Response:
        """A request to the storage account, as an application."""
        headers = {"Authorization": f"Bearer {self.token(f'{entra.STORAGE}/.default', application)}"}
        headers |= options.pop("headers", {"x-ms-blob-type": "BlockBlob"})
        return self.client.request(method, f"https://{blobs.HOST}/{path}", headers=headers, **options)


@pytest.fixture(scope="module")
def tenant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    home, signs = Home(tmp_path_factory.mktemp("home")), openid.Issuer()

    async def configuration(request: Request) -> Response:
        base = str(request.base_url).rstrip("/")
        return JSONResponse(openid.configuration(base, f"{base}/keys"))

    async def keys(_: Request) -> Response:
        return JSONResponse(signs.keys())

    certificate = serving.certificate_of(home)
    trusted = ssl.create_default_context(cafile=str(certificate.bundle))
    issuing = Starlette(routes=[Route(openid.CONFIGURATION, configuration), Route("/keys", keys)])
    app = azure.create_app(home.azure, home.backend, control_token=home.credentials.control)
    with listen() as listener, Background(issuing) as issuer, Background(app) as url:
        port, own = listener.getsockname()[1], int(url.rpartition(":")[2])
        trust = Trust(issuer=issuer, subject=SUBJECT)
        deployer = Application(id=DEPLOYER, name="deployer-test", trusts=(trust,), roles=(CONTRIBUTOR,))
        azure.save(
            home.azure, [deployer, Application(id=PREVIEWER, name="previewer", trusts=(trust,), roles=(READER,))]
        )
        with (
            proxy.Background(listener, serving.routes(home, own)),
            httpx.Client(proxy=f"http://127.0.0.1:{port}", verify=trusted, trust_env=False) as client,
        ):
            yield Tenant(home, issuer, signs, client, port)


def test_a_token_of_who_is_trusted_becomes_an_access_token_that_azure_takes(tenant: Tenant) -> None:
    token = tenant.token(f"{entra.MANAGEMENT}/.default")
    claims, _ = openid.unverified(token)
    assert (claims["appid"], claims["tid"], claims["aud"]) == (DEPLOYER, TENANT_ID, entra.MANAGEMENT)
    url = f"https://{resource_manager.HOST}/subscriptions"
    [shown] = tenant.client.get(url, headers={"Authorization": f"Bearer {token}"}).raise_for_status().json()["value"]
    assert shown["subscriptionId"] == SUBSCRIPTION_ID
    for other in (f"Bearer {tenant.token()}", "Bearer x", f"Basic {token}", ""):
        assert tenant.client.get(url, headers={"Authorization": other}).status_code == 401


@pytest.mark.parametrize(
    ("claims", "form", "number"),
    [
        ({"iss": "http://127.0.0.1:9"}, {}, 700211),
        ({"sub": "sc://contoso/Databricks CI-CD/other"}, {}, 700213),
        ({"aud": "another"}, {}, 700212),
        ({"exp": 1, "nbf": 0}, {}, 700024),
        ({"nbf": 4_000_000_000, "exp": 4_000_000_600}, {}, 700024),
        ({}, {"client_id": "00000000-0000-0000-0000-000000000000"}, 700016),
        ({}, {"client_assertion": "no token"}, 50027),
        ({}, {"client_assertion_type": "", "client_secret": "guessed"}, 7000215),
        ({}, {"client_assertion_type": ""}, 7000218),
        ({}, {"scope": "https://nowhere.example/.default"}, 500011),
        ({}, {"grant_type": "password"}, 70003),
    ],
)
def test_everybody_else_is_refused_with_entras_own_number(
    tenant: Tenant, claims: dict[str, Any], form: dict[str, str], number: int
) -> None:
    answer = tenant.ask(tenant.assertion(**claims), **form)
    assert answer.is_client_error
    assert answer.json()["error_codes"] == [number]
    assert answer.json()["error_description"].startswith(f"AADSTS{number}: ")


def test_a_token_that_somebody_else_has_signed_is_refused(tenant: Tenant) -> None:
    forged = openid.Issuer()
    assert tenant.ask(tenant.assertion(forged)).json()["error_codes"] == [700027]


def test_another_tenant_is_not_there(tenant: Tenant) -> None:
    assert tenant.ask(tenant.assertion(), tenant="contoso").json()["error_codes"] == [90002]
    missing = tenant.client.get(f"https://{entra.HOST}/contoso/v2.0/.well-known/openid-configuration")
    assert missing.json()["error_codes"] == [90002]


def test_the_workspace_knows_the_service_principal_by_its_token_and_no_other_token(
    tenant: Tenant, tmp_path: Path
) -> None:
    with served(tmp_path, azure.authority(tenant.port)) as workspace:

        def known_as(token: str) -> httpx.Response:
            return workspace.plain("GET", ME, headers={"Authorization": f"Bearer {token}"})

        assert known_as(tenant.token()).json()["userName"] == DEPLOYER
        for other in (
            tenant.token(f"{entra.MANAGEMENT}/.default"),
            tenant.assertion(),
            openid.Issuer().signed(openid.unverified(tenant.token())[0]),
        ):
            assert known_as(other).status_code == 403
        token = tenant.token()
        [deployer] = [each for each in workspace.sdk().service_principals.list() if each.application_id == DEPLOYER]
        workspace.sdk().service_principals.delete(str(deployer.id))
        assert known_as(token).status_code == 403, "who is deleted in the workspace gets in no more"
        login = workspace.plain("GET", "/aad/auth")
        assert (login.status_code, TENANT_ID in login.headers["location"]) == (302, True)


def test_a_workspace_without_azure_takes_no_such_token(tenant: Tenant, tmp_path: Path) -> None:
    with served(tmp_path) as workspace:
        answer = workspace.plain("GET", ME, headers={"Authorization": f"Bearer {tenant.token()}"})
        assert answer.status_code == 403
        assert workspace.plain("GET", "/aad/auth").status_code == 404


def test_the_workspace_answers_to_its_name_in_azure_and_calls_itself_by_it(tenant: Tenant, tmp_path: Path) -> None:
    name = f"https://{serving.WORKSPACE}"
    with pytest.raises(httpx.ProxyError, match="502"):
        tenant.client.get(f"{name}/.well-known/databricks-config")
    with served(tmp_path) as workspace:
        tenant.home.set_port("databricks", int(workspace.url.rpartition(":")[2]))
        told = tenant.client.get(f"{name}/.well-known/databricks-config").raise_for_status().json()
        assert told["oidc_endpoint"] == f"{name}/oidc"
        (tenant.home.path / "ports.json").unlink()


def test_the_proxy_reaches_other_names_only_as_it_is_told_to(tenant: Tenant) -> None:
    with pytest.raises(httpx.ProxyError, match="403"):
        tenant.client.get("https://localhost:9/")


async def _hello(request: Request) -> Response:
    return PlainTextResponse(f"{request.url.scheme} {request.headers['host']}")


@pytest.mark.parametrize("behind", [False, True], ids=["itself", "through another proxy"])
def test_other_names_are_connected_as_they_are_asked_for(tenant: Tenant, behind: bool) -> None:
    certificate = serving.certificate_of(tenant.home)
    with (
        listen() as first,
        listen() as second,
        Background(Starlette(routes=[Route("/", _hello)])) as url,
    ):
        port = int(url.rpartition(":")[2])
        outside = proxy.Routes(names={}, own=port, trusted=certificate.context)
        inner = f"http://127.0.0.1:{second.getsockname()[1]}" if behind else ""
        routes = proxy.Routes(names={}, own=port, trusted=certificate.context, upstream=inner)
        with (
            proxy.Background(second, outside),
            proxy.Background(first, routes),
            socket.create_connection(first.getsockname()) as connection,
        ):
            connection.sendall(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode())
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
            connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            answer = b"".join(iter(lambda: connection.recv(1000), b""))
        assert answer.endswith(b"http 127.0.0.1")


def test_the_certificates_key_is_its_owners_alone_and_what_was_believed_stays_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    company = tmp_path / "company.pem"
    company.write_text("the company's own\n")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(company))
    made = serving.certificate_of(Home(tmp_path))
    assert made.key.stat().st_mode & 0o777 == 0o600
    assert made.bundle.read_text().startswith("the company's own\n")
    before = made.file.read_bytes()
    assert serving.certificate_of(Home(tmp_path)).file.read_bytes() == before


def test_who_has_the_role_of_a_contributor_writes_lists_reads_copies_and_deletes(tenant: Tenant) -> None:
    for name in ("a/1.json", "a/2.json", "b.json"):
        assert tenant.blob("PUT", f"state/{name}", content=name.encode()).status_code == 201
    assert tenant.blob("GET", "state/a/1.json").content == b"a/1.json"
    found = tenant.blob("HEAD", "state/a/2.json")
    assert (found.headers["content-length"], found.content) == ("8", b"")
    listed = tenant.blob("GET", "state?restype=container&comp=list&delimiter=/").text
    assert re.findall("<Name>(.*?)</Name>", listed) == ["a/", "b.json"]
    first = tenant.blob("GET", "state?restype=container&comp=list&prefix=a/&maxresults=1").text
    assert re.findall("<Name>(.*?)</Name>", first) == ["a/1.json"]
    [marker] = re.findall("<NextMarker>(.*?)</NextMarker>", first)
    rest = tenant.blob("GET", f"state?restype=container&comp=list&prefix=a/&maxresults=1&marker={marker}").text
    assert re.findall("<Name>(.*?)</Name>", rest) == ["a/2.json"]
    source = {"x-ms-copy-source": f"https://{blobs.HOST}/state/a/1.json"}
    copied = tenant.blob("PUT", "state/c.json", headers=source)
    assert (copied.status_code, copied.headers["x-ms-copy-status"]) == (202, "success")
    assert tenant.blob("GET", "state/c.json").content == b"a/1.json"
    assert tenant.blob("DELETE", "state/c.json").status_code == 202
    assert tenant.blob("GET", "state/c.json").headers["x-ms-error-code"] == "BlobNotFound"


def test_a_blob_that_is_to_be_new_takes_no_others_place(tenant: Tenant) -> None:
    only_new = {"x-ms-blob-type": "BlockBlob", "if-none-match": "*"}
    assert tenant.blob("PUT", "state/new.json", headers=only_new, content=b"1").status_code == 201
    refused = tenant.blob("PUT", "state/new.json", headers=only_new, content=b"2")
    assert (refused.status_code, refused.headers["x-ms-error-code"]) == (409, "BlobAlreadyExists")
    assert tenant.blob("GET", "state/new.json").content == b"1"


def test_who_has_the_role_of_a_reader_changes_nothing(tenant: Tenant) -> None:
    assert tenant.blob("PUT", "state/kept.json", content=b"1").status_code == 201
    assert tenant.blob("GET", "state/kept.json", PREVIEWER).content == b"1"
    for method in ("PUT", "DELETE"):
        refused = tenant.blob(method, "state/kept.json", PREVIEWER, content=b"2")
        assert (refused.status_code, refused.headers["x-ms-error-code"]) == (403, "AuthorizationPermissionMismatch")
    assert tenant.blob("GET", "state/kept.json").content == b"1"


def test_nobody_else_reads_the_state(tenant: Tenant) -> None:
    assert tenant.blob("PUT", "state/secret.json", content=b"1").status_code == 201
    url = f"https://{blobs.HOST}/state/secret.json"
    unknown = tenant.client.get(url)
    assert (unknown.status_code, unknown.headers["x-ms-error-code"]) == (401, "NoAuthenticationInformation")
    assert f"resource_id={entra.STORAGE}" in unknown.headers["www-authenticate"]
    for authorization in (f"Bearer {tenant.token()}", "Bearer x"):
        assert tenant.client.get(url, headers={"Authorization": authorization}).status_code == 401
    forged = {"Authorization": f"SharedKey {blobs.ACCOUNT}:AAAA", "x-ms-date": "now"}
    refused = tenant.client.get(url, headers=forged)
    assert (refused.status_code, refused.headers["x-ms-error-code"]) == (403, "AuthenticationFailed")


@pytest.mark.parametrize("path", ["state/../ports.json", "state/%2e%2e/ports.json", "state/a//b", "state/x?comp=block"])
def test_what_is_no_blob_of_the_container_is_refused(tenant: Tenant, path: str) -> None:
    assert tenant.blob("PUT", path, content=b"1").status_code in (400, 404, 501)
    assert not (tenant.home.path / "ports.json").exists() or (tenant.home.path / "ports.json").read_text() != "1"


def test_the_accounts_key_is_its_owners_alone(tmp_path: Path) -> None:
    key = storage_keys.storage_key(tmp_path)
    assert (tmp_path / "storage.key").stat().st_mode & 0o777 == 0o600
    assert storage_keys.storage_key(tmp_path) == key


def test_a_command_line_that_cannot_be_installed_leaves_the_rehearsal_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "azure-cli.lock"
    lock.write_text("azure-cli==2.91.0\n")  # without any hash
    monkeypatch.setattr(connections, "LOCK", lock)
    home = Home(tmp_path / "home")
    with pytest.raises(ToolchainError, match="can't be installed"):
        connections.install(home)
    assert "azure" not in home.services
    assert not (home.commands / "az").exists()

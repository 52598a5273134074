"""Signing in to Azure DevOps in the same way as the provider does."""

import base64
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import azure.identity
import pytest
from azure.core.exceptions import ClientAuthenticationError

from components import azure_devops_token
from components.azure_devops_token import NoTokenError, authorization, credential

WHO = {"ARM_TENANT_ID": "tenant", "ARM_CLIENT_ID": "client"}


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(azure_devops_token, "_tokens", {})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Which credential of Entra was made, and of what."""
    made: dict[str, Any] = {}
    names = ("AzurePipelines", "ClientAssertion", "Certificate", "ClientSecret", "ManagedIdentity", "AzureCli")
    for name in names:

        def make(*args: Any, name: str = name, **kwargs: Any) -> None:
            made[name] = (args, kwargs)

        monkeypatch.setattr(azure.identity, f"{name}Credential", make)
    return made


def test_a_personal_access_token_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZDO_PERSONAL_ACCESS_TOKEN", "pat")

    assert authorization() == "Basic " + base64.b64encode(b":pat").decode()


@pytest.mark.parametrize(
    ("variables", "kind"),
    [
        (
            {"ARM_USE_OIDC": "true", "ARM_ADO_PIPELINE_SERVICE_CONNECTION_ID": "c", "SYSTEM_ACCESSTOKEN": "s"},
            "AzurePipelines",
        ),
        ({"ARM_USE_OIDC": "true", "ARM_OIDC_TOKEN": "t"}, "ClientAssertion"),
        ({"ARM_CLIENT_CERTIFICATE_PATH": "cert.pem", "ARM_CLIENT_SECRET": "s"}, "Certificate"),
        ({"ARM_CLIENT_SECRET": "s"}, "ClientSecret"),
        ({"ARM_USE_MSI": "true"}, "ManagedIdentity"),
        ({}, "AzureCli"),
    ],
)
def test_the_most_particular_credential_of_the_variables_is_taken(
    asked: dict[str, Any], variables: dict[str, str], kind: str
) -> None:
    credential(WHO | variables)

    assert list(asked) == [kind]


def test_a_federated_token_is_read_anew_for_each_sign_in(asked: dict[str, Any], tmp_path: Path) -> None:
    token = tmp_path / "token"
    credential(WHO | {"ARM_USE_OIDC": "true", "ARM_OIDC_TOKEN_FILE_PATH": str(token)})
    (_, _, assertion), _ = asked["ClientAssertion"]

    for given in ("first", "second"):
        token.write_text(f"{given}\n", encoding="utf-8")
        assert assertion() == given


class Entra:
    """Gives a token that lasts so many seconds, and counts how often it was asked."""

    def __init__(self, seconds: int) -> None:
        self.asked, self._seconds = 0, seconds

    def get_token(self, scope: str) -> SimpleNamespace:
        self.asked += 1
        assert scope == "499b84ac-1321-427f-aa17-267ca6975798/.default"
        return SimpleNamespace(token=f"token {self.asked}", expires_on=time.time() + self._seconds)


@pytest.mark.parametrize(("lasts", "asked_for"), [(3600, 1), (60, 2)])
def test_an_entra_token_is_kept_until_shortly_before_its_end(
    monkeypatch: pytest.MonkeyPatch, lasts: int, asked_for: int
) -> None:
    entra = Entra(lasts)
    monkeypatch.setattr(azure_devops_token, "credential", lambda _: entra)

    assert [authorization(), authorization()] == ["Bearer token 1", f"Bearer token {asked_for}"]


@pytest.mark.parametrize("error", [ClientAuthenticationError("AADSTS700016"), KeyError("ARM_TENANT_ID")])
def test_a_failed_sign_in_says_what_entra_said(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def refuse(_: object) -> None:
        raise error

    monkeypatch.setattr(azure_devops_token, "credential", refuse)

    with pytest.raises(NoTokenError, match=r"AZDO_PERSONAL_ACCESS_TOKEN.*(AADSTS700016|ARM_TENANT_ID)"):
        authorization()

"""Access tokens of OAuth: for a service principal's secret, or for a token that a federation policy trusts."""

import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from databricks.sdk import AccountClient, WorkspaceClient
from databricks.sdk.errors import BadRequest, NotFound, PermissionDenied, ResourceExhausted
from databricks.sdk.service.oauth2 import FederationPolicy, OidcFederationPolicy
from jwt.algorithms import RSAAlgorithm

from rehearsal.databricks.principal_credentials import ACCOUNT_ID
from tests.rehearsal.databricks.clients import CREDENTIALS, Workspace

TOKEN = "/oidc/v1/token"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT = "urn:ietf:params:oauth:token-type:jwt"
ISSUER = "http://127.0.0.1:1/issuer"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CLAIMS = {"iss": ISSUER, "aud": "databricks", "sub": "p://contoso/bikes/release"}


@pytest.fixture
def deployer(workspace: Workspace) -> Any:
    [found] = [each for each in workspace.sdk().service_principals.list() if each.display_name == "deployer-test"]
    return found


def policies(workspace: Workspace, user: str = "administrator", account: str = ACCOUNT_ID) -> Any:
    client = AccountClient(host=workspace.url, account_id=account, token=CREDENTIALS[user], auth_type="pat")
    client.api_client._api_client._session.close()
    return client.service_principal_federation_policy


def policy(**changes: Any) -> FederationPolicy:
    key = {**RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True), "kid": "1", "alg": "RS256"}
    told = {"issuer": ISSUER, "audiences": ["databricks"], "subject": CLAIMS["sub"]}
    keys = {"jwks_json": json.dumps({"keys": [key]})}
    return FederationPolicy(oidc_policy=OidcFederationPolicy(**{**told, **keys, **changes}))


def signed(key: rsa.RSAPrivateKey = KEY, kid: str = "1", **changes: Any) -> str:
    claims = {**CLAIMS, "exp": int(time.time()) + 60, **changes}
    return jwt.encode(claims, key, algorithm="RS256", headers={"kid": kid})


def exchanged(workspace: Workspace, client: str, token: str, **changes: str) -> Any:
    form = {"grant_type": EXCHANGE, "subject_token_type": JWT, "scope": "all-apis", **changes}
    return workspace.plain("POST", TOKEN, data={**form, "client_id": client, "subject_token": token})


def test_a_service_principal_signs_in_with_its_secret_once_for_many_requests(
    workspace: Workspace, deployer: Any
) -> None:
    secret = workspace.sdk().service_principal_secrets_proxy.create(deployer.id).secret
    workspace.control("DELETE", "requests")
    client = WorkspaceClient(
        host=workspace.url, client_id=deployer.application_id, client_secret=secret, auth_type="oauth-m2m"
    )
    for _ in range(3):
        assert client.current_user.me().user_name == deployer.application_id
    client.api_client._api_client._session.close()
    assert [each["path"] for each in workspace.control("GET", "requests").json()].count(TOKEN) == 1


def test_a_wrong_or_deleted_secret_is_refused(workspace: Workspace, deployer: Any) -> None:
    secrets = workspace.sdk().service_principal_secrets_proxy
    made = secrets.create(deployer.id)

    def status(secret: str) -> int:
        form = {"grant_type": "client_credentials", "scope": "all-apis"}
        auth = (deployer.application_id, secret)
        return workspace.plain("POST", TOKEN, data=form, auth=auth).status_code

    assert status(str(made.secret)) == 200
    assert status(f"{made.secret}x") == 401
    secrets.delete(deployer.id, str(made.id))
    assert status(str(made.secret)) == 401


def test_a_secret_is_shown_once_and_to_administrators_alone(workspace: Workspace, deployer: Any) -> None:
    secrets = workspace.sdk().service_principal_secrets_proxy
    made = secrets.create(deployer.id)
    answer = workspace.call("GET", f"2.0/accounts/servicePrincipals/{deployer.id}/credentials/secrets")
    assert str(made.id) in answer.text
    assert str(made.secret) not in answer.text
    with pytest.raises(PermissionDenied):
        workspace.sdk("dana").service_principal_secrets_proxy.create(deployer.id)
    for _ in range(4):
        secrets.create(deployer.id)
    with pytest.raises(ResourceExhausted, match="at the most"):
        secrets.create(deployer.id)


def test_a_token_that_a_policy_trusts_is_exchanged_for_one_of_the_workspace(
    workspace: Workspace, deployer: Any
) -> None:
    policies(workspace).create(int(deployer.id), policy())
    granted = exchanged(workspace, deployer.application_id, signed()).json()
    assert (granted["token_type"], granted["expires_in"]) == ("Bearer", 3600)
    header = {"Authorization": f"Bearer {granted['access_token']}"}
    me = workspace.plain("GET", "/api/2.0/preview/scim/v2/Me", headers=header)
    assert me.json()["userName"] == deployer.application_id
    workspace.sdk().service_principals.update(
        deployer.id, application_id=deployer.application_id, display_name="deployer-test", active=False
    )
    assert workspace.plain("GET", "/api/2.0/preview/scim/v2/Me", headers=header).status_code == 403


@pytest.mark.parametrize(
    ("make", "error", "why"),
    [
        (lambda: signed(sub="p://contoso/bikes/build"), "invalid_grant", "No federation policy"),
        (lambda: signed(iss="http://127.0.0.1:1/another"), "invalid_grant", "No federation policy"),
        (lambda: signed(aud="another"), "invalid_grant", "Audience"),
        (lambda: signed(exp=int(time.time()) - 1), "invalid_grant", "expired"),
        (lambda: signed(OTHER_KEY), "invalid_grant", "Signature"),
        (lambda: signed(kid="2"), "invalid_grant", "keyset has no key"),
        (lambda: jwt.encode({**CLAIMS, "exp": 2**32}, "", "none", {"kid": "1"}), "invalid_grant", "alg"),
        (lambda: "no token", "invalid_request", "no JSON Web Token"),
    ],
    ids=["subject", "issuer", "audience", "expired", "signature", "key", "unsigned", "malformed"],
)
def test_a_token_that_no_policy_trusts_is_refused(
    workspace: Workspace, deployer: Any, make: Callable[[], str], error: str, why: str
) -> None:
    policies(workspace).create(int(deployer.id), policy())
    answer = exchanged(workspace, deployer.application_id, make())
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert why in answer.json()["error_description"]


def test_of_several_policies_for_a_subject_the_one_with_the_tokens_audience_counts(
    workspace: Workspace, deployer: Any
) -> None:
    policies(workspace).create(int(deployer.id), policy(audiences=["another"]))
    assert exchanged(workspace, deployer.application_id, signed()).status_code == 400
    policies(workspace).create(int(deployer.id), policy())
    policies(workspace).create(int(deployer.id), policy(audiences=["a third"]))
    assert exchanged(workspace, deployer.application_id, signed()).status_code == 200


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"scope": "sql"}, "invalid_scope"),
        ({"subject_token_type": "urn:ietf:params:oauth:token-type:saml2"}, "invalid_request"),
    ],
)
def test_what_the_endpoint_does_not_grant_it_refuses_with_the_word_of_the_standard(
    workspace: Workspace, deployer: Any, changes: dict[str, str], error: str
) -> None:
    policies(workspace).create(int(deployer.id), policy())
    answer = exchanged(workspace, deployer.application_id, signed(), **changes)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_an_issuer_that_gives_no_keys_is_a_refusal(workspace: Workspace, deployer: Any) -> None:
    policies(workspace).create(int(deployer.id), policy(jwks_json=None))
    assert exchanged(workspace, deployer.application_id, signed()).json()["error"] == "invalid_grant"


def test_a_policy_that_is_deleted_lets_nobody_in(workspace: Workspace, deployer: Any) -> None:
    there = policies(workspace)
    made = there.create(int(deployer.id), policy(), policy_id="release")
    assert [each.policy_id for each in there.list(int(deployer.id))] == ["release"]
    assert there.get(int(deployer.id), "release").uid == made.uid
    there.delete(int(deployer.id), "release")
    assert exchanged(workspace, deployer.application_id, signed()).status_code == 400
    with pytest.raises(NotFound):
        there.get(int(deployer.id), "release")


@pytest.mark.parametrize(
    "changes",
    [{"subject": None}, {"issuer": None}, {"audiences": [""]}, {"issuer": "https://vstoken.dev.azure.com/x"}],
    ids=["no subject", "no issuer", "an empty audience", "an issuer elsewhere"],
)
def test_a_policy_that_could_not_be_kept_to_is_refused(
    workspace: Workspace, deployer: Any, changes: dict[str, Any]
) -> None:
    with pytest.raises(BadRequest):
        policies(workspace).create(int(deployer.id), policy(**changes))


def test_policies_are_made_by_administrators_of_this_account(workspace: Workspace, deployer: Any) -> None:
    with pytest.raises(PermissionDenied):
        policies(workspace, "dana").create(int(deployer.id), policy())
    with pytest.raises(NotFound):
        policies(workspace, account="another").create(int(deployer.id), policy())

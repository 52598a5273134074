"""How the commands sign in to Databricks: as the official client does, more patiently, and with words for a refusal.

Where the client needs a token of OAuth it asks for it within the first request, doesn't repeat that, and lets its own
errors through. Here it is asked for at once, so that who can't sign in hears it before anything has begun.

With DATABRICKS_AUTH_TYPE `azure-devops-oidc`, workload identity federation, a pipeline signs in as what it is: the job
asks Azure DevOps for a token that says which pipeline it is, and Databricks for an access token in exchange
(https://learn.microsoft.com/azure/databricks/dev-tools/auth/provider-azure-devops). The client does both anew for each
request (https://github.com/databricks/databricks-sdk-py/issues/1564): reading 500 notebooks back would take 1,500
requests more. So the access token is kept here until it ends.

With `azure-cli` the client asks `az`, and keeps to itself what that says when it can't (azure_cli in its
`credentials_provider.py` returns None): then it is asked for here.
"""

import base64
import json
import subprocess
import time
from collections.abc import Callable
from typing import Any, TypeVar

import requests
from databricks.sdk.config import Config
from databricks.sdk.credentials_provider import (
    CredentialsStrategy,
    DefaultCredentials,
    OAuthCredentialsProvider,
    azure_devops_oidc,
)
from databricks.sdk.errors import Unauthenticated
from databricks.sdk.oauth import Refreshable, Token
from databricks.sdk.oidc_token_supplier import AzureDevOpsOIDCTokenSupplier

AS_PIPELINE, AS_AZURE = "azure-devops-oidc", "azure-cli"
PAUSES_SECONDS = (1.0, 2.0, 4.0, 8.0, 15.0)
_UNNAMED = "Azure DevOps doesn't say who this job is: SYSTEM_ACCESSTOKEN must be the job's own"
# How the client words what isn't a refusal (RFC 6749, section 5.2) but a service that is busy, down, or says nothing.
_PASSING = ("unknown: ", "b'", 'b"', "Cannot get Azure DevOps OIDC token", _UNNAMED)
# Nor does it say that it has asked the workspace in vain where tokens are had.
_NOWHERE = "Invalid URL 'None'"
_NO_ANSWER = "the workspace doesn't answer, or doesn't say where it gives tokens"

_Answer = TypeVar("_Answer")


class Credentials(CredentialsStrategy):
    """The client's ways to sign in, chosen by the variables that it documents."""

    def __init__(self) -> None:
        self._way: CredentialsStrategy = DefaultCredentials()  # type: ignore[assignment] # it is one in all but name

    def auth_type(self) -> str:
        """The client's name for the way that is taken."""
        return self._way.auth_type()

    def __call__(self, cfg: Config) -> Any:
        """What authenticates the requests; the client's method.

        Raises:
            ValueError: what is missing, or why Databricks or Azure DevOps refuses.
        """
        try:
            provider = self._provider(cfg)
            if not isinstance(provider, OAuthCredentialsProvider):
                return provider
            patiently(provider)
        except (Unauthenticated, ValueError) as error:
            raise ValueError(_NO_ANSWER if _NOWHERE in str(error) else str(error)) from None
        return OAuthCredentialsProvider(lambda: patiently(provider), lambda: patiently(provider.oauth_token))

    def _provider(self, cfg: Config) -> Any:
        if cfg.auth_type != AS_PIPELINE:
            try:
                provider = self._way(cfg)
            except ValueError:
                if cfg.auth_type == AS_AZURE:
                    raise ValueError(_why_not_azure(cfg)) from None
                raise
            if self.auth_type() != AS_PIPELINE:
                return provider
        # Asked for, or found as the only way that there is.
        self._way = _AsPipeline()
        return self._way(cfg)


def _why_not_azure(cfg: Config) -> str:
    """Why `az` gives no token for the workspace."""
    if not cfg.effective_azure_login_app_id:
        return f"{AS_AZURE} is for workspaces of Azure, and {cfg.host} is none"
    command = ["az", "account", "get-access-token", "--resource", cfg.effective_azure_login_app_id, "--output", "none"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=60, check=False)  # noqa: S603 - az, with an id
    except FileNotFoundError:
        return "there is no az on the PATH; it is the Azure CLI's command"
    except subprocess.TimeoutExpired:
        return "az doesn't answer"
    said = next((line.strip() for line in done.stderr.splitlines() if line.strip()), f"it ends with {done.returncode}")
    return f"az says: {said}"


class _AsPipeline(CredentialsStrategy):
    """The pipeline whose job this is."""

    def auth_type(self) -> str:
        return AS_PIPELINE

    def __call__(self, cfg: Config) -> OAuthCredentialsProvider:
        if not cfg.client_id:
            raise ValueError("DATABRICKS_CLIENT_ID isn't set; it is the application id of a service principal")
        _supplier()
        kept = _Kept(cfg)
        return OAuthCredentialsProvider(lambda: {"Authorization": f"Bearer {kept.token().access_token}"}, kept.token)


class _Kept(Refreshable):
    """The access token of the pipeline's identity, exchanged anew when it has ended."""

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        self._cfg = cfg

    def refresh(self) -> Token:
        provider = azure_devops_oidc(self._cfg)
        if provider is None:
            raise ValueError(_UNNAMED)
        try:
            token: Token = provider.oauth_token()
        except ValueError as error:
            raise ValueError(str(error) if _passes(error) else f"{error}; {_to_trust(self._cfg)}") from None
        return token


def patiently(ask: Callable[[], _Answer]) -> _Answer:
    """Asks for a token, or what needs one; again after a fault that passes, for half a minute.

    Raises:
        Unauthenticated: refused, or there is no answer in that time.
    """
    for pause in (*PAUSES_SECONDS, None):
        try:
            return ask()
        except Exception as error:  # noqa: BLE001 - the client raises Exception itself
            if pause is None or not _passes(error):
                raise Unauthenticated(" ".join(str(error).split())) from None
            time.sleep(pause)
    raise AssertionError  # the last pause is None


def _passes(error: Exception) -> bool:
    down = isinstance(error, requests.RequestException) and not isinstance(error, ValueError)
    return down or str(error).startswith(_PASSING)


def _supplier() -> Any:
    """Where the job's token comes from.

    Raises:
        ValueError: it names the variables that the job of a pipeline has, and that aren't there.
    """
    return AzureDevOpsOIDCTokenSupplier()  # type: ignore[no-untyped-call]


def _to_trust(cfg: Config) -> str:
    """What a federation policy has to name for this job to be let in: it stands in the job's token."""
    token = _supplier().get_oidc_token("")
    if not token:
        return _UNNAMED
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return (
        f"the service principal {cfg.client_id} needs a federation policy with issuer {claims.get('iss')}, "
        f"audience {claims.get('aud')}, subject {claims.get('sub')}"
    )

"""Signing in to Azure DevOps where the program asks it directly, and git: in the same way as the provider does.

A personal access token wins, as it does in the provider. Without one, an Entra token is asked for with what the
provider's variables name: a federated token of the pipeline, a certificate, a secret, a managed identity, `az login`.

Sources:
https://learn.microsoft.com/azure/devops/integrate/get-started/authentication/service-principal-managed-identity,
https://www.pulumi.com/registry/packages/azuredevops/installation-configuration/
"""

import base64
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from components.errors import words_of

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

# Azure DevOps, as Entra knows it.
SCOPE = "499b84ac-1321-427f-aa17-267ca6975798/.default"
EARLY_SECONDS = 300

_tokens: dict[str, tuple[str, float]] = {}
_lock = threading.Lock()


class NoTokenError(Exception):
    """There is no token to be had; the message says why."""


def authorization() -> str:
    """The `Authorization` header for Azure DevOps.

    Raises:
        NoTokenError: with the words of the sign-in that failed.
    """
    token = os.environ.get("AZDO_PERSONAL_ACCESS_TOKEN")
    if token:
        return "Basic " + base64.b64encode(f":{token}".encode()).decode()
    with _lock:
        known, ends = _tokens.get(SCOPE, ("", 0.0))
        if ends - EARLY_SECONDS < time.time():
            known, ends = _entra_token(os.environ)
            _tokens[SCOPE] = known, ends
    return f"Bearer {known}"


def _entra_token(environment: Mapping[str, str]) -> tuple[str, float]:
    from azure.core.exceptions import ClientAuthenticationError  # noqa: PLC0415 - half a second that few runs need

    try:
        token = credential(environment).get_token(SCOPE)
    except (ClientAuthenticationError, KeyError, ValueError, OSError) as error:
        raise NoTokenError(
            f"there is no AZDO_PERSONAL_ACCESS_TOKEN, and signing in to Entra failed: {words_of(error)}"
        ) from None
    return token.token, float(token.expires_on)


def credential(environment: Mapping[str, str]) -> "TokenCredential":
    """The credential that the provider's variables describe, the most particular first.

    Args:
        environment: the variables: ARM_TENANT_ID, ARM_CLIENT_ID and what proves the client.

    Raises:
        KeyError: a variable is missing.
    """
    from azure import identity  # noqa: PLC0415 - as above

    def both() -> tuple[str, str]:
        tenant = environment.get("ARM_TENANT_ID") or environment["AZURE_TENANT_ID"]
        return tenant, environment.get("ARM_CLIENT_ID") or environment["AZURE_CLIENT_ID"]

    if environment.get("ARM_USE_OIDC", "").casefold() in ("true", "1"):
        connection = environment.get("ARM_ADO_PIPELINE_SERVICE_CONNECTION_ID")
        tenant, client = both()
        if connection:
            return identity.AzurePipelinesCredential(
                tenant_id=tenant,
                client_id=client,
                service_connection_id=connection,
                system_access_token=environment.get("ARM_OIDC_REQUEST_TOKEN") or environment["SYSTEM_ACCESSTOKEN"],
            )
        return identity.ClientAssertionCredential(tenant, client, lambda: _assertion(environment))
    if environment.get("ARM_CLIENT_CERTIFICATE_PATH"):
        return identity.CertificateCredential(
            *both(),
            certificate_path=environment["ARM_CLIENT_CERTIFICATE_PATH"],
            password=environment.get("ARM_CLIENT_CERTIFICATE_PASSWORD"),
        )
    if environment.get("ARM_CLIENT_SECRET") or environment.get("AZURE_CLIENT_SECRET"):
        secret = environment.get("ARM_CLIENT_SECRET") or environment["AZURE_CLIENT_SECRET"]
        return identity.ClientSecretCredential(*both(), client_secret=secret)
    if environment.get("ARM_USE_MSI", "").casefold() in ("true", "1"):
        return identity.ManagedIdentityCredential(client_id=environment.get("ARM_CLIENT_ID"))
    return identity.AzureCliCredential(tenant_id=environment.get("ARM_TENANT_ID", ""))


def _assertion(environment: Mapping[str, str]) -> str:
    token = environment.get("ARM_OIDC_TOKEN")
    if token:
        return token
    return Path(environment["ARM_OIDC_TOKEN_FILE_PATH"]).read_text(encoding="utf-8").strip()

"""The two providers, told where their services are, and the proof that somebody may sign in to them."""

from collections.abc import Callable
from typing import Any

import pulumi

from components.errors import words_of
from components.sdk import azuredevops, databricks
from components.settings_model import Services


def connect(services: Services) -> pulumi.ResourceOptions:
    """Makes the providers and asks each service once, before anything is registered, whether the credentials will do.

    Credentials come from the environment variables that the providers document, never from here: so they are not in
    the state, and `refresh` and `destroy` use those of the day. What the providers are asked for is the list of
    projects and the signed-in user, which everybody may see who may sign in.

    Args:
        services: where the services are and how many requests a second Databricks gets.

    Returns:
        The options with which a component makes its children with these providers.

    Raises:
        pulumi.RunError: a credential is missing, wrong or expired, or a service can't be reached; all in one message.
    """
    azure_devops = azuredevops.Provider("azure-devops", org_service_url=services.organization_url)
    workspace = databricks.Provider(
        "databricks", host=services.workspace_host, rate_limit=services.databricks_requests_per_second
    )
    refusals = [
        *_refusal(
            lambda: azuredevops.get_projects(opts=pulumi.InvokeOptions(provider=azure_devops)),
            f"Azure DevOps at {services.organization_url} doesn't let this program in",
            "set AZDO_PERSONAL_ACCESS_TOKEN to a token of that organisation that has not expired, or sign in by "
            "another way that https://www.pulumi.com/registry/packages/azuredevops/installation-configuration/ names",
        ),
        *_refusal(
            lambda: databricks.get_current_user(opts=pulumi.InvokeOptions(provider=workspace)),
            f"Databricks at {services.workspace_host} doesn't let this program in",
            "set DATABRICKS_TOKEN to a token of that workspace that has not expired, or sign in by another way that "
            "https://www.pulumi.com/registry/packages/databricks/installation-configuration/ names",
        ),
    ]
    if refusals:
        raise pulumi.RunError("\n".join(refusals))
    return pulumi.ResourceOptions(providers=[azure_devops, workspace])


def _refusal(ask: Callable[[], Any], what: str, remedy: str) -> list[str]:
    try:
        ask()
    except Exception as error:  # noqa: BLE001 - an invoke fails with a bare Exception that carries the provider's words
        return [f"{what}.\n  The provider says: {words_of(error)}\n  What to do: {remedy}. Nothing was changed."]
    return []

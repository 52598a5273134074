"""What detect-secrets doesn't know: credentials of the services this project works with, as plugins, and a filter.

Sources: https://docs.databricks.com/en/dev-tools/auth/pat.html and the rule `databricks-api-token` of gitleaks
(personal access tokens); https://learn.microsoft.com/azure/devops/organizations/accounts/use-personal-access-tokens-to-authenticate
(84 characters with the signature AZDO, and 52 of base32 before); the rule `azure-ad-client-secret` of gitleaks. That
an OAuth secret of Databricks begins with `dose` is what secret scanners go by; its maker documents no form.
"""

import re
from typing import ClassVar

from detect_secrets.filters import heuristic
from detect_secrets.plugins.base import BasePlugin, RegexBasedDetector
from detect_secrets.plugins.keyword import KeywordDetector


class DatabricksDetector(RegexBasedDetector):
    """A personal access token, or the OAuth secret of a service principal."""

    secret_type = "Databricks Token"  # noqa: S105 - the kind's name
    denylist: ClassVar = [re.compile(r"\b(?:dapi|dose)[0-9a-f]{32}(?:-\d+)?\b")]


class AzureDevOpsDetector(RegexBasedDetector):
    """A personal access token, new or old."""

    secret_type = "Azure DevOps Personal Access Token"  # noqa: S105 - the kind's name
    denylist: ClassVar = [
        re.compile(r"\b[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}\b"),
        re.compile(r"\b(?=[a-z]*[2-7])[a-z2-7]{52}\b"),
    ]


class EntraDetector(RegexBasedDetector):
    """The client secret of an application."""

    secret_type = "Microsoft Entra Client Secret"  # noqa: S105 - the kind's name
    denylist: ClassVar = [re.compile(r"(?<![\w.~-])[\w.~-]{3}\dQ~[\w.~-]{31,34}(?![\w.~-])")]


def is_call_after_keyword(secret: str, line: str, plugin: BasePlugin) -> bool:  # noqa: ARG001 - the tool asks by these names
    """Whether the word `password` or the like is set to what a call gives: `password = get_secret("bikes")`.

    The tool's own filter for this passes over the whole line, whatever is in it: a token in
    `client = WorkspaceClient(token="...")` too.
    """
    return isinstance(plugin, KeywordDetector) and heuristic.is_indirect_reference(line)

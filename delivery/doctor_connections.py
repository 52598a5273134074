"""What `doctor` finds of Azure service connections: whether those that the pipelines name are there, and for whom.

https://learn.microsoft.com/azure/devops/pipelines/library/connect-to-azure and
https://learn.microsoft.com/rest/api/azure/devops/approvalsandchecks/pipeline-permissions
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from delivery.azure_devops import AzureDevOps
from delivery.doctor_finding import Finding, State

SETTINGS = Path("pipelines") / "settings" / "variables.yml"
FEDERATION = "WorkloadIdentityFederation"
PREVIEW = "7.1-preview.1"
NEEDED_BY = {"preview": ("build",), "test": ("release", "drift"), "production": ("release", "drift")}
"""Purpose of a variable group -> the pipelines that read it, and sign in with the connection beside it."""
_AUTH_TYPE = "DATABRICKS_AUTH_TYPE"


def examine(client: AzureDevOps, area: str, folder: Path, groups: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """Looks at each connection that the checkout's settings of the pipelines name.

    Args:
        client: of the project.
        area: what the findings belong to.
        folder: the project's folder.
        groups: purpose -> the variables of its group.

    Raises:
        AzureDevOpsError: the service refuses.
    """
    named = connections(folder)
    definitions = client.get_all("build/definitions") if any(named.values()) else ()
    pipelines = {each["name"]: each["id"] for each in definitions}
    for purpose, needed in NEEDED_BY.items():
        auth_type = (groups.get(purpose, {}).get(_AUTH_TYPE) or {}).get("value")
        if not named[purpose]:
            if auth_type == "azure-cli":
                found = f"its group says {_AUTH_TYPE} azure-cli, and {purpose}ServiceConnection is empty"
                remedy = f"name a service connection in {SETTINGS}, or choose another {_AUTH_TYPE}"
                yield _finding(area, f"service connection for {purpose}", "missing", found, remedy)
            continue
        ids = {name: pipelines[name] for name in needed if name in pipelines}
        state, found, remedy = _judged(client, named[purpose], ids)
        yield _finding(area, f"service connection {named[purpose]}", state, found, remedy)


def connections(folder: Path) -> dict[str, str]:
    """Purpose -> the connection that the pipelines of a checkout sign in with; empty for none."""
    try:
        document = yaml.safe_load((folder / SETTINGS).read_text(encoding="utf-8"))
        variables = document["variables"]
        return {purpose: str(variables.get(f"{purpose}ServiceConnection") or "") for purpose in NEEDED_BY}
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError):
        return dict.fromkeys(NEEDED_BY, "")  # what is wrong with the pipelines is told when they run


def _judged(client: AzureDevOps, name: str, ids: Mapping[str, int]) -> tuple[State, str, str]:
    there = client.get("serviceendpoint/endpoints", query={"endpointNames": name})["value"]
    if not there:
        remedy = "make one for Azure Resource Manager with workload identity federation (Project settings)"
        return "missing", "the project has none of that name, or this identity doesn't see it", remedy
    endpoint = there[0]
    scheme = endpoint["authorization"]["scheme"]
    kept = client.get(f"pipelines/pipelinePermissions/endpoint/{endpoint['id']}", api_version=PREVIEW)
    if (kept.get("allPipelines") or {}).get("authorized"):
        remedy = f"restrict it to {', '.join(ids)} (Security, Pipeline permissions)"
        return "warning", "every pipeline of the project may use it, those of any branch included", remedy
    permitted = {each["id"] for each in kept["pipelines"] if each["authorized"]}
    lacking = [pipeline for pipeline, id_ in ids.items() if id_ not in permitted]
    if lacking:
        remedy = "permit them there (Security, Pipeline permissions), or when their next run asks"
        return "missing", f"these pipelines may not use it yet: {', '.join(lacking)}", remedy
    if scheme != FEDERATION:
        remedy = "convert it to workload identity federation, and delete the secret"
        return "warning", f"it signs in with a secret that ends one day ({scheme})", remedy
    return "ok", f"{', '.join(ids)} may use it", ""


def _finding(area: str, name: str, state: State, found: str, remedy: str) -> Finding:
    return Finding(area=area, name=name, state=state, found=found, remedy=remedy)

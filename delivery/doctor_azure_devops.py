"""What `doctor` finds in Azure DevOps: the sign-in, rights, names that must be free, and what the pipelines need.

Whether a name must be free depends on whether the stack has been set up: a thing of that name that the stack doesn't
manage stops the first `up`.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from delivery import doctor_connections
from delivery.azure_devops import AzureDevOps, AzureDevOpsError
from delivery.console import Progress, UnusableError
from delivery.doctor_finding import Finding, State
from delivery.doctor_tools import Kept
from delivery.stack import Stack, azure_devops_client

AREA = "Azure DevOps"
ATTEMPTS = 3
NOT_FOUND = 404
# Security namespaces and bits: https://learn.microsoft.com/azure/devops/organizations/security/namespace-reference
COLLECTION, CREATE_PROJECTS = "3e65f728-f8bc-4ecd-8764-7e378b19bfa7", 4
PROJECT, GENERIC_WRITE = "52d39943-cb85-4d7f-8fa8-c6baac873819", 2
GIT, PULL_REQUEST_CONTRIBUTE = "2e9eb7ed-3c0a-47d4-87c1-0ffdd275fd87", 16384
# Where identities are kept; an area of the service that has an address of its own.
IDENTITIES = "8a3d49b8-91f0-46ef-b33d-dda338c25db3"
# The program's names (components/naming.py).
REPOSITORY = "databricks-notebooks"
PIPELINES = ("build", "release", "drift")
GROUPS = ("preview", "test", "production")
PURPOSE = "purpose"  # what `up` puts into a variable group; the rest is an administrator's


def examine(
    folder: Path, stacks: Sequence[Stack], kept: Mapping[str, Kept], project_name: str | None, progress: Progress
) -> list[Finding]:
    """Looks at the organisation and the project.

    Args:
        folder: the one with Pulumi.yaml.
        stacks: whose settings count.
        kept: what the backend knows of stacks.
        project_name: the project, if not the one of the settings.
        progress: hears of waits.
    """
    findings: list[Finding] = []
    try:
        client = azure_devops_client(stacks[0], project_name, progress, attempts=ATTEMPTS)
        findings.append(_sign_in(client))
        # One by one, so that what was found is kept when the service fails at the next.
        for finding in itertools.chain(_project(client, folder, stacks, kept), _approvers(client, stacks)):
            findings.append(finding)
    except UnusableError as error:
        [wrong] = error.mistakes
        name = "sign-in" if isinstance(error, AzureDevOpsError) and not findings else wrong.key
        findings.append(_finding(name, "missing", wrong.found, wrong.remedy))
    return findings


def _sign_in(client: AzureDevOps) -> Finding:
    me = client.get("/connectionData", api_version="7.1-preview")["authenticatedUser"]
    account = me.get("properties", {}).get("Account", {}).get("$value", "")
    return _finding(
        "sign-in", "ok", f"{me['providerDisplayName']} {f'({account}) ' if account else ''}at {client.organization_url}"
    )


def _project(client: AzureDevOps, folder: Path, stacks: Sequence[Stack], kept: Mapping[str, Kept]) -> Iterator[Finding]:
    control = stacks[0].control_plane
    owner = next((each.name for each in stacks if each.owns_control_plane), None)
    is_up = owner is not None and owner in kept and kept[owner].resources > 0
    project = _read(client, f"/projects/{quote(client.project, safe='')}")
    name = f"project {client.project}"
    if project is None:
        if (control.get("project") or {}).get("adopt"):
            yield _finding(
                name,
                "missing",
                "there is none to adopt, or this identity doesn't see it",
                "create it, or take `adopt` away",
            )
        else:
            may = _may(client, COLLECTION, CREATE_PROJECTS, "NAMESPACE:")
            yield _finding(name, "ok", "the name is free")
            yield _right("create projects", may, "have 'Create new projects' given in the organisation")
        return
    if is_up or owner is None or (control.get("project") or {}).get("adopt"):
        yield _finding(name, "ok", "it is there")
    else:
        remedy = "another name, or controlPlane.project.adopt: true"
        yield _finding(name, "missing", f"it is there already, and stack '{owner}' doesn't manage it", remedy)
    token = f"$PROJECT:vstfs:///Classification/TeamProject/{project['id']}"
    may = _may(client, PROJECT, GENERIC_WRITE, token)
    yield _right("administer the project", may, "become a member of Project Administrators")
    yield from _pool(client, control)
    repository = str((control.get("repository") or {}).get("name") or REPOSITORY)
    if is_up:
        yield from _comments(client, project, repository)
        groups = {each["name"]: each for each in client.get_all("distributedtask/variablegroups")}
        yield from _variable_groups(groups, stacks, kept)
        filled = {purpose: groups.get(f"databricks-cicd-{purpose}", {}).get("variables", {}) for purpose in GROUPS}
        yield from doctor_connections.examine(client, AREA, folder, filled)
    elif owner is not None:
        yield from _free_names(client, project, stacks, repository)


def _free_names(
    client: AzureDevOps, project: Mapping[str, Any], stacks: Sequence[Stack], repository: str
) -> Iterator[Finding]:
    """In a project that was there before: names that the first `up` takes."""
    adopts = bool((stacks[0].control_plane.get("repository") or {}).get("adopt"))
    there = _read(client, f"git/repositories/{quote(repository, safe='')}") is not None
    if there != adopts:
        found = "it is there already" if there else "there is none to adopt"
        remedy = "controlPlane.repository: another name, or adopt: true" if there else "create it, or take `adopt` away"
        yield _finding(f"repository {repository}", "missing", found, remedy)
    taken = [each["name"] for each in client.get_all("build/definitions") if each["name"] in PIPELINES]
    taken = [f"pipeline {name}" for name in taken]
    known = {each["name"] for each in client.get_all("distributedtask/environments", api_version="7.1-preview.1")}
    taken += [f"environment {each.environment}" for each in stacks if each.environment in known]
    groups = {each["name"] for each in client.get_all("distributedtask/variablegroups")}
    purposes = ("preview", *(each.environment for each in stacks))
    taken += [f"variable group {name}" for each in purposes if (name := f"databricks-cicd-{each}") in groups]
    for name in (f"{each.environment.capitalize()} approvers" for each in stacks if each.approvers):
        if _identity(client, f"[{project['name']}]\\{name}"):
            taken.append(f"group {name}")
    for name in taken:
        yield _finding(
            name, "missing", "it is there already, and the stack doesn't manage it", "delete it, or `pulumi import` it"
        )
    if not taken and there == adopts:
        yield _finding("names", "ok", "those of repository, pipelines, environments and groups are free or adopted")


def _pool(client: AzureDevOps, control: Mapping[str, Any]) -> Iterator[Finding]:
    pool = (control.get("agents") or {}).get("pool")
    if not pool:
        return
    queues = client.get("distributedtask/queues", query={"queueName": pool}, api_version="7.1-preview.1")["value"]
    if queues:
        yield _finding(f"agent pool {pool}", "ok", "it is there")
    else:
        remedy = "add it in Project settings > Agent pools, or correct controlPlane.agents.pool"
        yield _finding(f"agent pool {pool}", "missing", "the project has none", remedy)


def _comments(client: AzureDevOps, project: Mapping[str, Any], repository: str) -> Iterator[Finding]:
    """Whether the project's build identity may comment on pull requests."""
    organization = urlsplit(client.organization_url).path.strip("/") or urlsplit(client.organization_url).netloc
    service = f"{project['name']} Build Service ({organization})"
    name = "build identity may comment"
    again = "run `pulumi up` of the stack with the control plane once more"
    found = _identity(client, service)
    there = _read(client, f"git/repositories/{quote(repository, safe='')}")
    if found is None or there is None:
        remedy = f"after the first run of a pipeline {again}"
        yield _finding(name, "warning", f"{service} isn't there before the project's first run", remedy)
        return
    query = {"token": f"repoV2/{project['id']}/{there['id']}", "descriptors": found["descriptor"]}
    lists = client.get(f"/accesscontrollists/{GIT}", query=query)["value"]
    entries = [entry for each in lists for entry in each["acesDictionary"].values()]
    if any(int(entry["allow"]) & PULL_REQUEST_CONTRIBUTE for entry in entries):
        yield _finding(name, "ok", service)
    else:
        yield _finding(name, "warning", f"{service} may not: previews aren't shown in pull requests", again)


def _variable_groups(groups: Mapping[str, Any], stacks: Sequence[Stack], kept: Mapping[str, Kept]) -> Iterator[Finding]:
    """Whether an administrator has filled in what the pipelines sign in with."""
    environments = {each.environment for each in stacks if each.name in kept and kept[each.name].resources}
    for purpose in GROUPS:
        if purpose not in {*environments, "preview"}:
            continue
        name = f"variable group databricks-cicd-{purpose}"
        group = groups.get(f"databricks-cicd-{purpose}")
        values = sorted(set(group["variables"]) - {PURPOSE}) if group else []
        if group is None:
            yield _finding(name, "missing", "there is none, or this identity doesn't see it", "run `pulumi up`")
        elif not values:
            remedy = "set DATABRICKS_HOST and a credential in Pipelines > Library"
            yield _finding(name, "missing", "nobody has put in what the pipelines sign in with", remedy)
        else:
            yield _finding(name, "ok", f"it has {', '.join(values)}")


def _approvers(client: AzureDevOps, stacks: Sequence[Stack]) -> Iterator[Finding]:
    for name in dict.fromkeys(name for stack in stacks for name in stack.approvers):
        # Groups of the project are told by their short name, which the service finds within the project.
        there = _identity(client, name) or _identity(client, f"[{client.project}]\\{name}")
        if there:
            yield _finding(f"approver {name}", "ok", str(there["providerDisplayName"]))
        else:
            remedy = "write the sign-in name as in Organization settings > Users, or a group's name"
            yield _finding(f"approver {name}", "missing", "the organisation has no such user or group", remedy)


def _identity(client: AzureDevOps, name: str) -> Any:
    """The identity of that name, or None."""
    area = client.get(f"/resourceAreas/{IDENTITIES}", api_version="7.1-preview.1")
    others = client.at(area["locationUrl"])
    found = others.get("/identities", query={"searchFilter": "General", "filterValue": name})["value"]
    return next((each for each in found if each), None)


def _may(client: AzureDevOps, namespace: str, bit: int, token: str) -> bool:
    """Whether this identity has a permission: https://learn.microsoft.com/rest/api/azure/devops/security/permissions."""
    answer = client.get(f"/permissions/{namespace}/{bit}", query={"tokens": token})
    return all(answer["value"])


def _read(client: AzureDevOps, path: str) -> Any:
    """What is there, or None."""
    try:
        return client.get(path)
    except AzureDevOpsError as error:
        if error.status == NOT_FOUND:
            return None
        raise


def _right(name: str, may: bool, remedy: str) -> Finding:
    if may:
        return _finding(f"right to {name}", "ok", "this identity has it")
    return _finding(f"right to {name}", "missing", "this identity hasn't got it", remedy)


def _finding(name: str, state: State, found: str, remedy: str = "") -> Finding:
    return Finding(area=AREA, name=name, state=state, found=found, remedy=remedy)

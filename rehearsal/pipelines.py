"""What the rehearsal's pipelines run with: the agent, and what an administrator puts into the variable groups.

The agent is a process like one on a machine of one's own: it hands on its environment to the steps that it runs, with
the Pulumi engine and the cache of tools, and holds no credential but its own. Those of the services come to a step from
the variable groups, as they do on Azure.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import httpx

from rehearsal import processes, shell
from rehearsal.home import CHECKOUT, Home, Process
from rehearsal.toolchain import Toolchain, cache

AGENT: Process = "agent"
TOKEN_VARIABLE = "REHEARSAL_AGENT_TOKEN"  # noqa: S105 - the name of a variable
PARALLEL = 2

_USERS = {"preview": "previewer", "test": "deployer-test", "production": "deployer-production"}
"""Purpose of a variable group -> who signs in to Databricks with it."""
_OAUTH = "production"
"""The purpose whose user signs in with a secret of OAuth; the others have tokens. So both ways are used."""


def start(home: Home, engine: Toolchain, module: str = "rehearsal.agent") -> bool:
    """Starts the agent unless it runs; says whether it had to. The services must answer.

    Args:
        home: the rehearsal.
        engine: what the steps find.
        module: the agent's program; a test may have one that does something besides.
    """
    if processes.find(home, AGENT) is not None:
        return False
    command = [sys.executable, "-m", module, "--server", home.address("azuredevops")]
    command += ["--name", "rehearsal", "--work", str(home.agent / "work"), "--tools", str(tools())]
    command += ["--parallel", str(PARALLEL)]
    home.agent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with home.log(AGENT).open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=CHECKOUT,
            env=environment(home, engine) | {TOKEN_VARIABLE: home.credentials.users["azuredevops"][AGENT]},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C in the terminal is not for it
        )
    processes.note(home, AGENT, process)
    return True


def tools() -> Path:
    """The agent's folder for tools. What the product keeps there is what it keeps for its user: made once for both."""
    folder = cache.folder() / "agent"
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        (folder / "databricks-cicd").symlink_to(cache.folder().parent, target_is_directory=True)
    return folder


def environment(home: Home, engine: Toolchain, inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The agent's environment, which its steps get too: the engine, and no credential."""
    set_ = shell.variables(home, engine, inherited)
    kept = {name: value for name, value in inherited.items() if not name.startswith((*shell.FOREIGN, "GIT_CONFIG_"))}
    ours = engine.environment(home.agent / "pulumi")
    names = ("NO_PROXY", "no_proxy", "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER", *shell.azure(home))
    ours |= {name: set_[name] for name in names}
    # Behind the front stands no virtual environment: the steps make their own.
    front = [home.commands, *engine.bin_directories, Path(sys.base_prefix) / "bin"]
    rest = [each for each in kept.get("PATH", os.defpath).split(os.pathsep) if each != str(Path(sys.prefix) / "bin")]
    ours["PATH"] = os.pathsep.join([*map(str, front), *rest])
    kept.pop("VIRTUAL_ENV", None)
    return kept | ours


def _values(home: Home, purpose: str) -> dict[str, dict[str, object]]:
    """What an administrator puts into the group: variables by name, as the service takes them."""
    plain = {"DATABRICKS_HOST": shell.workspace(home), "PULUMI_BACKEND_URL": shell.backend(home)}
    secret = {"PULUMI_CONFIG_PASSPHRASE": home.passphrase.read_text().strip()}
    if "azure" in home.services:
        plain["DATABRICKS_AUTH_TYPE"] = "azure-cli"
    elif purpose == _OAUTH:
        client, secret["DATABRICKS_CLIENT_SECRET"] = _new_secret(home, _USERS[purpose])
        plain |= {"DATABRICKS_AUTH_TYPE": "oauth-m2m", "DATABRICKS_CLIENT_ID": client}
    else:
        plain["DATABRICKS_AUTH_TYPE"] = "pat"
        secret["DATABRICKS_TOKEN"] = home.credentials.users["databricks"][_USERS[purpose]]
    return {
        "purpose": {"value": purpose, "isSecret": False},
        **{name: {"value": value, "isSecret": False} for name, value in plain.items()},
        **{name: {"value": value, "isSecret": True} for name, value in secret.items()},
    }


def _new_secret(home: Home, user: str) -> tuple[str, str]:
    """Application id and a new secret of a service principal. It keeps the last one besides: a job may have it."""
    token = home.credentials.users["databricks"]["administrator"]
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(trust_env=False, timeout=60, base_url=home.workspace_host, headers=headers) as client:
        wanted = {"filter": f'displayName eq "{user}"'}
        found = client.get("/api/2.0/preview/scim/v2/ServicePrincipals", params=wanted).raise_for_status().json()
        [principal] = found["Resources"]
        secrets = f"/api/2.0/accounts/servicePrincipals/{principal['id']}/credentials/secrets"
        known = client.get(secrets).raise_for_status().json()["secrets"]
        for each in sorted(known, key=lambda each: str(each["create_time"]))[:-1]:
            client.delete(f"{secrets}/{each['id']}").raise_for_status()
        made = client.post(secrets, json={}).raise_for_status().json()
    return principal["applicationId"], made["secret"]


def administrator(home: Home) -> httpx.Client:
    """A client of Azure DevOps, signed in as the administrator; its paths are below the organisation."""
    token = home.credentials.users["azuredevops"]["administrator"]
    return httpx.Client(
        trust_env=False,
        timeout=60,
        auth=("", token),
        params={"api-version": "7.1"},
        base_url=f"{home.organization_url}/",
    )


def fill_variable_groups(home: Home, project: str) -> None:
    """Puts the values into the groups that the stacks have made.

    Args:
        home: the rehearsal.
        project: the project's id.

    Raises:
        httpx.HTTPError: the service refuses.
    """
    variable_groups = "_apis/distributedtask/variablegroups"
    with administrator(home) as client:
        groups = client.get(f"{quote(project)}/{variable_groups}").raise_for_status().json()["value"]
        for group in groups:
            purpose = str((group["variables"].get("purpose") or {}).get("value"))
            if purpose in _USERS:
                body = group | {"variables": _values(home, purpose)}
                client.put(f"{variable_groups}/{group['id']}", json=body).raise_for_status()


def first_run(home: Home, project: str, pipeline: int) -> bool:
    """Starts a run and cancels it at once: with it the project gets its own build identity, as on Azure DevOps.

    Says whether it did; where a run has been, the identity is there.

    Args:
        home: the rehearsal.
        project: the project's id.
        pipeline: the id of the build pipeline.

    Raises:
        httpx.HTTPError: the service refuses.
    """
    url = f"{quote(project)}/_apis"
    with administrator(home) as client:
        if client.get(f"{url}/build/builds").raise_for_status().json()["value"]:
            return False
        run = client.post(f"{url}/pipelines/{pipeline}/runs", json={}).raise_for_status().json()["id"]
        client.patch(f"{url}/build/builds/{run}", json={"status": "cancelling"}).raise_for_status()
    return True

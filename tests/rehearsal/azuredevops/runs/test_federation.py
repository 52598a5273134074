"""A pipeline signs in to Databricks as what it is, and without any secret: workload identity federation.

The job asks Azure DevOps who it is, and Databricks for an access token in exchange: by the client that the product's
commands use (`delivery/sign_in.py`), in a job that the agent carries out.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from databricks.sdk import AccountClient
from databricks.sdk.service.oauth2 import FederationPolicy, OidcFederationPolicy

from rehearsal.agent.listener import Agent
from rehearsal.azuredevops.identities import HOST_ID
from rehearsal.azuredevops.oidc import AUDIENCE
from rehearsal.databricks.principal_credentials import ACCOUNT_ID
from rehearsal.databricks.users import SEEDS
from tests.rehearsal.azuredevops.organization import CREDENTIALS, SOCKETS_LEFT_OPEN, Organization
from tests.rehearsal.azuredevops.runs.pipelines import Pipelines
from tests.rehearsal.databricks.clients import CREDENTIALS as TOKENS
from tests.rehearsal.databricks.clients import Workspace
from tests.rehearsal.databricks.run_helpers import served

pytestmark = SOCKETS_LEFT_OPEN

ROOT = Path(__file__).parents[4]
DEPLOYER = next(seed.name for seed in SEEDS if seed.key == "deployer-test")
READS = 12
TOKEN = "/oidc/v1/token"
# What the commands do: a client of the stack's workspace, and requests, from several threads.
SCRIPT = f"""
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from delivery.console import UnusableError
from delivery.stack import read_stack, workspace_client
try:
    client = workspace_client(read_stack(Path("."), "test"))
except UnusableError as error:
    sys.exit(str(error))
print("signed in as", client.current_user.me().user_name)
with ThreadPoolExecutor(4) as readers:
    found = list(readers.map(lambda _: client.workspace.get_status("/Shared").path, range({READS})))
print("read", len(found))
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with served(tmp_path / "databricks") as made:
        yield made


@pytest.fixture
def agent(orchestrated: Organization, workspace: Workspace, tmp_path: Path) -> Iterator[Agent]:
    """An agent of a machine whose environment says where the workspace is, and whom the jobs sign in as."""
    known = {name: value for name, value in os.environ.items() if not name.startswith("DATABRICKS_")}
    signs_in = tmp_path / "signs_in.py"
    signs_in.write_text(SCRIPT)
    environment = {
        **known,
        "PYTHONPATH": str(ROOT),
        "SIGNS_IN": f"cd '{ROOT}' && '{sys.executable}' -B '{signs_in}'",
        "DATABRICKS_HOST": workspace.url,
        "DATABRICKS_CLIENT_ID": DEPLOYER,
    }
    home = tmp_path / "agent"
    made = Agent(server=orchestrated.root, token=CREDENTIALS["agent"], name="box", home=home, environment=environment)
    made.start()
    yield made
    made.stop()


def yaml(named: str = "$(System.AccessToken)", auth_type: str = "azure-devops-oidc") -> str:
    return f"""
trigger: none
steps:
- checkout: none
- bash: eval "$SIGNS_IN"
  displayName: Sign in
  env:
    SYSTEM_ACCESSTOKEN: {named}
    DATABRICKS_AUTH_TYPE: "{auth_type}"
"""


def trust(workspace: Workspace, pipelines: Pipelines, pipeline: str, audience: str = AUDIENCE) -> None:
    """The deployer of the test environment trusts a pipeline of this project."""
    account = AccountClient(host=workspace.url, account_id=ACCOUNT_ID, token=TOKENS["administrator"])
    [deployer] = [each for each in workspace.sdk().service_principals.list() if each.application_id == DEPLOYER]
    policy = OidcFederationPolicy(
        issuer=f"{pipelines.organization.root}/vstoken/{HOST_ID}",
        audiences=[audience],
        subject=f"p://rehearsal/{pipelines.project.name}/{pipeline}",
    )
    account.service_principal_federation_policy.create(int(str(deployer.id)), FederationPolicy(oidc_policy=policy))
    account.api_client._api_client._session.close()


def carried_out(pipelines: Pipelines, name: str, text: str | None = None) -> tuple[str, str]:
    """The result of a run of a pipeline with this name, and its step's log."""
    run = pipelines.run(pipelines.define(name, text or yaml()))
    result = pipelines.result(run)
    record = pipelines.records(run, "Task")["Sign in"]
    return result, "\n".join(pipelines.build.get_build_log_lines(pipelines.project.name, run, record["log"]["id"]))


def asked(workspace: Workspace, path: str) -> list[int]:
    """With which status each request for this was answered."""
    return [each["status"] for each in workspace.control("GET", "requests").json() if each["path"] == path]


@pytest.mark.parametrize("auth_type", ["azure-devops-oidc", ""], ids=["asked for", "the only way that there is"])
def test_the_pipeline_that_is_trusted_gets_in_and_asks_for_one_token_however_much_it_reads(
    pipelines: Pipelines, workspace: Workspace, agent: Agent, auth_type: str
) -> None:
    trust(workspace, pipelines, "release")
    workspace.control("DELETE", "requests")
    result, log = carried_out(pipelines, "release", yaml(auth_type=auth_type))
    assert result == "succeeded", log
    assert f"signed in as {DEPLOYER}" in log
    assert f"read {READS}" in log
    assert asked(workspace, TOKEN) == [200]


def test_another_pipeline_is_refused_and_told_what_would_have_to_be_trusted(
    pipelines: Pipelines, workspace: Workspace, agent: Agent
) -> None:
    trust(workspace, pipelines, "release")
    workspace.control("DELETE", "requests")
    result, log = carried_out(pipelines, "build")
    assert result == "failed", log
    assert f"the service principal {DEPLOYER} needs a federation policy with issuer" in log
    assert f"audience {AUDIENCE}, subject p://rehearsal/{pipelines.project.name}/build" in log
    assert "Traceback" not in log
    assert asked(workspace, TOKEN) == [400], "a refusal isn't asked for again"
    assert asked(workspace, "/api/2.0/preview/scim/v2/Me") == []


def test_a_policy_for_another_audience_lets_nobody_in(pipelines: Pipelines, workspace: Workspace, agent: Agent) -> None:
    trust(workspace, pipelines, "release", audience="another")
    result, log = carried_out(pipelines, "release")
    assert (result, "invalid_grant" in log) == ("failed", True), log


def test_a_token_endpoint_that_is_down_for_a_moment_is_asked_again(
    pipelines: Pipelines, workspace: Workspace, agent: Agent
) -> None:
    trust(workspace, pipelines, "release")
    workspace.control("POST", "faults", json={"action": "status", "status": 503, "path": TOKEN})
    workspace.control("POST", "faults", json={"action": "reset-before", "path": TOKEN})
    result, log = carried_out(pipelines, "release")
    assert result == "succeeded", log


def test_a_job_without_its_access_token_is_told_so(pipelines: Pipelines, workspace: Workspace, agent: Agent) -> None:
    result, log = carried_out(pipelines, "release", yaml(named='""'))
    assert (result, "SYSTEM_ACCESSTOKEN" in log) == ("failed", True), log


def test_a_job_gets_the_identity_of_no_other(pipelines: Pipelines, agent: Agent) -> None:
    there = '"${SYSTEM_COLLECTIONURI}${SYSTEM_TEAMPROJECTID}/_apis/distributedtask/hubs'
    ask = f"curl --silent --output /dev/null --write-out '%{{http_code}} ' --request POST --header \"$WHO\" {there}"
    other = "00000000-0000-0000-0000-000000000000"
    paths = (
        "/build/plans/$SYSTEM_PLANID/jobs/$SYSTEM_JOBID",
        f"/build/plans/$SYSTEM_PLANID/jobs/{other}",
        f"/build/plans/{other}/jobs/$SYSTEM_JOBID",
        "/rm/plans/$SYSTEM_PLANID/jobs/$SYSTEM_JOBID",
    )
    lines = "\n".join(f'    {ask}{path}/oidctoken?api-version=7.1-preview.1"' for path in paths)
    text = f"""
trigger: none
steps:
- checkout: none
- bash: |
{lines}
    WHO='Authorization: Bearer {CREDENTIALS["administrator"]}'
    {ask}{paths[0]}/oidctoken?api-version=7.1-preview.1"
  displayName: Sign in
  env:
    WHO: "Authorization: Bearer $(System.AccessToken)"
"""
    result, log = carried_out(pipelines, "release", text)
    assert result == "succeeded", log
    assert "200 401 401 401 401" in log

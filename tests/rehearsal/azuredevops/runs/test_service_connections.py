"""A pipeline signs in to Azure with a service connection: `AzureCLI@2`, carried out by the agent with Microsoft's `az`.

The job gets a token that says whose connection it is, Azure an application that trusts it, and Databricks takes it.
"""

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rehearsal import azure, connections, shell
from rehearsal.agent.context import Settings
from rehearsal.agent.listener import Agent
from rehearsal.azure import Application, Trust, proxy, serving
from rehearsal.azure.directory import SUBSCRIPTION_ID
from rehearsal.azuredevops import oidc
from rehearsal.azuredevops.identities import TENANT_ID
from rehearsal.databricks.users import SEEDS
from rehearsal.home import Home
from rehearsal.service import Background, listen
from tests.rehearsal.azuredevops.organization import CREDENTIALS, SOCKETS_LEFT_OPEN, Organization
from tests.rehearsal.azuredevops.runs.pipelines import Pipelines, until
from tests.rehearsal.databricks.clients import Workspace
from tests.rehearsal.databricks.run_helpers import served

pytestmark = [SOCKETS_LEFT_OPEN, pytest.mark.usefixtures("agent")]

ROOT = Path(__file__).parents[4]
DEPLOYER = next(seed.name for seed in SEEDS if seed.key == "deployer-test")
NOTHING = "00000000-0000-0000-0000-000000000000"
WHO = "az account show --query user.name --output tsv"
# What the commands do: a client of the stack's workspace.
READS = """
from pathlib import Path
from delivery.stack import read_stack, workspace_client
client = workspace_client(read_stack(Path("."), "test"))
print("signed in to Databricks as", client.current_user.me().user_name)
"""


@dataclass(frozen=True)
class World:
    """What there is beside Azure DevOps: a workspace, Azure, and a machine with its command line."""

    workspace: Workspace
    home: Home

    def trust(self, *trusts: Trust, subscriptions: tuple[str, ...] = (SUBSCRIPTION_ID,)) -> None:
        """Whom the application trusts that is the deployer of the test environment, too."""
        known = Application(id=DEPLOYER, name="deployer-test", trusts=trusts, subscriptions=subscriptions)
        azure.save(self.home.azure, [known])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = Home(tmp_path_factory.mktemp("home"))
    connections.install(home)
    app = azure.create_app(home.azure, home.backend, control_token=home.credentials.control)
    with listen() as listener, Background(app) as url:
        own, port = int(url.rpartition(":")[2]), listener.getsockname()[1]
        home.set_port("azure", port)
        with (
            proxy.Background(listener, serving.routes(home, own)),
            served(tmp_path_factory.mktemp("databricks"), azure.authority(port)) as workspace,
        ):
            home.set_port("databricks", int(workspace.url.rpartition(":")[2]))
            yield World(workspace, home)


@pytest.fixture
def settings() -> Settings:
    return Settings()


@pytest.fixture
def agent(orchestrated: Organization, world: World, tmp_path: Path, settings: Settings) -> Iterator[Agent]:
    known = {name: value for name, value in os.environ.items() if not name.startswith(("DATABRICKS_", "AZURE_"))}
    (tmp_path / "reads.py").write_text(READS)
    environment = {
        **known,
        **shell.azure(world.home),
        "PATH": f"{world.home.commands}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "READS": f"cd '{ROOT}' && '{sys.executable}' -B '{tmp_path / 'reads.py'}'",
        "DATABRICKS_HOST": shell.workspace(world.home),
        "DATABRICKS_AUTH_TYPE": "azure-cli",
    }
    made = Agent(
        server=orchestrated.root,
        token=CREDENTIALS["agent"],
        name="box",
        home=tmp_path / "agent",
        environment=environment,
        settings=settings,
    )
    made.start()
    yield made
    made.stop()


def connect(pipelines: Pipelines, name: str = "azure", subscription: str = SUBSCRIPTION_ID) -> dict[str, Any]:
    """A service connection of the project, which signs in as the deployer."""
    body = {
        "name": name,
        "type": "azurerm",
        "url": "https://management.azure.com/",
        "authorization": {
            "scheme": "WorkloadIdentityFederation",
            "parameters": {"tenantid": TENANT_ID, "serviceprincipalid": DEPLOYER},
        },
        "data": {"environment": "AzureCloud", "subscriptionId": subscription},
        "serviceEndpointProjectReferences": [{"name": name, "projectReference": {"id": pipelines.project.id}}],
    }
    answer = pipelines.organization.http().post("/_apis/serviceendpoint/endpoints", json=body)
    made: dict[str, Any] = answer.raise_for_status().json()
    return made


def trust_in(connection: dict[str, Any]) -> Trust:
    """What the service says that an application has to trust."""
    told = connection["authorization"]["parameters"]
    return Trust(issuer=told["workloadIdentityFederationIssuer"], subject=told["workloadIdentityFederationSubject"])


def yaml(script: str, *inputs: str, connection: str = "azure", after: str = "") -> str:
    lines = "".join(f"    {line}\n" for line in inputs)
    block = "\n".join(f"      {line}" for line in script.splitlines())
    return f"""
trigger: none
steps:
- checkout: none
- task: AzureCLI@2
  displayName: Sign in
  inputs:
    azureSubscription: {connection}
    scriptType: bash
    scriptLocation: inlineScript
    inlineScript: |
{block}
{lines}{after}"""


def carried_out(pipelines: Pipelines, endpoint: dict[str, Any], text: str) -> tuple[str, str]:
    """The result of a run of a pipeline that may use the connection, and the log of all of its steps."""
    definition = pipelines.define("release", text)
    pipelines.permit("endpoint", endpoint["id"], definition)
    run = pipelines.run(definition)
    result = pipelines.result(run)
    ids = [record["log"]["id"] for record in pipelines.records(run, "Task").values() if record.get("log")]
    name, build = pipelines.project.name, pipelines.build
    return result, "\n".join(line for id_ in ids for line in build.get_build_log_lines(name, run, id_))


def test_a_script_runs_as_the_connections_application_and_databricks_knows_it(
    pipelines: Pipelines, world: World
) -> None:
    endpoint = connect(pipelines)
    world.trust(trust_in(endpoint))
    script = f'echo "az says $({WHO})"\necho "here $PWD"\neval "$READS"'
    result, log = carried_out(pipelines, endpoint, yaml(script, "visibleAzLogin: false"))
    assert result == "succeeded", log
    assert f"az says {DEPLOYER}" in log
    assert f"signed in to Databricks as {DEPLOYER}" in log
    assert '"subscriptionId"' not in log
    assert "--federated-token @" in log, "no process shows the token among its arguments"


def test_nobody_is_signed_in_after_the_step_and_nothing_of_it_is_left_after_the_job(
    pipelines: Pipelines, world: World, tmp_path: Path
) -> None:
    endpoint = connect(pipelines)
    world.trust(trust_in(endpoint))
    after = f"- bash: {WHO}\n  env:\n    AZURE_CONFIG_DIR: $(Agent.TempDirectory)/.azclitask\n"
    result, log = carried_out(pipelines, endpoint, yaml("ls $AZURE_CONFIG_DIR/azureProfile.json", after=after))
    assert result == "failed", log
    assert "Please run 'az login' to setup account." in log
    assert list((tmp_path / "agent").rglob("_temp/*")) == []


def test_an_application_that_does_not_trust_the_connection_lets_nobody_in(pipelines: Pipelines, world: World) -> None:
    endpoint = connect(pipelines)
    trusted = trust_in(endpoint)
    world.trust(Trust(issuer=trusted.issuer, subject=f"{trusted.subject}-of-another-pipeline"))
    result, log = carried_out(pipelines, endpoint, yaml("echo never"))
    assert result == "failed"
    assert "AADSTS700213: No matching federated identity record" in log
    assert f"assertion subject '{trusted.subject}'" in log
    assert "Azure login failed" in log
    assert "never" not in log


def test_what_the_script_is_told_of_its_identity(pipelines: Pipelines, world: World) -> None:
    endpoint = connect(pipelines)
    world.trust(trust_in(endpoint))
    script = 'echo "$servicePrincipalId of $tenantId by $AZURESUBSCRIPTION_SERVICE_CONNECTION_ID token ${#idToken}"'
    text = yaml(script, "addSpnToEnvironment: true", f"arguments: {endpoint['name']}")
    result, log = carried_out(pipelines, endpoint, text)
    assert result == "succeeded", log
    assert re.search(rf"{DEPLOYER} of {TENANT_ID} by {endpoint['id']} token [0-9]{{3}}", log)


@pytest.mark.parametrize(
    ("script", "inputs", "said"),
    [
        ("exit 3", (), "Script failed with exit code: 3"),
        ("echo careful >&2", ("failOnStandardError: true",), "Failing as failOnStdErr is set to true"),
        ("echo $idToken", ("addSpnToEnvironment: true", "failOnStandardError: true"), None),
    ],
    ids=["a code", "standard error", "a secret"],
)
def test_how_a_script_ends(
    pipelines: Pipelines, world: World, script: str, inputs: tuple[str, ...], said: str | None
) -> None:
    endpoint = connect(pipelines)
    world.trust(trust_in(endpoint))
    result, log = carried_out(pipelines, endpoint, yaml(script, *inputs))
    assert (result, said is None or said in log) == ("succeeded" if said is None else "failed", True), log
    assert "eyJ" not in log, "an identity token is hidden"


def test_a_subscription_in_which_the_application_has_no_role_stops_the_step_before_its_script(
    pipelines: Pipelines, world: World
) -> None:
    endpoint = connect(pipelines)
    world.trust(trust_in(endpoint), subscriptions=())
    result, log = carried_out(pipelines, endpoint, yaml("echo never"))
    assert (result, "Error in setting up subscription" in log) == ("failed", True), log
    assert "never" not in log


def test_who_has_no_subscription_signs_in_to_databricks_with_a_connection_that_says_so(
    pipelines: Pipelines, world: World
) -> None:
    endpoint = connect(pipelines, subscription=NOTHING)
    world.trust(trust_in(endpoint), subscriptions=())
    result, log = carried_out(pipelines, endpoint, yaml('eval "$READS"'))
    assert (result, f"signed in to Databricks as {DEPLOYER}" in log) == ("succeeded", True), log


def test_a_machine_without_the_azure_cli_is_told_so(pipelines: Pipelines, world: World) -> None:
    endpoint = connect(pipelines)
    world.trust(trust_in(endpoint))
    result, log = carried_out(pipelines, endpoint, yaml("echo never", after="  env:\n    PATH: /nowhere\n"))
    assert (result, "Azure CLI 2.x is not installed on this machine." in log) == ("failed", True), log


@pytest.mark.parametrize("settings", [Settings(minute=0.25)])
@pytest.mark.parametrize("kept", [True, False])
def test_a_step_that_is_kept_active_can_ask_for_tokens_after_its_identity_token_has_ended(
    pipelines: Pipelines, world: World, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    monkeypatch.setattr(oidc, "VALID_SECONDS", 4)
    endpoint = connect(pipelines)
    world.trust(trust_in(endpoint))
    script = "sleep 6; az account get-access-token --resource https://storage.azure.com --query tokenType"
    result, log = carried_out(pipelines, endpoint, yaml(script, f"keepAzSessionActive: {str(kept).lower()}"))
    assert result == ("succeeded" if kept else "failed"), log
    assert ("AADSTS700024: Client assertion is not within its valid time range." in log) is not kept


def test_a_job_gets_a_token_for_no_connection_that_it_does_not_name(pipelines: Pipelines, world: World) -> None:
    named, other = connect(pipelines), connect(pipelines, "another")
    world.trust(trust_in(named))
    where = '"${SYSTEM_COLLECTIONURI}${SYSTEM_TEAMPROJECTID}/_apis/distributedtask/hubs/build/plans/$SYSTEM_PLANID'
    ask = "curl --silent --output /dev/null --write-out '%{http_code} ' --request POST --header \"$WHO\""
    script = "\n".join(
        f'{ask} {where}/jobs/$SYSTEM_JOBID/oidctoken?serviceConnectionId={id_}&api-version=7.1-preview.1"'
        for id_ in (named["id"], other["id"], NOTHING)
    )
    text = yaml(script, after='  env:\n    WHO: "Authorization: Bearer $(System.AccessToken)"\n')
    result, log = carried_out(pipelines, named, text)
    assert (result, "200 404 404" in log) == ("succeeded", True), log


def test_a_pipeline_that_was_not_permitted_to_use_a_connection_waits_for_it(pipelines: Pipelines, world: World) -> None:
    endpoint = connect(pipelines)
    world.trust(trust_in(endpoint))
    definition = pipelines.define("release", yaml("echo in"))
    run = pipelines.run(definition)
    until(lambda: pipelines.records(run, "Checkpoint.Authorization"), "the question for permission")
    assert pipelines.of(run)["status"] == "inProgress"
    pipelines.permit("endpoint", endpoint["id"], definition)
    assert pipelines.result(run) == "succeeded"

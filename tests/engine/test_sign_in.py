"""Without a personal access token: `az login` for Azure DevOps, and OAuth for Databricks."""

import json
import stat

import pytest
from databricks.sdk.service.iam import Patch, PatchOp, PatchSchema

from tests.engine.faults import inventory
from tests.engine.releases import deploy, record, release_of, said, small
from tests.engine.system import System

pytestmark = pytest.mark.engine


def test_an_up_signed_in_with_az_pushes_first_and_doubles_nothing_after_a_fault(system: System) -> None:
    given = {"accessToken": system.azure.tokens["administrator"], "expires_on": 4102444800, "tokenType": "Bearer"}
    az = system.home / "bin" / "az"
    az.parent.mkdir()
    answer = json.dumps({**given, "expiresOn": "2100-01-01 00:00:00.000000", "subscription": "s", "tenant": "t"})
    az.write_text(f"#!/bin/sh\ncat <<'EOF'\n{answer}\nEOF\n")
    az.chmod(az.stat().st_mode | stat.S_IXUSR)
    environment = {"AZDO_PERSONAL_ACCESS_TOKEN": "", "PATH": f"{az.parent}:{system.project.environment['PATH']}"}
    system.azure.fault("reset-after", method="POST", path="/policy/configurations", count=2)

    outcome = system.project.up("test", environment=environment)

    assert outcome, outcome.text
    assert "which an interrupted create has left" in outcome.text
    assert system.azure.tokens["administrator"] not in outcome.text
    there = inventory(system)
    assert there["repository databricks-notebooks ['refs/heads/main']"] == 1
    assert {name: number for name, number in there.items() if number > 1} == {}


def test_a_release_is_deployed_by_a_service_principal_that_signs_in_with_oauth(system: System) -> None:
    small(system)
    administrator = system.workspace_client()
    [deployer] = [each for each in administrator.service_principals.list() if each.display_name == "deployer-test"]
    [admins] = [each for each in administrator.groups.list() if each.display_name == "admins"]
    joined = Patch(op=PatchOp.ADD, path="members", value=[{"value": deployer.id}])
    administrator.groups.patch(
        str(admins.id), operations=[joined], schemas=[PatchSchema.URN_IETF_PARAMS_SCIM_API_MESSAGES_2_0_PATCH_OP]
    )
    secret = str(administrator.service_principal_secrets_proxy.create(str(deployer.id)).secret)
    signed_in = {
        "DATABRICKS_TOKEN": "",
        "DATABRICKS_AUTH_TYPE": "oauth-m2m",
        "DATABRICKS_CLIENT_ID": str(deployer.application_id),
        "DATABRICKS_CLIENT_SECRET": secret,
    }
    artifact = release_of(system, "oauth", "artifact")

    outcome = deploy(system, artifact, **signed_in)

    assert outcome, outcome.text
    assert secret not in outcome.text
    assert said(system, "test") == "oauth"
    assert record(system)["state"] == "deployed"
    agents = {each["agent"].split("/")[0] for each in system.workspace.requests() if each["path"] == "/oidc/v1/token"}
    assert len(agents) > 1, f"the provider and the command sign in: {agents}"

    outcome = deploy(system, artifact, **{**signed_in, "DATABRICKS_CLIENT_SECRET": "dose-of-another"})

    assert outcome.code == 2
    assert "invalid_client" in outcome.text
    assert "dose-of-another" not in outcome.text

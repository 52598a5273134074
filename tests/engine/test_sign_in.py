"""Without a personal access token: the provider, the first push and the look after a fault use `az login`."""

import json
import stat

import pytest

from tests.engine.faults import inventory
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

"""Debug messages cost time for each resource: they are sent to those who ask for them, and to no others."""

import subprocess
import sys

from tests.components.conftest import ROOT

# In a process of its own: what the program changes in the SDK stays changed.
SAID = """
import pulumi
from components import quiet
pulumi.log.get_engine = lambda: "the engine"
pulumi.log._log = lambda engine, severity, message, *others: print(message)
quiet.drop_debug_messages({environment})
pulumi.log.debug("registering", stream_id=1)
pulumi.log.info("a branch")
pulumi.log.warn("not committed")
pulumi.log.error("refused")
"""


def said(environment: dict[str, str]) -> list[str]:
    code = SAID.format(environment=environment)
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()


def test_debug_messages_are_dropped_and_all_others_are_sent() -> None:
    assert said({}) == ["a branch", "not committed", "refused"]


def test_whoever_asks_for_debug_messages_gets_them() -> None:
    assert said({"DATABRICKS_CICD_DEBUG": "true"}) == ["registering", "a branch", "not committed", "refused"]

"""Debug messages and stack traces cost time for each resource: those who ask for them get them, and no others."""

import subprocess
import sys

from tests.components.conftest import ROOT

# In a process of its own: what the program changes in the SDK stays changed.
SAID = """
import pulumi
from components import quiet
pulumi.log.get_engine = lambda: "the engine"
pulumi.log._log = lambda engine, severity, message, *others: print(message)
quiet.be_quiet({environment})
pulumi.log.debug("registering", stream_id=1)
pulumi.log.info("a branch")
pulumi.log.warn("not committed")
pulumi.log.error("refused")
"""


def said(code: str, environment: dict[str, str]) -> list[str]:
    command = [sys.executable, "-c", code.format(environment=environment)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


TRACED = """
from pulumi.runtime import resource
from components import quiet
quiet.be_quiet({environment})
class Resource:
    def __init__(self):
        self.trace = resource._get_stack_trace()
class Custom(Resource):
    def __init__(self):
        super().__init__()
class Notebook(Custom):
    def __init__(self):
        super().__init__()
print(len(Notebook().trace.frames))
"""


def test_debug_messages_are_dropped_and_all_others_are_sent() -> None:
    assert said(SAID, {}) == ["a branch", "not committed", "refused"]


def test_whoever_asks_for_debug_messages_gets_them() -> None:
    assert said(SAID, {"DATABRICKS_CICD_DEBUG": "true"}) == ["registering", "a branch", "not committed", "refused"]


def test_stack_traces_with_the_paths_of_the_machine_are_left_out_of_the_state_except_on_request() -> None:
    assert said(TRACED, {}) == ["0"]
    assert said(TRACED, {"DATABRICKS_CICD_DEBUG": "true"}) == ["1"]

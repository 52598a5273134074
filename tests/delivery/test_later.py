"""Databricks' client in parts: what a command doesn't use isn't loaded, and is there when somebody asks for it."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOAD = "import sys; from delivery import later; later.load(); "


def run(code: str) -> str:
    """What a fresh Python prints: in this process the whole client is loaded by other tests."""
    return subprocess.check_output([sys.executable, "-c", LOAD + code], cwd=ROOT, text=True).strip()


def test_what_starts_an_engine_loads_little_before() -> None:
    code = "import sys, delivery.deploy, delivery.preview; "
    code += "print({'databricks.sdk', 'requests', 'detect_secrets'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).strip() == "set()"


def test_what_reading_a_workspace_does_not_take_is_not_loaded() -> None:
    loaded = run("print(*sorted(name for name in sys.modules if name.startswith('databricks.sdk.service.')))").split()
    assert "databricks.sdk.service.workspace" in loaded
    assert {"databricks.sdk.service.catalog", "databricks.sdk.service.sql"}.isdisjoint(loaded)


@pytest.mark.parametrize(
    "code",
    [
        "from databricks.sdk import WorkspaceClient; print(WorkspaceClient.__module__)",
        "import databricks.sdk; print(databricks.sdk.WorkspaceClient.__module__)",
        "from databricks.sdk import azure; print(azure.__package__)",
    ],
)
def test_whoever_asks_for_the_rest_of_the_client_gets_it(code: str) -> None:
    assert run(code) == "databricks.sdk"


def test_an_error_is_the_same_class_whoever_names_it() -> None:
    assert run("from databricks.sdk.errors import NotFound; print(NotFound is later.errors.NotFound)") == "True"

"""Fixtures of the tests that record the program or parts of it."""

import json
import runpy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import azure.identity
import pulumi
import pytest
import yaml
from azure.identity import CredentialUnavailableError

from components.sdk import azuredevops, databricks
from release_files import scan
from tests.components.recording import Recording, record
from tests.components.services import Answers

ROOT = Path(__file__).parents[2]
# A canary: no test may find it in anything that is recorded.
TOKEN = "canary-6d1f"
ENVIRONMENT = {
    "AZDO_ORG_SERVICE_URL": "https://dev.azure.com/contoso",
    "AZDO_PERSONAL_ACCESS_TOKEN": TOKEN,
    "DATABRICKS_HOST": "https://adb-1.7.azuredatabricks.net",
    "DATABRICKS_TOKEN": TOKEN,
}


@dataclass(kw_only=True)
class Program:
    """Runs parts of the program, or all of it.

    `answers` is what the services know; change it before a run. `recording` is that of the latest run, there also when
    the run has failed.
    """

    answers: Answers = field(default_factory=Answers)
    recording: Recording = field(default_factory=Recording)

    def part(self, make: Callable[[pulumi.ResourceOptions], Any]) -> Recording:
        """Components alone. `make` gets the options with both providers; what it exports is in the recording."""

        def run() -> None:
            providers = [
                azuredevops.Provider("azure-devops", org_service_url=ENVIRONMENT["AZDO_ORG_SERVICE_URL"]),
                databricks.Provider("databricks", host=ENVIRONMENT["DATABRICKS_HOST"]),
            ]
            make(pulumi.ResourceOptions(providers=providers))

        return self._record(run)

    def whole(self, stack: str, config: Mapping[str, Any], root: Path = ROOT) -> Recording:
        """`__main__.py` with the configuration of a stack: keys without namespace, values as in YAML."""
        wire = {
            f"databricks-cicd:{key}": value if isinstance(value, str) else json.dumps(value)
            for key, value in config.items()
        }

        def run() -> None:
            runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")

        return self._record(run, stack=stack, config=wire, root=root)

    def committed(self, stack: str, **more: Any) -> Recording:
        """`__main__.py` with the stack file as committed, and `more` settings in place of its own."""
        return self.whole(stack, {**committed_config(stack), **more})

    def _record(self, run: Callable[[], None], **settings: Any) -> Recording:
        self.recording = Recording()
        record(run, answers=self.answers, recording=self.recording, **settings)
        return self.recording


def committed_config(stack: str) -> dict[str, Any]:
    """The configuration of a committed stack as the engine hands it over, keys without namespace."""
    project = yaml.safe_load((ROOT / "Pulumi.yaml").read_text(encoding="utf-8"))["config"]
    own = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8"))["config"]
    defaults = {key: entry["default"] for key, entry in project.items()}
    return defaults | {key.removeprefix("databricks-cicd:"): value for key, value in own.items()}


def some_notebook() -> str:
    """A notebook that jobs can run on serverless compute, by its path in the release as committed."""
    files = scan(ROOT / "notebooks").files
    return next(file.workspace_path for file in files if file.kind == "notebook" and file.language == "PYTHON")


def prepared(monkeypatch: pytest.MonkeyPatch, home: Path) -> Program:
    """The program, in an environment with addresses and credentials, and with a home for Pulumi."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PULUMI_HOME", str(home))
    return Program()


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Program:
    """The program, to be run as often as a test likes."""
    return prepared(monkeypatch, tmp_path / "pulumi-home")


@pytest.fixture(autouse=True)
def nobody_is_signed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test never uses the `az login` of the machine that it runs on."""

    class SignedOut:
        def __init__(self, **_: str) -> None:
            pass

        def get_token(self, *_: str) -> None:
            raise CredentialUnavailableError("Please run 'az login' to set up an account")

    monkeypatch.setattr(azure.identity, "AzureCliCredential", SignedOut)

"""The pipelines' YAML: valid by the published schema, and of one mind with the program about names."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from components import naming

ROOT = Path(__file__).parents[1]


def read(path: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))
    return content


BUILD = read(naming.BUILD_YAML)
RELEASE = read(naming.RELEASE_YAML)


def everything(node: Any) -> Iterator[dict[str, Any]]:
    """All mappings in a document."""
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from everything(child)


def stage(name: str) -> dict[str, Any]:
    (only,) = [stage for stage in RELEASE["stages"] if stage["stage"] == name]
    result: dict[str, Any] = only
    return result


@pytest.mark.parametrize("path", [naming.BUILD_YAML, naming.RELEASE_YAML])
def test_a_pipeline_is_valid_by_the_published_schema(path: str) -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.azure-pipelines"]
    check += ["--data-transform", "azure-pipelines", "--regex-variant", "nonunicode", path]
    result = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_build_starts_on_the_default_branch_alone() -> None:
    assert BUILD["trigger"]["branches"]["include"] == [naming.DEFAULT_BRANCH]
    assert "pr" not in BUILD  # Azure Repos doesn't read it; a branch policy builds pull requests


def test_the_release_starts_after_a_build_of_the_default_branch_and_by_nothing_else() -> None:
    assert RELEASE["trigger"] == "none"
    (resource,) = RELEASE["resources"]["pipelines"]
    assert resource["source"] == naming.BUILD_PIPELINE
    assert resource["trigger"]["branches"]["include"] == [naming.DEFAULT_BRANCH]


def test_releases_wait_for_each_other() -> None:
    assert RELEASE["lockBehavior"] == "sequential"


def test_what_the_build_publishes_is_what_every_deployment_takes() -> None:
    published = [step["artifact"] for step in everything(BUILD) if "publish" in step]
    assert published == [naming.ARTIFACT]
    (resource,) = RELEASE["resources"]["pipelines"]
    downloads = [step for step in everything(RELEASE) if "download" in step]
    assert {(step["download"], step["artifact"]) for step in downloads} == {(resource["pipeline"], naming.ARTIFACT)}
    for name in ("Test", "Production"):
        assert any("download" in step for step in everything(stage(name))), name


def test_the_release_deploys_to_test_and_then_to_production() -> None:
    assert [stage["stage"] for stage in RELEASE["stages"]] == ["Test", "Production"]
    assert stage("Production")["dependsOn"] == "Test"


@pytest.mark.parametrize(
    ("stage_name", "environment", "stack"), [("Test", "test", "test"), ("Production", "production", "prod")]
)
def test_a_stage_deploys_its_stack_behind_its_own_gate(stage_name: str, environment: str, stack: str) -> None:
    jobs = stage(stage_name)["jobs"]
    (deployment,) = [job for job in jobs if "deployment" in job]
    assert deployment["environment"] == naming.environment(environment)
    assert f"--stack {stack} " in str(deployment)
    # A job without the environment would pass by the gate.
    assert not [job for job in jobs if "deployment" not in job and "pulumi up" in str(job)]


def test_a_pull_request_only_previews() -> None:
    (preview,) = [stage for stage in BUILD["stages"] if stage["stage"] == "Preview"]
    assert "'PullRequest'" in preview["condition"]
    assert "pulumi up" not in str(BUILD)
    for stack in ("test", "prod"):
        assert f"pulumi preview --stack {stack}" in str(preview)


@pytest.mark.parametrize("pipeline", [BUILD, RELEASE], ids=["build", "release"])
def test_agents_are_those_of_the_settings(pipeline: dict[str, Any]) -> None:
    assert pipeline["pool"] == {"name": "$(agentPool)", "vmImage": "$(agentImage)"}


@pytest.mark.parametrize("pipeline", [BUILD, RELEASE], ids=["build", "release"])
def test_no_credential_stands_in_a_pipeline(pipeline: dict[str, Any]) -> None:
    for mapping in everything(pipeline):
        for key, value in mapping.get("env", {}).items():
            if "TOKEN" in key or "SECRET" in key:
                assert value == "$(System.AccessToken)", key

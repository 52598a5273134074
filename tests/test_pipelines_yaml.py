"""The pipelines' YAML: valid by the published schema, and of one mind with the program about names."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from components import naming
from delivery.venv import MARK

ROOT = Path(__file__).parents[1]


def read(path: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))
    return content


BUILD = read(naming.BUILD_YAML)
RELEASE = read(naming.RELEASE_YAML)
DRIFT = read(naming.DRIFT_YAML)
TEMPLATES = {path.name: read(str(path.relative_to(ROOT))) for path in (ROOT / "pipelines/templates").glob("*.yml")}
FILES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "pipelines").glob("*.yml"))
FILES += sorted(str(path.relative_to(ROOT)) for path in (ROOT / "pipelines/templates").glob("*.yml"))
SECRETS = ("DATABRICKS_TOKEN", "DATABRICKS_CLIENT_SECRET", "PULUMI_ACCESS_TOKEN", "PULUMI_CONFIG_PASSPHRASE")


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


@pytest.mark.parametrize("path", FILES)
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


def test_make_finds_the_packages_that_the_step_before_has_installed() -> None:
    """With another lock it would install them once more: minutes in each build."""
    (told,) = [step["parameters"]["lock"] for step in everything(BUILD) if "lock" in step.get("parameters", {})]
    made = subprocess.run(["make", "--dry-run", "venv"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"cmp -s (\S+) \.venv/(\S+)", made) == [(told, MARK)]


def test_what_the_build_publishes_is_what_every_deployment_takes_and_verifies() -> None:
    published = [step["artifact"] for step in everything(BUILD["stages"][0]) if "publish" in step]
    assert published == [naming.ARTIFACT, "digest"]
    (resource,) = RELEASE["resources"]["pipelines"]
    steps = TEMPLATES["artifact.yml"]["steps"]
    downloads = [(step["download"], step["artifact"]) for step in steps if "download" in step]
    assert downloads == [(resource["pipeline"], name) for name in published]
    assert any("delivery verify . --digest @../digest/release.sha256" in step.get("script", "") for step in steps)
    for job in (job for stage in RELEASE["stages"] for job in stage["jobs"]):
        assert "templates/artifact.yml" in str(job)


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
    assert f"deploy --artifact . --stack {stack}" in str(deployment)
    # A job without the environment would pass by the gate.
    assert not [job for job in jobs if "deployment" not in job and "deploy --artifact" in str(job)]
    assert stage(stage_name)["variables"][0] == {"group": naming.variable_group(environment)}


def test_a_pull_request_only_previews() -> None:
    (preview,) = [stage for stage in BUILD["stages"] if stage["stage"] == "Preview"]
    assert "'PullRequest'" in preview["condition"]
    assert preview["variables"] == [{"group": naming.variable_group(naming.PREVIEW)}]
    assert "preview --stack test --stack prod --comment" in str(preview)
    assert "delivery deploy" not in str(BUILD)


def test_production_gets_what_was_tested_by_its_digest() -> None:
    assert {
        "name": "testedDigest",
        "value": "$[ stageDependencies.Test.to_test.outputs['to_test.artifact.digest'] ]",
    } in (stage("Production")["variables"])
    assert "deploy --artifact . --stack prod --digest $(testedDigest)" in str(stage("Production"))


@pytest.mark.parametrize("pipeline", [RELEASE, DRIFT], ids=["release", "drift"])
def test_what_signs_in_as_who_deploys_has_no_trigger_that_its_definition_overrides(pipeline: dict[str, Any]) -> None:
    assert pipeline["trigger"] == "none"
    assert "schedules" not in pipeline


def test_drift_compares_both_environments_with_what_was_deployed() -> None:
    groups = [job["variables"][0]["group"] for job in DRIFT["jobs"]]
    assert groups == [naming.variable_group(environment) for environment in ("test", "production")]


@pytest.mark.parametrize("pipeline", [BUILD, RELEASE, DRIFT], ids=["build", "release", "drift"])
def test_agents_are_those_of_the_settings(pipeline: dict[str, Any]) -> None:
    assert pipeline["pool"] == {"name": "$(agentPool)", "vmImage": "$(agentImage)"}


def test_no_credential_stands_in_a_pipeline_or_in_an_argument() -> None:
    for document in (BUILD, RELEASE, DRIFT, *TEMPLATES.values()):
        for mapping in everything(document):
            for key, value in mapping.items():
                if any(word in key for word in ("TOKEN", "SECRET", "PASSPHRASE", "STORAGE_KEY")):
                    assert value in ("$(System.AccessToken)", f"$({key})"), key
            for line in (mapping.get("script"), mapping.get("command")):
                assert not any(secret in str(line) for secret in (*SECRETS, "System.AccessToken"))

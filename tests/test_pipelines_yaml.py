"""The pipelines' YAML: valid by the published schema, and of one mind with the program about names."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from components import naming
from delivery.pulumi_cli import masker
from delivery.venv import MARK
from rehearsal.agent.language.compiler import compile_pipeline
from rehearsal.agent.language.plan import ScriptStep, TaskStep, job_steps
from rehearsal.agent.language.variables import GroupVariable

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
# What the template hands over, by what a command asks, and which of that is no secret.
CREDENTIALS = next(each["default"] for each in TEMPLATES["delivery.yml"]["parameters"] if each["name"] == "credentials")
SECRETS = {name for each in CREDENTIALS.values() for name in each} - {"AZDO_ORG_SERVICE_URL"}
OF_AZURE_DEVOPS = {"AZDO_ORG_SERVICE_URL", "SYSTEM_ACCESSTOKEN"}
OF_DATABRICKS = {"SYSTEM_ACCESSTOKEN", "DATABRICKS_TOKEN", "DATABRICKS_CLIENT_SECRET"}
OF_THE_STATE = {"PULUMI_ACCESS_TOKEN", "PULUMI_CONFIG_PASSPHRASE", "AZURE_STORAGE_KEY"}
EVERYTHING = {"AZDO_PERSONAL_ACCESS_TOKEN", *OF_AZURE_DEVOPS, *OF_DATABRICKS, *OF_THE_STATE}
NEEDED = {
    "preview": EVERYTHING,
    "deploy": EVERYTHING,
    "smoke": EVERYTHING,
    "drift": EVERYTHING,
    "test": OF_DATABRICKS,
    "retain": OF_AZURE_DEVOPS,
    "venv": set[str](),
    "verify": set[str](),
    "package": set[str](),
}


def everything(node: Any) -> Iterator[dict[str, Any]]:
    """All mappings in a document."""
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from everything(child)


def commands(path: str, connection: str = "") -> Iterator[tuple[str, ScriptStep | TaskStep]]:
    """The commands that a pipeline runs, and the steps that run them, as the agent gets them."""

    def read_file(name: str) -> str | None:
        file = ROOT / name.lstrip("/")
        text = file.read_text(encoding="utf-8") if file.is_file() else None
        return text and text.replace('ServiceConnection: ""', f'ServiceConnection: "{connection}"')

    pipeline = compile_pipeline(path, read_file, find_group=lambda _: {})
    for step in (step for stage in pipeline.stages for job in stage.jobs for step in job_steps(job)):
        if isinstance(step, ScriptStep):
            line = step.script
        elif isinstance(step, TaskStep):
            line = step.inputs.get("inlineScript", "")
        else:
            continue
        if named := re.match(r"python -B -m delivery (\S+)", line):
            yield named[1], step


def stage(name: str) -> dict[str, Any]:
    (only,) = [stage for stage in RELEASE["stages"] if stage["stage"] == name]
    result: dict[str, Any] = only
    return result


def is_command(step: dict[str, Any]) -> bool:
    """Whether the step calls a command of `delivery`."""
    return step.get("template") == "templates/delivery.yml"


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


def test_a_failing_unit_test_leaves_the_notebooks_tested_and_both_results_to_be_published(tmp_path: Path) -> None:
    python, log = tmp_path / "python", tmp_path / "log"
    python.write_text(f'#!/bin/sh\necho "$*" >> {log}\ncase "$*" in *tests/$FAILING*) exit 1;; esac\n')
    python.chmod(0o755)
    (tmp_path / MARK).write_bytes((ROOT / "requirements-dev.lock").read_bytes())
    unit = ["make", "unit", f"VENV={tmp_path}", f"PY={python}", f"RESULTS={tmp_path}"]
    for failing in ("components", "notebooks", "none of them"):
        log.write_text("")
        done = subprocess.run(
            unit, cwd=ROOT, env={**os.environ, "FAILING": failing}, capture_output=True, text=True, check=False
        )
        assert (done.returncode == 0) is (failing == "none of them"), done.stderr
        program, notebooks, branches = log.read_text().splitlines()
        assert " tests/delivery " in program
        assert f"--junitxml={tmp_path}/unit-program.xml" in program
        assert f"--junitxml={tmp_path}/unit-notebooks.xml" in notebooks
        assert "--cov-report=xml:" in notebooks
        assert branches == f"-m tests.branch_coverage {tmp_path}/coverage.xml 95"


def test_what_the_build_publishes_is_what_every_deployment_takes_and_verifies() -> None:
    published = [step["artifact"] for step in everything(BUILD["stages"][0]) if "publish" in step]
    assert published == [naming.ARTIFACT, "digest", "delivery"]
    (resource,) = RELEASE["resources"]["pipelines"]
    steps = TEMPLATES["artifact.yml"]["steps"]
    downloads = [(step["download"], step["artifact"]) for step in steps if "download" in step]
    assert downloads == [(resource["pipeline"], name) for name in published]
    (verify,) = [step for step in steps if "delivery verify release --digest @digest/release.sha256" in str(step)]
    # Nothing of the artifact has run by then: Python takes its modules from the folder in which it is started.
    assert verify["workingDirectory"] == "$(Pipeline.Workspace)/build"
    assert not [step for step in steps[: steps.index(verify)] if "script" in step or "template" in step]
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


def test_what_is_in_production_is_retained_whether_or_not_the_smoke_test_passes() -> None:
    commands = [
        step["parameters"]["command"].split()[0] for step in everything(stage("Production")) if is_command(step)
    ]
    assert commands == ["deploy", "retain", "smoke"]


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
                if key == "AZURE_TOKEN_CREDENTIALS":  # says which kind
                    assert value == "AzureCLICredential"
                elif any(word in key for word in ("TOKEN", "SECRET", "PASSPHRASE", "STORAGE_KEY")):
                    assert value in ("$(System.AccessToken)", f"$({key})"), key
            for line in (mapping.get("script"), mapping.get("command")):
                assert not any(secret in str(line) for secret in (*SECRETS, "System.AccessToken"))


@pytest.mark.parametrize("connection", ["", "azure"])
@pytest.mark.parametrize("path", [naming.BUILD_YAML, naming.RELEASE_YAML, naming.DRIFT_YAML])
def test_a_command_gets_the_credentials_that_it_needs_and_no_other(path: str, connection: str) -> None:
    found = list(commands(path, connection))
    assert found
    for command, step in found:
        own = {"AZURE_TOKEN_CREDENTIALS"} if isinstance(step, TaskStep) else set()  # whom to be, and no credential
        assert set(step.env) == NEEDED[command] | own, command
        # Who is signed in to Azure by the task can read the state, and with `azure-cli` the workspace.
        assert isinstance(step, TaskStep) is bool(connection and NEEDED[command] & {*OF_THE_STATE, "DATABRICKS_TOKEN"})


@pytest.mark.parametrize("path", [naming.BUILD_YAML, naming.RELEASE_YAML, naming.DRIFT_YAML])
def test_where_the_secrets_of_a_group_are_read_the_service_connection_of_that_group_is_used(path: str) -> None:
    def named(name: str) -> str | None:
        text = (ROOT / name.lstrip("/")).read_text(encoding="utf-8")
        return re.sub(r'(\w+)ServiceConnection: ""', r"\1ServiceConnection: of-\1", text)

    pipeline = compile_pipeline(path, named, find_group=lambda _: {"purpose": GroupVariable("", secret=False)})
    for stage in pipeline.stages:
        for job in stage.jobs:
            groups = {each.group for each in (*stage.variables, *job.variables) if each.group}
            steps = (step for step in job_steps(job) if isinstance(step, TaskStep))
            used = {step.inputs["azureSubscription"] for step in steps if step.task == "AzureCLI"}
            assert used == {group.replace("databricks-cicd", "of") for group in groups}


def test_what_a_command_may_ask_is_what_the_template_has_credentials_for() -> None:
    (asks,) = [each for each in TEMPLATES["delivery.yml"]["parameters"] if each["name"] == "asks"]
    assert asks["values"] == list(CREDENTIALS)
    assert "default" not in asks


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_each_secret_that_a_command_gets_is_masked_in_what_it_tells(name: str) -> None:
    assert masker({name: "open-sesame"})("it says open-sesame") == "it says ***"

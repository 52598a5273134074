"""`doctor`: what is there, what is missing, and how to get it."""

import json
import os
import shutil
import stat
import subprocess
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from delivery.__main__ import main
from delivery.doctor_connections import SETTINGS
from rehearsal.databricks import create_app
from rehearsal.service import Background
from tests.delivery.azure_devops_service import CREDENTIALS as AZURE
from tests.delivery.azure_devops_service import Organization, running
from tests.rehearsal.databricks.clients import CONTROL_TOKEN, Workspace
from tests.rehearsal.databricks.clients import CREDENTIALS as DATABRICKS
from tests.rehearsal.databricks.run_helpers import fake_compute

ROOT = Path(__file__).parents[2]
NOBODY = "00000000-0000-0000-0000-000000000000"
DEPLOYER = "5d0c7a52-6d0f-4f0e-9a57-3f4f5f1c7e01"  # to test, as the stack file says
PREVIEWER = "0e3f6c1a-93c4-4b8e-8f6d-2a7b9c5d1e03"
# Where groups are kept; an area of the service that has an address of its own.
GRAPH = "bb1e7ec9-e901-4b68-999a-de7012b920f8"
# Answers as the real one does; the stacks are those of a file beside it.
PULUMI = """#!/bin/sh
cd "$(dirname "$0")"
case "$1 $2" in
    "version "*) echo "v$(cat version)";;
    "whoami "*) cat whoami.json 2>/dev/null || { echo "error: PULUMI_ACCESS_TOKEN must be set" >&2; exit 255; };;
    "stack ls") cat stacks.json;;
    *) exit 3;;
esac
"""


@pytest.fixture(scope="module")
def organization(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Organization]:
    with running(tmp_path_factory.mktemp("azuredevops")) as made:
        yield made


@pytest.fixture(scope="module")
def running_workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    state = tmp_path_factory.mktemp("databricks")
    app = create_app(state, control_token=CONTROL_TOKEN, credentials=DATABRICKS, compute=fake_compute(state))
    with Background(app) as url, Workspace(url, state) as clients:
        yield clients
    app.close()


class Desk:
    """A checkout with the committed stack files, and a machine to run `doctor` on."""

    def __init__(self, folder: Path, organization: Organization, workspace: Workspace) -> None:
        self.organization = organization
        self.workspace = workspace
        self.folder = folder / "checkout"
        self.folder.mkdir()
        (self.folder / SETTINGS).parent.mkdir(parents=True)
        for name in ("Pulumi.yaml", "Pulumi.test.yaml", "Pulumi.prod.yaml", "requirements.lock", SETTINGS):
            shutil.copy(ROOT / name, self.folder / name)
        self.engine = folder / "engine"
        self.engine.mkdir()
        (self.engine / "pulumi").write_text(PULUMI)
        (self.engine / "pulumi").chmod(stat.S_IRWXU)
        (self.engine / "version").write_text("3.259.0")
        self.stacks(test=0, prod=0)
        (self.engine / "whoami.json").write_text('{"user": "ada", "url": "file:///state"}')

    def stacks(self, **resources: int) -> None:
        listed = [{"name": f"organization/databricks-cicd/{name}", "resourceCount": n} for name, n in resources.items()]
        (self.engine / "stacks.json").write_text(json.dumps(listed))

    def connections(self, **names: str) -> None:
        """The service connections that the pipelines name, by purpose."""
        file = self.folder / SETTINGS
        for purpose, name in names.items():
            key = f"{purpose}ServiceConnection: "
            file.write_text(file.read_text().replace(f'{key}""', f"{key}{name}"))

    def append(self, stack: str, line: str) -> None:
        with (self.folder / f"Pulumi.{stack}.yaml").open("a") as file:
            file.write(line)

    def settings(self, stack: str, key: str, **changes: Any) -> None:
        path = self.folder / f"Pulumi.{stack}.yaml"
        document = yaml.safe_load(path.read_text())
        config = document["config"]
        config[f"databricks-cicd:{key}"] = config.get(f"databricks-cicd:{key}", {}) | changes
        path.write_text(yaml.safe_dump(document))


@pytest.fixture
def desk(
    tmp_path: Path, organization: Organization, running_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> Desk:
    organization.calm()
    running_workspace.control("POST", "reset")
    made = Desk(tmp_path, organization, running_workspace)
    for name, value in {
        "AZDO_ORG_SERVICE_URL": organization.url,
        "AZDO_PERSONAL_ACCESS_TOKEN": AZURE["administrator"],
        "DATABRICKS_HOST": running_workspace.url,
        "DATABRICKS_TOKEN": DATABRICKS["administrator"],
        "PATH": f"{made.engine}:{os.environ['PATH']}",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("SYSTEM_ACCESSTOKEN", "SYSTEM_COLLECTIONURI", "SYSTEM_TEAMPROJECT"):
        monkeypatch.delenv(name, raising=False)
    return made


def examined(desk: Desk, capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
    """The findings by their names; the exit code is under an empty name."""
    capsys.readouterr()
    code = main(["doctor", "--json", "--project", str(desk.folder), *options])
    told = json.loads(capsys.readouterr().out)
    assert (code == 0) is told["ready"] is all(each["state"] != "missing" for each in told["findings"])
    return {each["name"]: each for each in told["findings"]} | {"": code}


def test_before_the_first_up_everything_that_it_needs_is_found(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    found = examined(desk, capsys)
    states = {name: each["state"] for name, each in found.items() if name}
    volumes = [name for name in states if name.startswith("volume ")]
    assert {states.pop(name) for name in volumes} == {"warning"}  # an administrator of Unity Catalog makes them
    assert set(states.values()) == {"ok"}, found
    assert found[""] == 0
    for name in ("Python", "git", "pulumi", "locked", "backend", "stack test", "stack prod", "sign-in"):
        assert name in states
    assert {"project Databricks CI-CD", "right to create projects", "group data-engineers"} <= set(states)
    assert {"approver avery@rehearsal.example", "folder /bike-sharing-production"} <= set(states)
    assert found["project Databricks CI-CD"]["found"] == "the name is free"


def test_people_read_what_is_missing_and_how_to_get_it(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    (desk.engine / "version").write_text("3.1.0")
    assert main(["doctor", "--project", str(desk.folder)]) == 1
    told = capsys.readouterr().out
    assert "  MISSING  pulumi: v3.1.0 is older than the locked SDK; install Pulumi 3.259.0 or newer: https://" in told
    assert told.splitlines()[-1] == "1 missing"
    assert "Databricks, production:" in told


@pytest.mark.parametrize(
    ("break_it", "name", "told"),
    [
        (
            lambda desk: (desk.engine / "whoami.json").unlink(),
            "backend",
            "must be set; `pulumi login`",
        ),
        (lambda desk: desk.stacks(prod=3), "stack test", "the backend has none; pulumi stack init test"),
        (lambda desk: (desk.folder / "Pulumi.prod.yaml").unlink(), "Pulumi.prod.yaml", "No such file"),
        (
            lambda desk: desk.settings("prod", "workspace", folder=""),
            "Pulumi.prod.yaml",
            "folder is ''; set it",
        ),
        (
            lambda desk: (desk.folder / "requirements.lock").write_text("pathspec[fast]==0.1 \\\nnosuch==2.0 \\\n"),
            "locked",
            "is 1.1.1 and not 0.1, nosuch is missing; install them: python -m delivery venv",
        ),
        (
            lambda desk: desk.append("prod", "encryptionsalt: v1:x\n"),
            "stack prod, secrets",
            "the state has a passphrase, and none is set; set PULUMI_CONFIG_PASSPHRASE",
        ),
        (
            lambda desk: desk.settings("prod", "gate", approvers=["nobody.knows@example.com"]),
            "approver nobody.knows@example.com",
            "the organisation has no such user or group; write the sign-in name",
        ),
        (
            lambda desk: desk.settings("test", "workspace", access=[{"group": "data-makers", "level": "CAN_RUN"}]),
            "group data-makers",
            "the workspace has none, and the settings give it rights; create it",
        ),
        (
            lambda desk: desk.settings("prod", "workspace", access=[{"servicePrincipal": NOBODY, "level": "CAN_READ"}]),
            f"service principal {NOBODY}",
            "the workspace has none, and the settings give it rights; add it to the workspace",
        ),
    ],
)
def test_each_thing_that_is_missing_is_told_with_its_remedy(
    desk: Desk, capsys: pytest.CaptureFixture[str], break_it: Any, name: str, told: str
) -> None:
    break_it(desk)
    found = examined(desk, capsys)
    [each] = [each for key, each in found.items() if key and key.endswith(name)]
    assert each["state"] == "missing"
    assert told in f"{each['found']}; {each['remedy']}"
    assert found[""] == 1


def test_a_stack_whose_lock_is_held_is_told(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    (desk.engine / "stacks.json").write_text('[{"name": "test", "updateInProgress": true}, {"name": "prod"}]')
    found = examined(desk, capsys)["stack test"]
    assert found["state"] == "warning"
    assert "pulumi cancel --yes --stack test" in found["remedy"]


def variable_group(desk: Desk, project: str, purpose: str, values: list[str], **plain: str) -> None:
    client = desk.organization.client(project)
    reference = {"id": client.get(f"/projects/{project}")["id"], "name": project}
    body = {
        "type": "Vsts",
        "name": f"databricks-cicd-{purpose}",
        "variables": {
            **{name: {"value": "x", "isSecret": name.endswith("TOKEN")} for name in values},
            **{name: {"value": value, "isSecret": False} for name, value in plain.items()},
        },
        "variableGroupProjectReferences": [{"name": f"databricks-cicd-{purpose}", "projectReference": reference}],
    }
    client.post("/distributedtask/variablegroups", body)


def connection(desk: Desk, project: str, name: str, scheme: str = "WorkloadIdentityFederation") -> str:
    """A service connection of the project; gives its id."""
    client = desk.organization.client(project)
    reference = {"id": client.get(f"/projects/{project}")["id"], "name": project}
    body = {
        "name": name,
        "type": "azurerm",
        "url": "https://management.azure.com/",
        "authorization": {"scheme": scheme, "parameters": {"tenantid": NOBODY, "serviceprincipalid": NOBODY}},
        "serviceEndpointProjectReferences": [{"name": name, "projectReference": reference}],
    }
    return str(client.post("/serviceendpoint/endpoints", body)["id"])


def group_of_the_project(desk: Desk, project: str, name: str) -> None:
    client = desk.organization.client(project)
    preview = "7.1-preview.1"
    graph = client.at(client.get(f"/resourceAreas/{GRAPH}", api_version=preview)["locationUrl"])
    scope = graph.get(f"/graph/descriptors/{client.get(f'/projects/{project}')['id']}", api_version=preview)["value"]
    graph.post("/graph/groups", {"displayName": name}, query={"scopeDescriptor": scope}, api_version=preview)


def test_names_that_are_taken_are_told_before_the_first_up(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    project = desk.organization.new_project()
    found = examined(desk, capsys, "--project-name", project)
    assert found[f"project {project}"]["found"] == "it is there already, and stack 'test' doesn't manage it"
    desk.settings("test", "controlPlane", project={"name": project, "adopt": True})
    client = desk.organization.client(project)
    client.post("git/repositories", {"name": "databricks-notebooks"})
    client.post("distributedtask/environments", {"name": "production"}, api_version="7.1-preview.1")
    variable_group(desk, project, "preview", ["purpose"])
    variable_group(desk, project, "elsewhere", ["purpose"])
    group_of_the_project(desk, project, "Production approvers")
    found = examined(desk, capsys)
    assert found[f"project {project}"]["state"] == "ok"
    assert found["repository databricks-notebooks"]["state"] == "missing"
    for name in ("environment production", "variable group databricks-cicd-preview", "group Production approvers"):
        assert (found[name]["state"], found[name]["remedy"]) == ("missing", "delete it, or `pulumi import` it")
    taken = [name for name in found if name.startswith(("environment ", "variable group ", "group Prod", "group Test"))]
    assert len(taken) == 3
    assert found["right to administer the project"]["state"] == "ok"


def test_after_the_first_up_the_pipelines_needs_are_looked_at(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    project = desk.organization.new_project()
    client = desk.organization.client(project)
    client.post("git/repositories", {"name": "databricks-notebooks"})
    variable_group(desk, project, "test", ["purpose"])
    variable_group(desk, project, "preview", ["purpose", "DATABRICKS_HOST", "DATABRICKS_TOKEN"])
    desk.stacks(test=40, prod=0)
    found = examined(desk, capsys, "--project-name", project)
    assert found[f"project {project}"]["state"] == "ok"
    assert "nobody has put in" in found["variable group databricks-cicd-test"]["found"]
    assert found["variable group databricks-cicd-preview"]["found"] == "it has DATABRICKS_HOST, DATABRICKS_TOKEN"
    assert found["build identity may comment"]["state"] == "warning"
    assert "after the first run of a pipeline" in found["build identity may comment"]["remedy"]


def test_the_service_connections_that_the_pipelines_name_are_looked_at(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    project = desk.organization.new_project()
    client = desk.organization.client(project)
    repository = client.post("git/repositories", {"name": "databricks-notebooks"})
    ids = {}
    for name in ("build", "release", "drift"):
        body = {
            "name": name,
            "process": {"yamlFilename": f"{name}.yml", "type": 2},
            "repository": {"id": repository["id"], "type": "TfsGit", "defaultBranch": "refs/heads/main"},
        }
        ids[name] = client.post("build/definitions", body)["id"]
    variable_group(desk, project, "preview", ["purpose", "DATABRICKS_HOST"])
    desk.stacks(test=40, prod=0)
    desk.connections(preview="of-all", test="for-some", production="nowhere")
    every = connection(desk, project, "of-all")
    some = connection(desk, project, "for-some", scheme="ServicePrincipal")

    def permit(id_: str, **body: object) -> None:
        client.patch(f"pipelines/pipelinePermissions/endpoint/{id_}", body, api_version="7.1-preview.1")

    permit(every, allPipelines={"authorized": True})
    permit(some, pipelines=[{"id": ids["release"], "authorized": True}])
    found = examined(desk, capsys, "--project-name", project)
    assert found["service connection nowhere"]["state"] == "missing"
    assert "workload identity federation" in found["service connection nowhere"]["remedy"]
    assert "every pipeline of the project may use it" in found["service connection of-all"]["found"]
    assert found["service connection of-all"]["state"] == "warning"
    assert found["service connection for-some"]["found"] == "these pipelines may not use it yet: drift"
    permit(some, pipelines=[{"id": ids["drift"], "authorized": True}])
    permit(every, allPipelines={"authorized": False}, pipelines=[{"id": ids["build"], "authorized": True}])
    found = examined(desk, capsys, "--project-name", project)
    assert "a secret that ends one day" in found["service connection for-some"]["found"]
    assert (found["service connection of-all"]["state"], found["service connection of-all"]["found"]) == (
        "ok",
        "build may use it",
    )


def test_who_signs_in_with_the_azure_cli_and_names_no_service_connection_is_told_so(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    project = desk.organization.new_project()
    variable_group(desk, project, "preview", ["purpose", "DATABRICKS_HOST"], DATABRICKS_AUTH_TYPE="azure-cli")
    desk.stacks(test=40, prod=0)
    found = examined(desk, capsys, "--project-name", project)
    assert "previewServiceConnection is empty" in found["service connection for preview"]["found"]
    assert [name for name in found if name.startswith("service connection ")] == ["service connection for preview"]


def test_an_identity_without_rights_learns_which_it_lacks(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZDO_PERSONAL_ACCESS_TOKEN", AZURE["dana"])
    monkeypatch.setenv("DATABRICKS_TOKEN", DATABRICKS["dana"])
    found = examined(desk, capsys)
    assert found["right to create projects"]["remedy"] == "have 'Create new projects' given in the organisation"
    assert found["folder /bike-sharing-test"]["found"] == "only administrators create at /"
    desk.workspace.folder("/bike-sharing-test")
    assert "CAN_MANAGE" in examined(desk, capsys)["folder /bike-sharing-test"]["remedy"]
    access = {"access_control_list": [{"user_name": "dana@rehearsal.example", "permission_level": "CAN_MANAGE"}]}
    folder = desk.workspace.object_id("/bike-sharing-test")
    assert desk.workspace.call("PATCH", f"2.0/permissions/directories/{folder}", json=access).status_code == 200
    found = examined(desk, capsys)["folder /bike-sharing-test"]
    assert (found["state"], "dana@rehearsal.example" in found["found"]) == ("ok", True)


def test_who_deploys_is_looked_for_among_those_who_manage_the_folder(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.workspace.folder("/bike-sharing-test")
    found = examined(desk, capsys)[f"right of {DEPLOYER}"]
    assert (found["state"], found["remedy"]) == ("warning", "pulumi up --refresh --stack test")
    access = {"access_control_list": [{"service_principal_name": DEPLOYER, "permission_level": "CAN_MANAGE"}]}
    folder = desk.workspace.object_id("/bike-sharing-test")
    assert desk.workspace.call("PATCH", f"2.0/permissions/directories/{folder}", json=access).status_code == 200
    assert examined(desk, capsys)[f"right of {DEPLOYER}"]["state"] == "ok"


def test_each_right_of_the_settings_is_looked_for_on_folder_and_jobs(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.workspace.folder("/bike-sharing-test")
    folder = desk.workspace.object_id("/bike-sharing-test")
    tasks = [{"task_key": "load", "notebook_task": {"notebook_path": "/bike-sharing-test/load"}}]
    jobs = {}
    for name in ("daily (test)", "watch (test)", "somebody's"):
        body = {"name": name, "tasks": tasks, "tags": {"environment": "test", "release": "0" * 12}}
        answer = desk.workspace.call("POST", "2.2/jobs/create", json=body)
        assert answer.status_code == 200, answer.text
        jobs[name] = answer.json()["job_id"]
    found = examined(desk, capsys)
    told = found[f"right of {PREVIEWER}"]
    assert (told["state"], told["remedy"]) == ("warning", "pulumi up --refresh --stack test")
    assert told["found"] == "it hasn't CAN_READ on /bike-sharing-test, as the settings say"
    for who, level in ((PREVIEWER, "CAN_VIEW"), (DEPLOYER, "IS_OWNER")):
        told = found[f"right of {who} on jobs"]
        assert told["state"] == "warning"
        assert told["found"] == f"it hasn't {level} on daily (test), watch (test), as the settings say"

    def give(what: str, *levels: tuple[str, str]) -> None:
        access = [{"service_principal_name": who, "permission_level": level} for who, level in levels]
        answer = desk.workspace.call("PUT", f"2.0/permissions/{what}", json={"access_control_list": access})
        assert answer.status_code == 200, answer.text

    give(f"directories/{folder}", (PREVIEWER, "CAN_RUN"))  # which is more
    give(f"jobs/{jobs['daily (test)']}", (PREVIEWER, "CAN_VIEW"), (DEPLOYER, "IS_OWNER"))
    desk.settings("test", "jobOverrides", watch={"access": [{"servicePrincipal": PREVIEWER, "level": "CAN_MANAGE"}]})
    found = examined(desk, capsys)
    assert found[f"right of {PREVIEWER}"]["state"] == "ok"
    assert found[f"right of {DEPLOYER} on jobs"]["found"] == "it has IS_OWNER"
    assert "hasn't CAN_MANAGE on watch (test)," in found[f"right of {PREVIEWER} on jobs"]["found"]
    give(f"jobs/{jobs['watch (test)']}", (PREVIEWER, "CAN_MANAGE"), (DEPLOYER, "IS_OWNER"))
    assert examined(desk, capsys)[f"right of {PREVIEWER} on jobs"]["state"] == "ok"


@pytest.mark.parametrize("service", ["azure", "databricks"])
def test_a_wrong_credential_is_told_and_not_shown(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    variable = "AZDO_PERSONAL_ACCESS_TOKEN" if service == "azure" else "DATABRICKS_TOKEN"
    monkeypatch.setenv(variable, "wrong-and-secret")
    assert main(["doctor", "--project", str(desk.folder)]) == 1
    told = capsys.readouterr()
    assert "MISSING  sign-in: " in told.out
    assert "renew the" in told.out
    assert "wrong-and-secret" not in told.out + told.err


def test_a_service_that_fails_later_takes_nothing_from_what_was_found(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.organization.fault(action="status", status=403, count=100, path="_apis/identities")
    desk.workspace.control(
        "POST", "faults", json={"action": "status", "status": 403, "path": "scim/v2/Groups", "count": 9}
    )
    found = examined(desk, capsys)
    assert found["project Databricks CI-CD"]["state"] == "ok"
    assert found["Azure DevOps"]["state"] == "missing"
    assert found["workspace"]["state"] == "missing"
    assert found["sign-in"]["state"] == "ok"


def test_passing_faults_are_no_finding(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.organization.fault(action="status", status=429, headers={"Retry-After": "0"}, path="connectionData")
    desk.organization.fault(action="status", status=503, headers={"Retry-After": "0"}, path="_apis/projects")
    desk.workspace.control("POST", "faults", json={"action": "reset-before", "path": "scim/v2/Me"})
    assert examined(desk, capsys)[""] == 0


def test_where_nothing_is_installed_it_says_so(tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", with_pip=False)
    done = subprocess.run(
        [str(tmp_path / "bare/bin/python"), "-B", "-m", "delivery", "doctor", "--json"],
        cwd=ROOT,
        env={"PATH": "/nowhere", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    found = {each["name"]: each for each in json.loads(done.stdout)["findings"]}
    assert found["pulumi"]["found"] == "it isn't on the PATH"
    assert "git" in found["git"]["remedy"]
    assert "python -m delivery venv --lock requirements.lock" in found["locked"]["remedy"]
    assert found["all"]["state"] == "skipped"


def test_outside_a_checkout_it_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--project", str(tmp_path)]) == 2
    assert "name the checkout" in capsys.readouterr().err

"""What the program says about a wrong setting: key, value found, what is allowed, remedy."""

from pathlib import Path
from typing import Any

import pytest

from components.settings import SettingsError, parse
from tests.components.settings_samples import ENVIRONMENT, FULL, changed, make_project, mistakes, without

PRODUCTION = without("jobOverrides", without("tests", without("controlPlane", changed("environment", "production"))))

# path of the setting, its wrong value, and words that stand under "found", "allowed" and "remedy"
WRONG: list[tuple[str, Any, str, str, str]] = [
    ("environment", "prod", '"prod"', "test, production", "production"),
    ("services.databricksRequestsPerSecond", 0, "0", "from 1 to 100", "15"),
    ("services.databricksRequestsPerSecond", 101, "101", "from 1 to 100", "15"),
    ("services.azureDevOpsAttempts", "many", '"many"', "a whole number", "8"),
    ("services.organizationUrl", "https://dev.azure.com", "dev.azure.com", "the organisation", "contoso"),
    ("services.organizationUrl", "https://dev.azure.com/contoso/project", "project", "nothing else", "contoso"),
    ("services.organizationUrl", "http://dev.azure.com/contoso", "http://", "https://", "contoso"),
    ("services.organizationUrl", "https://host:port/contoso", "port", "https://", "contoso"),
    ("services.workspaceHost", "https://adb-1.2.azuredatabricks.net/browse", "browse", "nothing else", "https://adb-"),
    ("services.workspaceHost", "http://adb-1.2.azuredatabricks.net", "http://", "https://", "https://adb-"),
    ("services.workspaceHost", "", '""', "https://", "https://adb-"),
    ("controlPlane.project.name", "a/b", '"a/b"', "at most 64", "Databricks CI-CD"),
    ("controlPlane.project.name", "_a", '"_a"', "underscore in front", "Databricks CI-CD"),
    ("controlPlane.project.name", "x" * 65, "xxx", "at most 64", "Databricks CI-CD"),
    ("controlPlane.project.visibility", "secret", '"secret"', "private, public", "private"),
    ("controlPlane.project.adopt", "yes", '"yes"', "true or false", "false"),
    ("controlPlane.repository.defaultBranch", "refs/heads/main", "refs/heads/main", "short name", "main"),
    ("controlPlane.repository.defaultBranch", "a..b", '"a..b"', "short name", "main"),
    ("controlPlane.review.minimumReviewers", 11, "11", "from 1 to 10", "1"),
    ("controlPlane.review.minimumReviewers", True, "true", "from 1 to 10", "1"),
    ("controlPlane.review.mergeTypes", [], "[]", "at least one of squash", "squash"),
    ("controlPlane.review.mergeTypes[0]", "fast", '"fast"', "rebaseMerge", "squash"),
    ("controlPlane.review.linkedWorkItem", "yes", '"yes"', "off, optional, required", "off"),
    ("controlPlane.review.requiredReviewers[0].reviewers", [], "empty list", "isn't empty", "add reviewers"),
    ("controlPlane.review.requiredReviewers[0].paths[0]", "pipelines", '"pipelines"', "start with /", "/pipelines"),
    ("controlPlane.agents.pool", "Ours", "both image and pool", "or pool", "config rm"),
    ("controlPlane.agents.image", "Ubuntu", '"Ubuntu"', "ubuntu-latest", "ubuntu-latest"),
    ("controlPlaneStack", "test", "controlPlane and controlPlaneStack", "in the one stack that owns", "config rm"),
    ("gate.approvers", [], "[] (an empty list)", "continuous deployment", "config rm"),
    ("gate.approvers", "avery@example.com", '"avery@example.com"', "a list of principal names", "- somebody"),
    ("gate.approvers[1]", "AVERY@example.com", "already stands at gate.approvers[0]", "only once", "config rm"),
    ("gate.minimumApprovals", 3, "3, with 2 in approvers", "from 1 to 2", "2"),
    ("gate.minimumApprovals", 0, "0", "a whole number", "1"),
    ("gate.timeoutHours", 721, "721", "hours from 1 to 720", "72"),
    ("gate.timeoutHours", "72", '"72"', "a whole number of hours", "72"),
    ("gate.timeoutHours", 1.5, "1.5", "a whole number of hours", "72"),
    ("gate.requesterMayApprove", None, "nothing", "true or false", "false"),
    ("gate.businessHours", [], "[] (a list)", "a mapping", "timeZone"),
    ("gate.businessHours.days", [], "no day", "monday", "- monday"),
    ("gate.businessHours.days[0]", "Fri", '"Fri"', "friday", "monday"),
    ("gate.businessHours.start", 480, "480", "in quotes", "09:00"),
    ("gate.businessHours.start", "8:00", '"8:00"', "both digits", "09:00"),
    ("gate.businessHours.end", "07:00", '"07:00"', "after the start, 08:00", "17:00"),
    ("gate.businessHours.timeZone", "Europe/Berlin", '"Europe/Berlin"', "Windows name", "Standard Time"),
    ("gate.businessHours.timeZone", "W Europe Standard Time", "W Europe", "Windows", "'W. Europe Standard Time'"),
    ("workspace.folder", "", '""', "an absolute path", "/bike-sharing-test"),
    ("workspace.folder", "bikes", '"bikes"', "an absolute path", "/bike-sharing-test"),
    ("workspace.folder", "/", '"/"', "not the root", "/bike-sharing-test"),
    ("workspace.folder", "/Workspace", '"/Workspace"', "not the root", "/bike-sharing-test"),
    ("workspace.folder", "/a/../b", '"/a/../b"', "without empty parts, . and ..", "/bike-sharing-test"),
    ("workspace.folder", "/a//b", '"/a//b"', "without empty parts", "/bike-sharing-test"),
    ("workspace.folder", "/a\\b", "b", "backslashes", "/bike-sharing-test"),
    ("workspace.folder", "/Users/dana@example.com", "/Users/dana", "personal folders", "/bike-sharing-test"),
    ("workspace.folder", "/Workspace/Repos/x", "/Workspace/Repos/x", "Git folders", "/bike-sharing-test"),
    ("workspace.folder", "/Shared", '"/Shared"', "belongs to everybody", "/bike-sharing-test"),
    ("workspace.folder", 5, "5", "an absolute path", "/bike-sharing-test"),
    ("workspace.access", {}, "{} (a mapping)", "a list of", "- group"),
    ("workspace.access[0].level", "CAN_WRITE", '"CAN_WRITE"', "CAN_READ, CAN_RUN, CAN_EDIT, CAN_MANAGE", "CAN_"),
    ("workspace.access[0].level", "CAN_VIEW", '"CAN_VIEW"', "CAN_READ, CAN_RUN", "CAN_"),
    ("workspace.access[0].group", "admins", '"admins"', "not admins", "data-engineers"),
    ("workspace.access[1].user", "dana", '"dana"', "user@domain", "somebody@example.com"),
    ("workspace.access[2].servicePrincipal", "deployer", '"deployer"', "application id", "00000000-"),
    (
        "workspace.access[0]",
        {"level": "CAN_RUN"},
        "no principal",
        "exactly one of group, user",
        "group: data-engineers",
    ),
    ("workspace.protect", "true", '"true"', "true or false", "false"),
    ("notebooks.folder", "/abs", '"/abs"', "relative", "notebooks"),
    ("notebooks.folder", "../other", '"../other"', "inside the project", "notebooks"),
    ("notebooks.folder", "nowhere", "no such folder", "an existing folder", "notebooks.folder"),
    ("notebooks.ignore", "scratch/", '"scratch/"', "a list of patterns", "- scratch/"),
    ("notebooks.ignore[0]", "!", '"!"', "patterns", "scratch/"),
]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project folder with a few notebooks."""
    return make_project(tmp_path)


@pytest.mark.parametrize("wrong", WRONG, ids=[f"{path}={value!r:.30}" for path, value, *_ in WRONG])
def test_a_wrong_value_is_reported_with_key_value_rule_and_remedy(
    project: Path, wrong: tuple[str, Any, str, str, str]
) -> None:
    path, value, found, allowed, remedy = wrong
    raw = changed(path.replace("[", ".").replace("]", ""), value)
    environment = {} if path.startswith("services") else ENVIRONMENT
    with pytest.raises(SettingsError) as raised:
        parse(raw, stack="test", environment=environment, root=project)
    (problem,) = [problem for problem in raised.value.problems if problem.key == f"databricks-cicd:{path}"]
    assert found in problem.found
    assert allowed in problem.allowed
    assert remedy in problem.remedy
    for words in (problem.key, problem.found.splitlines()[0], problem.allowed.splitlines()[0]):
        assert words in str(raised.value)


def test_a_wrong_value_is_the_only_thing_reported(project: Path) -> None:
    for path, value, *_ in WRONG:
        environment = {} if path.startswith("services") else ENVIRONMENT
        message = mistakes(changed(path.replace("[", ".").replace("]", ""), value), project, environment=environment)
        assert "have a mistake" in message, message


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("workspac", "workspace"),
        ("gate.timeoutHour", "timeoutHours"),
        ("gate.timeouthours", "timeoutHours"),
        ("controlPlane.project.nme", "name"),
        ("jobs.daily.schedule.timezone", "timeZone"),
        ("jobs.daily.tasks.load.retris", "retries"),
        ("jobs.daily.clusters.big.nodetype", "nodeType"),
        ("jobDefaults.tag", "tags"),
        ("workspace.access.0.lvel", "level"),
    ],
)
def test_a_misspelt_key_is_reported_with_the_one_that_was_meant(project: Path, path: str, meant: str) -> None:
    message = mistakes(changed(path, "x"), project)
    assert f"an unknown key '{path.rpartition('.')[2]}' with the value \"x\"" in message
    assert f"did you mean '{meant}'?" in message


def test_an_unknown_key_is_reported_with_the_known_ones_and_the_way_to_remove_it(project: Path) -> None:
    message = mistakes(changed("gate.colour", "red"), project)
    assert "databricks-cicd:gate.colour" in message
    assert "one of approvers, minimumApprovals" in message
    assert "pulumi config rm --stack test --path 'databricks-cicd:gate.colour'" in message


def test_a_key_set_without_path_is_explained(project: Path) -> None:
    message = mistakes({**FULL, "gate.timeoutHours": 5}, project)
    assert "pulumi config set --stack test --path 'databricks-cicd:gate.timeoutHours' 5" in message


def test_two_principals_in_one_entry_are_refused(project: Path) -> None:
    message = mistakes(changed("workspace.access.0.user", "dana@example.com"), project)
    assert "databricks-cicd:workspace.access[0]\n" in message
    assert "group and user together" in message


def test_a_misspelt_namespace_is_reported(project: Path) -> None:
    message = mistakes({**FULL, "databrick-cicd:gate": {}}, project)
    assert "databrick-cicd:gate" in message
    assert "did you mean 'databricks-cicd:gate'?" in message


def test_a_credential_in_the_stack_file_is_refused_and_not_shown(project: Path) -> None:
    message = mistakes({**FULL, "databricks:token": "canary-4711"}, project)
    assert "set the variable DATABRICKS_TOKEN" in message
    assert "canary-4711" not in message


def test_a_credential_in_an_address_is_refused_and_not_shown(project: Path) -> None:
    address = "https://somebody:canary-4711@dev.azure.com/contoso"
    for raw, environment in (
        (changed("services.organizationUrl", address), {}),
        (FULL, {"AZDO_ORG_SERVICE_URL": address}),
    ):
        message = mistakes(raw, project, environment=environment)
        assert "dev.azure.com/contoso" in message
        assert "canary-4711" not in message


def test_provider_settings_that_compete_with_ours_are_refused(project: Path) -> None:
    message = mistakes({**FULL, "azuredevops:orgServiceUrl": "https://dev.azure.com/other"}, project)
    assert "one place for it: databricks-cicd:services.organizationUrl" in message


@pytest.mark.parametrize(
    ("setting", "variable"), [("organizationUrl", "AZDO_ORG_SERVICE_URL"), ("workspaceHost", "DATABRICKS_HOST")]
)
def test_an_address_that_is_nowhere_is_missing(project: Path, setting: str, variable: str) -> None:
    environment = {key: value for key, value in ENVIRONMENT.items() if key != variable}
    message = mistakes(without("services"), project, environment=environment)
    assert f"nothing, and the environment variable {variable} isn't set either" in message
    assert f"pulumi config set --stack test --path 'databricks-cicd:services.{setting}' https://" in message
    assert f"export {variable}=https://" in message


@pytest.mark.parametrize(
    ("setting", "variable", "other"),
    [
        ("organizationUrl", "AZDO_ORG_SERVICE_URL", "https://dev.azure.com/fabrikam"),
        ("workspaceHost", "DATABRICKS_HOST", "https://adb-9.9.azuredatabricks.net"),
    ],
)
def test_two_addresses_that_differ_are_refused(project: Path, setting: str, variable: str, other: str) -> None:
    message = mistakes(FULL, project, environment={**ENVIRONMENT, variable: other})
    assert f"databricks-cicd:services.{setting}" in message
    assert f'but the environment variable {variable} says "{other}"' in message
    assert f"unset {variable}" in message


def test_a_wrong_address_in_a_variable_names_the_variable(project: Path) -> None:
    message = mistakes(FULL, project, environment={**ENVIRONMENT, "DATABRICKS_HOST": "http://adb.example"})
    assert "DATABRICKS_HOST (environment variable)" in message
    assert "export DATABRICKS_HOST=https://" in message


def test_a_missing_folder_says_how_to_set_one(project: Path) -> None:
    message = mistakes(without("workspace"), project)
    assert "nothing (the key is missing)" in message
    assert "pulumi config set --stack test --path 'databricks-cicd:workspace.folder' /bike-sharing-test" in message


@pytest.mark.parametrize("folder", ["/Shared/bikes", "/Workspace/Shared/bikes", "/shared/bikes"])
def test_a_shared_folder_is_refused_for_production(project: Path, folder: str) -> None:
    message = mistakes(changed("workspace.folder", folder, PRODUCTION), project, stack="prod")
    assert f'"{folder}"' in message
    assert "a folder outside /Shared" in message
    assert "'databricks-cicd:workspace.allowShared' true" in message


@pytest.mark.parametrize("theirs", ["/bikes", "/bikes/production", "/Workspace/bikes/", "/BIKES"])
def test_the_folder_of_another_stack_is_refused_and_so_is_one_inside_the_other(project: Path, theirs: str) -> None:
    (project / "Pulumi.prod.yaml").write_text(f"config:\n  databricks-cicd:workspace:\n    folder: {theirs}\n")
    message = mistakes(FULL, project)
    assert f'"/bikes", while stack \'prod\' has "{theirs}" in the same workspace' in message
    assert "a folder of its own for each stack" in message
    assert "'databricks-cicd:workspace.folder' /bike-sharing-test" in message


@pytest.mark.parametrize("theirs", ["Bikes", "BIKES"])
def test_only_one_stack_owns_the_control_plane_of_a_project(project: Path, theirs: str) -> None:
    content = f"config:\n  databricks-cicd:controlPlane: {{project: {{name: {theirs}}}}}\n"
    (project / "Pulumi.prod.yaml").write_text(content)
    message = mistakes(FULL, project)
    assert "the control plane of project \"Bikes\", which stack 'prod' owns" in message
    assert "pulumi config rm --stack test --path 'databricks-cicd:controlPlane'" in message


def test_the_same_principal_twice_is_refused(project: Path) -> None:
    access = [
        {"group": "readers", "level": "CAN_READ"},
        {"user": "dana@example.com", "level": "CAN_READ"},
        {"user": "Dana@Example.com", "level": "CAN_RUN"},
        {"group": "readers", "level": "CAN_RUN"},
    ]
    message = mistakes(changed("workspace.access", access), project)
    assert '"Dana@Example.com", which already stands at workspace.access[1]' in message
    assert '"readers", which already stands at workspace.access[0]' in message
    assert "pulumi config rm --stack test --path 'databricks-cicd:workspace.access[3]'" in message


def test_a_stack_cant_read_the_control_plane_from_itself(project: Path) -> None:
    message = mistakes(without("controlPlane"), project)
    assert '"test", which is this stack itself' in message
    assert "databricks-cicd:controlPlane:" in message


@pytest.mark.parametrize("raw", [{}, {"environment": "", "jobs": {}, "controlPlane": {}, "controlPlaneStack": ""}])
def test_a_stack_without_settings_isnt_set_up(project: Path, raw: dict[str, Any]) -> None:
    (project / "Pulumi.prod.yaml").write_text("config: {'databricks-cicd:environment': production}")
    (project / "Pulumi.tset.yaml").write_text("encryptionsalt: v1:x\n")
    message = mistakes(raw, project, stack="tset", environment={})
    assert "stack 'tset' isn't set up" in message
    assert "did you mean --stack prod?" in message
    assert "write Pulumi.tset.yaml" in message
    assert "have a mistake" in message


def test_all_mistakes_are_reported_at_once(project: Path) -> None:
    (project / "notebooks" / "broken.ipynb").write_text("{")
    raw = changed("gate.timeoutHours", "x", changed("workspace.folder", "y", changed("jobs.daily.retries", -1)))
    message = mistakes({**raw, "wrkspace": 1}, project)
    assert "have 5 mistakes. Nothing was created or changed." in message
    for key in ("gate.timeoutHours", "workspace.folder", "jobs.daily.retries", "wrkspace", "notebooks.folder"):
        assert f"databricks-cicd:{key}\n" in message


def test_mistakes_in_the_notebooks_are_reported_with_the_file(project: Path) -> None:
    (project / "notebooks" / "report.py").write_text("# Databricks notebook source\n")
    message = mistakes(FULL, project)
    assert "databricks-cicd:notebooks.folder" in message
    assert "(report.sql): it becomes 'report' in the workspace, and so does report.py" in message
    assert "rename one of them" in message


@pytest.mark.parametrize("access", [None, []])
def test_a_protected_stack_without_access_is_refused_since_nothing_would_keep_it_from_being_emptied(
    project: Path, access: list[Any] | None
) -> None:
    workspace = {"folder": "/bikes", "protect": True} | ({} if access is None else {"access": access})
    raw = changed("workspace", workspace)
    with pytest.raises(SettingsError) as raised:
        parse(raw, stack="test", environment=ENVIRONMENT, root=project)
    (problem,) = raised.value.problems
    assert problem.key == "databricks-cicd:workspace.access"
    assert "level: CAN_READ" in problem.remedy
    assert "'databricks-cicd:workspace.protect' false" in problem.remedy

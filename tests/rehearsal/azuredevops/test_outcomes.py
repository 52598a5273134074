"""What a run leaves behind: artifacts, test results, coverage, tags, leases, and records of deployments."""

import io
import json
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from azure.devops.exceptions import AzureDevOpsServiceError

from rehearsal.azuredevops import artifacts, create_app, environments, retention
from rehearsal.azuredevops.context import Service
from rehearsal.azuredevops.errors import ServiceError
from rehearsal.azuredevops.users import ADMINISTRATOR, BUILD_SERVICE, DANA, NOBODY
from rehearsal.service import Background
from rehearsal.store import Document
from tests.rehearsal.azuredevops.deployments import LOCK, Deployments
from tests.rehearsal.azuredevops.organization import CONTROL_TOKEN, CREDENTIALS, SOCKETS_LEFT_OPEN, Organization

pytestmark = SOCKETS_LEFT_OPEN
COBERTURA = (
    '<coverage line-rate="0.9" lines-covered="{0}" lines-valid="{1}" branches-covered="{2}" branches-valid="{3}"/>'
)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("outcomes")


@pytest.fixture(scope="module")
def organization(state: Path) -> Iterator[Organization]:
    with Background(create_app(state, control_token=CONTROL_TOKEN, credentials=CREDENTIALS)) as root:
        yield Organization(root)


@pytest.fixture(scope="module")
def service(organization: Organization, state: Path) -> Iterator[Service]:
    service = Service(state, CREDENTIALS)
    yield service
    service.store.close()


@pytest.fixture
def deployments(organization: Organization, service: Service, project: Any, repository: Any) -> Deployments:
    return Deployments.begun(organization, service, project, repository)


@pytest.fixture
def run(deployments: Deployments) -> Document:
    return deployments.run(queuedAt="2026-11-23T09:00:00.000Z", tags=[])


def packed(**files: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/"), content)
    return buffer.getvalue()


def downloaded(build: Any, project: Any, run: Document, name: str) -> zipfile.ZipFile:
    stream = build.get_artifact_content_zip(project.id, run["id"], name)
    return zipfile.ZipFile(io.BytesIO(b"".join(stream)))


def test_an_artifact_comes_back_byte_for_byte_in_a_folder_of_its_name(
    organization: Organization, service: Service, project: Any, run: Document, tmp_path: Path
) -> None:
    file = tmp_path / "release.zip"
    with zipfile.ZipFile(file, "w") as archive:
        executable = zipfile.ZipInfo("bin/run.sh")
        executable.external_attr = 0o100755 << 16
        archive.writestr(executable, "#!/bin/sh\n")
        archive.writestr("manifest.json", b"\x00\xff{}")
    artifacts.keep(service, project.id, run["id"], "release", file, source="job")
    build = organization.clients().get_build_client()
    assert [each.name for each in build.get_artifacts(project.id, run["id"])] == ["release"]
    found = build.get_artifact(project.id, run["id"], "Release")
    assert (found.resource.type, found.source, found.resource.properties["artifactsize"]) == (
        "PipelineArtifact",
        "job",
        "14",
    )
    with downloaded(build, project, run, "release") as archive:
        assert archive.namelist() == ["release/bin/run.sh", "release/manifest.json"]
        assert archive.read("release/manifest.json") == b"\x00\xff{}"
        assert archive.getinfo("release/bin/run.sh").external_attr >> 16 == 0o100755
    with organization.http() as http:
        assert http.get(found.resource.download_url).headers["content-type"] == "application/zip"
        one = http.get(found.resource.url + "&$format=file&subPath=/bin/run.sh")
        assert (one.text, one.headers["x-content-type-options"]) == ("#!/bin/sh\n", "nosniff")


def test_an_artifact_never_changes(service: Service, project: Any, run: Document) -> None:
    artifacts.keep(service, project.id, run["id"], "release", packed(a="first"))
    with pytest.raises(ServiceError, match=f"Artifact Release already exists for build {run['id']}"):
        artifacts.keep(service, project.id, run["id"], "Release", packed(a="second"))
    kept = artifacts.find(service.store, project.id, run["id"], "release")
    assert kept is not None
    with zipfile.ZipFile(artifacts.path(service, kept)) as archive:
        assert archive.read("release/a") == b"first"


@pytest.mark.parametrize(
    ("name", "files", "message"),
    [
        ("a/b", {"a": ""}, "artifact name"),
        ("", {"a": ""}, "artifact name"),
        ("a", None, "is no zip file"),
        ("a", {"..__outside": "x"}, "leads out of the artifact"),
        ("a", {"__etc__passwd": "x"}, "leads out of the artifact"),
    ],
)
def test_an_artifact_that_makes_no_sense_is_refused_and_leaves_nothing(  # noqa: PLR0917 - fixtures and parameters
    service: Service, project: Any, run: Document, name: str, files: dict[str, str] | None, message: str
) -> None:
    content = b"no zip" if files is None else packed(**files)
    before = sorted(service.artifacts.iterdir())
    with pytest.raises(ServiceError, match=message):
        artifacts.keep(service, project.id, run["id"], name, content)
    assert sorted(service.artifacts.iterdir()) == before
    assert artifacts.of_run(service.store, project.id, run["id"]) == []


def test_what_a_killed_service_left_of_an_artifact_is_gone_when_it_starts_again(tmp_path: Path) -> None:
    service = Service(tmp_path, CREDENTIALS)
    kept = artifacts.keep(service, "project", 1, "release", packed(a="first"))
    for left in ("half.partial", "unknown.zip"):
        (service.artifacts / left).write_bytes(b"PK")
    service.store.close()
    create_app(tmp_path, control_token=CONTROL_TOKEN, credentials=CREDENTIALS).close()
    assert [each.name for each in service.artifacts.iterdir()] == [kept["file"]]


def test_artifacts_are_for_those_who_may_see_the_run(
    organization: Organization, service: Service, project: Any, run: Document
) -> None:
    artifacts.keep(service, project.id, run["id"], "release", packed(a="first"))
    with pytest.raises(AzureDevOpsServiceError, match="does not exist"):
        organization.clients(NOBODY).get_build_client().get_artifacts(project.id, run["id"])
    with pytest.raises(AzureDevOpsServiceError, match="The artifact other could not be found"):
        organization.clients(DANA).get_build_client().get_artifact(project.id, run["id"], "other")


def test_a_run_is_deleted_with_its_artifacts_unless_a_lease_keeps_it(
    organization: Organization, service: Service, project: Any, run: Document
) -> None:
    file = artifacts.path(service, artifacts.keep(service, project.id, run["id"], "release", packed(a="first")))
    build = organization.clients().get_build_client()
    with pytest.raises(AzureDevOpsServiceError, match="has not completed"):
        build.delete_build(project.id, run["id"])
    service.store.put("run", f"{project.id}/{run['id']:09}", run | {"status": "completed"})
    wanted = {"daysValid": 1, "definitionId": 1, "ownerId": "delivery", "protectPipeline": False, "runId": run["id"]}
    (lease,) = build.add_retention_leases([wanted], project.id)
    with pytest.raises(AzureDevOpsServiceError, match="retained by a lease"):
        build.delete_build(project.id, run["id"])
    with pytest.raises(AzureDevOpsServiceError, match="Delete builds"):
        organization.clients(DANA).get_build_client().delete_build(project.id, run["id"])
    assert file.exists()
    build.delete_retention_leases_by_id(project.id, [lease.lease_id])
    build.delete_build(project.id, run["id"])
    assert not file.exists()
    with pytest.raises(AzureDevOpsServiceError, match="could not be found"):
        build.get_artifacts(project.id, run["id"])


def test_a_deleted_project_takes_along_what_its_runs_left(
    organization: Organization, service: Service, deployments: Deployments, project: Any, run: Document
) -> None:
    file = artifacts.path(service, artifacts.keep(service, project.id, run["id"], "release", packed(a="first")))
    deployments.check(LOCK, {})
    assert deployments.advance(run).state == "passed"
    test = organization.clients().get_test_client()
    made = test.create_test_run({"name": "unit tests", "build": {"id": str(run["id"])}}, project.id)
    test.add_test_results_to_test_run(results("Passed"), project.id, made.id)
    core = organization.clients().get_core_client()
    assert organization.wait(core.queue_delete_project(project.id)) == "succeeded"
    assert not file.exists()
    for kind in ("artifact", "gate", "lock", "test-run", "test-result"):
        assert service.store.all(kind, f"{project.id}/") == [], kind


def test_tags_are_added_once_and_removed(organization: Organization, project: Any, run: Document) -> None:
    build = organization.clients().get_build_client()
    assert build.add_build_tag(project.id, run["id"], "deployed to test") == ["deployed to test"]
    assert build.add_build_tag(project.id, run["id"], "100%25/x") == ["deployed to test", "100%25/x"]
    assert build.delete_build_tag(project.id, run["id"], "100%25/x") == ["deployed to test"]
    assert build.add_build_tags(["Deployed to test", "v1.2"], project.id, run["id"]) == ["deployed to test", "v1.2"]
    changed = {"tagsToAdd": ["a/b"], "tagsToRemove": ["V1.2"]}
    assert build.update_build_tags(changed, project.id, run["id"]) == ["deployed to test", "a/b"]
    assert build.get_tags(project.id) == ["a/b", "deployed to test"]
    assert build.delete_build_tag(project.id, run["id"], "deployed to test") == ["a/b"]
    assert build.get_build_tags(project.id, run["id"]) == ["a/b"]
    with pytest.raises(AzureDevOpsServiceError, match="is not valid"):
        build.add_build_tags([" "], project.id, run["id"])
    with pytest.raises(AzureDevOpsServiceError, match="Update build information"):
        organization.clients(DANA).get_build_client().add_build_tag(project.id, run["id"], "mine")


@pytest.mark.parametrize("user", [ADMINISTRATOR, BUILD_SERVICE])
def test_a_lease_keeps_a_run_for_its_days(
    organization: Organization, service: Service, project: Any, run: Document, user: str
) -> None:
    build = organization.clients(user).get_build_client()
    wanted = {"daysValid": 365, "definitionId": 1, "ownerId": "delivery", "protectPipeline": False, "runId": run["id"]}
    (lease,) = build.add_retention_leases([wanted], project.id)
    assert (lease.run_id, lease.owner_id, lease.protect_pipeline) == (run["id"], "delivery", False)
    assert 364 <= (lease.valid_until - datetime.now(UTC)).days <= 365
    kept = service.store.get("project", project.id)
    assert kept is not None
    assert [each["leaseId"] for each in retention.holding(service.store, kept, run["id"])] == [lease.lease_id]
    assert [each.lease_id for each in build.get_retention_leases_for_build(project.id, run["id"])] == [lease.lease_id]
    found = build.get_retention_leases_by_owner_id(project.id, "delivery", 1, run["id"])
    assert [each.lease_id for each in found] == [lease.lease_id]
    assert build.get_retention_leases_by_owner_id(project.id, "somebody else") == []
    minimal = json.dumps({"definitionId": 1, "ownerId": "delivery", "runId": run["id"]})
    found = build.get_retention_leases_by_minimal_retention_leases(project.id, [minimal])
    assert [each.lease_id for each in found] == [lease.lease_id]
    place = f"{project.id}/{lease.lease_id:09}"
    kept_lease = service.store.get("lease", place)
    assert kept_lease is not None
    service.store.put("lease", place, kept_lease | {"validUntil": "2026-01-01T00:00:00.000Z"})
    assert retention.holding(service.store, kept, run["id"]) == []
    changed = build.update_retention_lease({"daysValid": 1, "protectPipeline": True}, project.id, lease.lease_id)
    assert ((changed.valid_until - datetime.now(UTC)).days, changed.protect_pipeline) == (0, True)
    build.delete_retention_leases_by_id(project.id, [lease.lease_id])
    with pytest.raises(AzureDevOpsServiceError, match="could not be found"):
        build.get_retention_lease(project.id, lease.lease_id)
    assert retention.holding(service.store, kept, run["id"]) == []


def test_a_lease_that_makes_no_sense_or_that_somebody_may_not_make_is_refused(
    organization: Organization, project: Any, run: Document
) -> None:
    wanted = {"daysValid": 1, "definitionId": 1, "ownerId": "delivery", "protectPipeline": False, "runId": run["id"]}
    build = organization.clients().get_build_client()
    for change, message in (
        ({"daysValid": 0}, "daysValid"),
        ({"definitionId": 2}, "is not one of the definition 2"),
        ({"runId": 4711}, "could not be found"),
        ({"ownerId": ""}, "ownerId"),
    ):
        with pytest.raises(AzureDevOpsServiceError, match=message):
            build.add_retention_leases([wanted | change], project.id)
    with pytest.raises(AzureDevOpsServiceError, match="Retain indefinitely"):
        organization.clients(DANA).get_build_client().add_retention_leases([wanted], project.id)
    assert build.get_retention_leases_for_build(project.id, run["id"]) == []


def test_an_environment_tells_what_was_deployed_to_it(
    organization: Organization, deployments: Deployments, project: Any
) -> None:
    first, second = (deployments.run(queuedAt="2026-11-23T09:00:00.000Z") for _ in range(2))
    environment, service = deployments.environment, deployments.service
    job = {"name": "deploy", "attempt": 2, "startTime": "2026-11-23T09:01:00.000Z"}
    for run, result in ((first, "succeeded"), (second, "failed")):
        environments.record(service, deployments.project, environment, run, "Production", job | {"result": result})
    agents = organization.clients(DANA).get_task_agent_client()
    found = agents.get_environment_deployment_execution_records(project.id, environment["id"])
    assert [(each.owner.id, each.result) for each in found] == [(second["id"], "failed"), (first["id"], "succeeded")]
    newest = found[0]
    assert (newest.stage_name, newest.job_name, newest.stage_attempt) == ("Production", "deploy", 2)
    assert (newest.definition.name, newest.owner.name) == ("release 1", second["number"])
    assert newest.start_time == datetime(2026, 11, 23, 9, 1, tzinfo=UTC)
    with pytest.raises(AzureDevOpsServiceError, match="does not exist"):
        organization.clients(NOBODY).get_task_agent_client().get_environment_deployment_execution_records(
            project.id, environment["id"]
        )
    organization.clients().get_task_agent_client().delete_environment(project.id, environment["id"])
    assert service.store.all("deployment-record", f"{project.id}/") == []


def results(*outcomes: str) -> list[dict[str, Any]]:
    return [
        {
            "testCaseTitle": f"test_{number}",
            "automatedTestName": f"tests.test_{number}",
            "automatedTestStorage": "pytest",
            "outcome": outcome,
            "state": "Completed",
            "durationInMs": 250,
            **({"errorMessage": "assert 1 == 2", "stackTrace": "line 3"} if outcome == "Failed" else {}),
        }
        for number, outcome in enumerate(outcomes)
    ]


def test_published_tests_are_counted_and_found_by_build(
    organization: Organization, deployments: Deployments, project: Any, run: Document
) -> None:
    test = organization.clients(BUILD_SERVICE).get_test_client()
    body = {"name": "unit tests", "automated": True, "state": "InProgress", "build": {"id": str(run["id"])}}
    made = test.create_test_run(body, project.id)
    added = test.add_test_results_to_test_run(results("Passed", "Failed", "NotExecuted", "Passed"), project.id, made.id)
    assert [each.id for each in added] == [100000, 100001, 100002, 100003]
    ended = test.update_test_run({"state": "Completed"}, project.id, made.id)
    assert (ended.state, ended.total_tests, ended.passed_tests, ended.unanalyzed_tests) == ("Completed", 4, 2, 1)
    other = test.create_test_run(body | {"build": {"id": str(deployments.run()["id"])}}, project.id)
    reader = organization.clients(DANA).get_test_client()
    (found,) = reader.get_test_runs(project.id, build_uri=f"vstfs:///Build/Build/{run['id']}")
    assert (found.id, found.name, found.is_automated, found.build.id) == (made.id, "unit tests", True, str(run["id"]))
    assert {each.id for each in reader.get_test_runs(project.id)} == {made.id, other.id}
    (failed,) = reader.get_test_results(project.id, made.id, outcomes=["Failed"])
    assert (failed.test_case_title, failed.error_message, failed.duration_in_ms) == ("test_1", "assert 1 == 2", 250)
    assert reader.get_test_result_by_id(project.id, made.id, failed.id).stack_trace == "line 3"
    assert [each.test_case_title for each in reader.get_test_results(project.id, made.id, skip=1, top=2)] == [
        "test_1",
        "test_2",
    ]
    with organization.http(DANA) as http:
        listed = http.get(f"/{project.id}/_apis/test/ResultsByBuild", params={"buildId": run["id"]}).json()
        assert [each["outcome"] for each in listed["value"]] == ["Passed", "Failed", "NotExecuted", "Passed"]
        summary = http.get(f"/{project.id}/_apis/test/ResultSummaryByBuild", params={"buildId": run["id"]}).json()
    analysis = summary["aggregatedResultsAnalysis"]
    assert (analysis["totalTests"], analysis["duration"]) == (4, "00:00:01.0000000")
    assert {name: each["count"] for name, each in analysis["resultsByOutcome"].items()} == {
        "passed": 2,
        "failed": 1,
        "notexecuted": 1,
    }


def test_results_can_be_corrected_and_test_runs_deleted(
    organization: Organization, project: Any, run: Document
) -> None:
    test = organization.clients().get_test_client()
    made = test.create_test_run({"name": "unit tests", "build": {"id": str(run["id"])}}, project.id)
    test.add_test_results_to_test_run(results("Failed"), project.id, made.id)
    test.update_test_results([{"id": 100000, "outcome": "Passed", "comment": "flaky"}], project.id, made.id)
    statistic = test.get_test_run_statistics(project.id, made.id)
    assert [(each.outcome, each.count) for each in statistic.run_statistics] == [("Passed", 1)]
    kept = test.get_test_result_by_id(project.id, made.id, 100000)
    assert (kept.comment, kept.error_message) == ("flaky", "assert 1 == 2")
    test.delete_test_run(project.id, made.id)
    with pytest.raises(AzureDevOpsServiceError, match="cannot be found"):
        test.get_test_results(project.id, made.id)


def test_test_results_that_make_no_sense_are_refused(organization: Organization, project: Any, run: Document) -> None:
    test = organization.clients().get_test_client()
    body = {"name": "unit tests", "build": {"id": str(run["id"])}}
    for change, message in (
        ({"name": ""}, "Name"),
        ({"state": "Resting"}, "state"),
        ({"build": {"id": "4711"}}, "could not be found"),
    ):
        with pytest.raises(AzureDevOpsServiceError, match=message):
            test.create_test_run(body | change, project.id)
    made = test.create_test_run(body, project.id)
    for wrong, message in (
        (results("Splendid"), "outcome"),
        ([], "results"),
        ([{"outcome": "Passed"}], "testCaseTitle"),
    ):
        with pytest.raises(AzureDevOpsServiceError, match=message):
            test.add_test_results_to_test_run(wrong, project.id, made.id)
    with pytest.raises(AzureDevOpsServiceError, match="does not exist"):
        organization.clients(NOBODY).get_test_client().create_test_run(body, project.id)
    assert test.get_test_run_by_id(project.id, made.id).total_tests == 0


def test_coverage_of_several_files_counts_together(
    organization: Organization, service: Service, project: Any, run: Document
) -> None:
    for number, counts in enumerate(((90, 100, 8, 10), (10, 100, 0, 0))):
        place = f"{project.id}/{run['id']:09}/coverage/coverage{number}.xml"
        attached = {"type": "coverage", "name": f"coverage{number}.xml", "record": "job"}
        service.store.put("attachment", place, attached)
        service.store.put_bytes("attachment", place, COBERTURA.format(*counts).encode())
    with organization.http(DANA) as http:
        found = http.get(f"/{project.id}/_apis/test/codecoverage", params={"buildId": run["id"]}).json()
    (data,) = found["coverageData"]
    assert [(each["label"], each["covered"], each["total"]) for each in data["coverageStats"]] == [
        ("Lines", 100, 200),
        ("Branches", 8, 10),
    ]
    listed = organization.clients(DANA).get_test_client().get_build_code_coverage(project.id, run["id"], 7)
    assert listed[0].configuration.id == run["id"]


def test_a_run_without_coverage_has_none(organization: Organization, project: Any, run: Document) -> None:
    with organization.http(DANA) as http:
        found = http.get(f"/{project.id}/_apis/test/codecoverage", params={"buildId": run["id"]}).json()
        assert found["coverageData"] == []
        assert http.get(f"/{project.id}/_apis/test/codecoverage").status_code == 400

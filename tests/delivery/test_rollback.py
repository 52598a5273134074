"""`rollback` and `retain`, against an organisation whose agent does what the test tells it."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from delivery import azure_devops_builds as runs
from delivery.__main__ import main
from delivery.console import Progress, RefusedError
from delivery.retain import retain
from delivery.rollback import find_build, follow, start
from delivery.status_record import Release
from rehearsal.azuredevops.users import BUILD_SERVICE
from tests.delivery.azure_devops_service import CREDENTIALS, Agent, Organization, Pipelines, running


@pytest.fixture(scope="module")
def organization(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Organization]:
    with running(tmp_path_factory.mktemp("organization"), orchestrate=True) as made:
        yield made


@pytest.fixture
def project(organization: Organization) -> Iterator[Pipelines]:
    organization.calm()
    made = Pipelines(organization)
    yield made
    made.close()


@pytest.fixture
def command(project: Pipelines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What every command is told of the project."""
    settings = "config:\n  databricks-cicd:environment: production\n  databricks-cicd:workspace: {folder: /p}\n"
    (tmp_path / "Pulumi.prod.yaml").write_text(settings)
    monkeypatch.setenv("AZDO_ORG_SERVICE_URL", project.organization.url)
    monkeypatch.setenv("AZDO_PERSONAL_ACCESS_TOKEN", CREDENTIALS["administrator"])
    for name in ("SYSTEM_ACCESSTOKEN", "SYSTEM_TEAMPROJECT", "RESOURCES_PIPELINE_BUILD_RUNID"):
        monkeypatch.delenv(name, raising=False)
    return ["--project", str(tmp_path), "--project-name", project.name]


def test_an_earlier_build_is_found_by_all_that_people_call_it(project: Pipelines) -> None:
    wanted, _ = project.build(), project.build()
    version = f"2026.11.23.2205+{wanted.commit[:12]}"
    for name in (str(wanted.id), wanted.number, wanted.commit, wanted.commit[:12], version):
        assert find_build(project.client, name).id == wanted.id


def test_a_digest_is_looked_up_in_the_record_of_releases(project: Pipelines) -> None:
    wanted, _ = project.build(), project.build()

    def recorded() -> list[Release]:
        fields: dict[str, Any] = {"version": "v", "commit": "", "branch": None, "deployed_at": None, "by": None}
        return [
            Release(**fields, content=letter * 64, digest=digest * 64, build_id=id_, build="", approvers=())
            for letter, digest, id_ in (("a", "b", 4711), ("c", "d", None), ("e", "f", wanted.id))
        ]

    for digest in ("e" * 64, "e" * 12, "f" * 64):
        assert find_build(project.client, digest, recorded=recorded).id == wanted.id
    for digest in ("a" * 64, "c" * 64, "0" * 64):
        with pytest.raises(RefusedError, match="no such build"):
            find_build(project.client, digest, recorded=recorded)


def test_without_the_record_a_digest_can_not_be_looked_up(
    project: Pipelines, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rollback", "--to", "e" * 64, *command]) == 2
    told = capsys.readouterr().err
    assert "the record in /p can't be read (DATABRICKS_HOST: it isn't set" in told
    assert "name the release by its build or its commit" in told


def test_the_release_pipeline_takes_that_builds_artifact_and_no_newer_one(project: Pipelines) -> None:
    wanted, newer = project.build(), project.build()
    run = start(project.client, find_build(project.client, wanted.number))
    job = project.agent.next()
    assert (job.name, job.run_id) == ("to_test", run)
    assert job.pipelines["build"].run_id == wanted.id != newer.id
    project.agent.finish(job)
    assert project.agent.next().predefined["resources.pipeline.build.runName"] == wanted.number


def test_the_artifact_is_fetched_as_it_was_published(project: Pipelines, tmp_path: Path) -> None:
    build = project.build()
    for action in ("reset-before", "status"):
        project.organization.fault(action=action, status=503, path="artifacts", method="GET")
    project.client.download_artifact(build.id, "release", tmp_path / "fetched/release")
    files = [each for each in (tmp_path / "fetched").rglob("*") if each.is_file()]
    assert sorted(str(each.relative_to(tmp_path / "fetched")) for each in files) == [
        "release/manifest.json",
        "release/notebooks/a.py",
    ]
    assert (tmp_path / "fetched/release/manifest.json").read_text() == str(build.id)


def test_what_can_not_be_deployed_is_refused_with_the_reason(project: Pipelines) -> None:
    def reason(release: str) -> str:
        with pytest.raises(RefusedError) as caught:
            find_build(project.client, release)
        return str(caught.value)

    assert "no such build" in reason("20200101.1")
    assert "no such build" in reason("2020.01.01.0000+0123456789ab")
    failed = project.build(result="Failed")
    assert f"build {failed.number} is failed" in reason(failed.number)
    empty = project.build(artifact=False)
    assert "hasn't got its artifact any more" in reason(str(empty.id))
    other = project.build(branch="feature")
    assert "refs/heads/main alone is deployed" in reason(other.number)
    assert find_build(project.client, other.number, branch="refs/heads/feature").id == other.id


def test_of_two_builds_of_a_commit_the_one_that_succeeded_is_taken(project: Pipelines) -> None:
    good = project.build()
    assert project.build_again(result="Failed").commit == good.commit
    assert find_build(project.client, good.commit[:12]).id == good.id


def test_a_busy_service_starts_one_run(project: Pipelines) -> None:
    build = project.build()
    project.organization.fault(action="status", status=429, method="POST", path="/runs", headers={"Retry-After": "3"})
    project.organization.fault(action="status", status=503, method="POST", path="/runs")
    run = start(project.client, build)
    assert project.runs_of(project.release_id) == [run]
    assert project.organization.waits == [3.0, 2.0]


def test_a_run_that_may_have_been_started_is_not_started_twice(
    project: Pipelines, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    build = project.build()
    project.organization.fault(action="reset-after", method="POST", path="/runs")
    assert main(["rollback", "--to", build.number, *command]) == 2
    assert "look whether it was done all the same" in capsys.readouterr().err
    assert len(project.runs_of(project.release_id)) == 1


def test_the_command_says_where_to_look(
    project: Pipelines, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    build = project.build()
    assert main(["rollback", "--to", build.number, "--json", *command]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["build"]["commit"] == build.commit
    assert [told["run"]["id"]] == project.runs_of(project.release_id)
    started = runs.get_build(project.client, told["run"]["id"])
    assert started is not None
    assert unquote(told["run"]["url"]) == unquote(started.url)
    assert main(["rollback", "--to", "nothing", *command]) == 1


class Listener(Progress):
    """Keeps what it hears."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []

    def step(self, text: str) -> None:
        self.heard.append(text)


def worked(agent: Agent, *results: str) -> threading.Thread:
    """Takes the next jobs and ends them so, while something else waits for them."""

    def work() -> None:
        for result in results:
            agent.finish(agent.next(), result, "no such\n table" if result == "Failed" else None)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_run_is_followed_through_its_approval(project: Pipelines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("delivery.rollback.SECONDS_BETWEEN_LOOKS", 0.02)
    project.wait_for_approval()
    run = start(project.client, project.build())
    worker = worked(project.agent, "Succeeded", "Succeeded")

    class Approver(Listener):
        def step(self, text: str) -> None:
            super().step(text)
            if text == "stage Production: the approval is pending":
                [approval] = runs.approvals(project.client, runs.timeline(project.client, run))
                project.approve(approval.id)

    listener = Approver()
    ended = follow(project.client, run, listener)
    worker.join()
    assert ended.result == "succeeded"
    for line in (
        "stage Test: succeeded",
        "stage Production: the approval is pending",
        "stage Production: the approval is approved by Avery Approver",
        "stage Production: succeeded",
    ):
        assert line in listener.heard
    assert len(listener.heard) == len(set(listener.heard))


def test_a_run_that_fails_tells_its_errors_and_the_command_fails(
    project: Pipelines, command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("delivery.rollback.SECONDS_BETWEEN_LOOKS", 0.02)
    build = project.build()
    worker = worked(project.agent, "Failed")
    assert main(["rollback", "--to", build.number, "--wait", *command]) == 1
    worker.join()
    told = capsys.readouterr()
    assert "it ended with failed" in told.out
    assert "Deploy: no such table" in told.err


def test_a_build_is_retained_once(
    project: Pipelines, command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    build = project.build()
    monkeypatch.setenv("RESOURCES_PIPELINE_BUILD_RUNID", str(build.id))
    project.organization.fault(action="reset-after", method="POST", path="retention/leases")
    for fresh in (True, False):
        assert main(["retain", "--json", *command]) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["build"], told["new"]) == (build.id, fresh)
    leases = project.client.get("build/retention/leases", query={"runId": build.id})["value"]
    assert {each["ownerId"] for each in leases} == {"databricks-cicd"}
    assert not any(each["protectPipeline"] for each in leases)


@pytest.mark.parametrize(("build", "code"), [("4711", 1), ("main", 2)])
def test_a_build_that_is_not_there_is_not_retained(
    command: list[str], capsys: pytest.CaptureFixture[str], build: str, code: int
) -> None:
    assert main(["retain", "--build", build, *command]) == code
    assert "build" in capsys.readouterr().err


def test_a_build_identity_may_retain(project: Pipelines) -> None:
    build = project.build()
    assert retain(project.organization.client(project.name, BUILD_SERVICE), build.id)[1]

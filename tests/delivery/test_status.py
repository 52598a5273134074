"""`status`: what is deployed where, how it does, and how the environments differ."""

import base64
import json
import socket
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk.service.workspace import ImportFormat

from delivery.__main__ import main
from delivery.rollback import start
from rehearsal.databricks import create_app
from rehearsal.service import Background
from tests.delivery.azure_devops_service import CREDENTIALS as AZURE
from tests.delivery.azure_devops_service import Pipelines
from tests.delivery.azure_devops_service import running as running_organization
from tests.rehearsal.databricks import run_helpers
from tests.rehearsal.databricks.clients import CONTROL_TOKEN, CREDENTIALS, Workspace
from tests.rehearsal.databricks.run_helpers import fake_compute, until

FOLDERS = {"test": "/bike-sharing-test", "production": "/bike-sharing-production"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    state = tmp_path_factory.mktemp("databricks")
    app = create_app(state, control_token=CONTROL_TOKEN, credentials=CREDENTIALS, compute=fake_compute(state))
    with Background(app) as url, Workspace(url, state) as clients:
        yield clients
    app.close()


def release(number: int, **changes: Any) -> dict[str, Any]:
    """A release as it is recorded."""
    return {
        "version": f"2026.11.2{number}.2205+{str(number) * 12}",
        "content": str(number) * 64,
        "digest": "d" * 64,
        "commit": str(number) * 40,
        "branch": "refs/heads/main",
        "build": {"id": number, "number": f"20261123.{number}"},
        "approvers": ["Avery Approver"],
        "deployed_at": f"2026-11-2{number}T22:05:06Z",
        "run": {"id": 40 + number, "number": f"20261123.{number}"},
        "by": "deployer",
    } | changes


class Site:
    """A project's stack files, and what is recorded in the workspace."""

    def __init__(self, workspace: Workspace, folder: Path) -> None:
        self.workspace = workspace
        self.folder = folder
        for stack, environment in (("test", "test"), ("prod", "production")):
            text = f"config:\n  databricks-cicd:environment: {environment}\n"
            text += f"  databricks-cicd:workspace:\n    folder: {FOLDERS[environment]}\n"
            (folder / f"Pulumi.{stack}.yaml").write_text(text)

    def put(self, path: str, document: Any) -> None:
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        api = self.workspace.sdk().workspace
        api.mkdirs(path.rpartition("/")[0])
        encoded = base64.b64encode(content).decode()
        api.import_(path, content=encoded, format=ImportFormat.AUTO, overwrite=True)

    def record(self, environment: str, current: Any, *, state: str = "deployed", **fields: Any) -> None:
        document = {"format": 1, "state": state, "current": current, "attempt": None, "history": []} | fields
        self.put(f"{FOLDERS[environment]}/.release/record.json", document)

    def manifest(self, environment: str, content: str, files: dict[str, str]) -> None:
        told = [{"path": path, "part": "notebooks", "size": 1, "sha256": sha} for path, sha in files.items()]
        told.append({"path": f"tests/{environment}.py", "part": "tests", "size": 1, "sha256": "0"})
        self.put(f"{FOLDERS[environment]}/.release/{content}.json", {"files": told})

    def job(self, name: str, orders: str | None) -> None:
        """A job; with orders it has run once."""
        path = run_helpers.notebook(self.workspace, name.replace(" ", "-"), orders or "exit done")
        job = run_helpers.create(self.workspace, [run_helpers.task("it", path)], name=name)
        if orders:
            run_helpers.run(self.workspace, job)


@pytest.fixture
def site(running: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    running.control("POST", "reset")
    monkeypatch.setenv("DATABRICKS_HOST", running.url)
    monkeypatch.setenv("DATABRICKS_TOKEN", CREDENTIALS["administrator"])
    for name in ("SYSTEM_ACCESSTOKEN", "SYSTEM_COLLECTIONURI", "SYSTEM_TEAMPROJECT"):
        monkeypatch.delenv(name, raising=False)
    return Site(running, tmp_path)


def table(site: Site, capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert main(["status", "--project", str(site.folder)]) == 0
    return capsys.readouterr().out.splitlines()


def document(site: Site, capsys: pytest.CaptureFixture[str], code: int = 0) -> Any:
    assert main(["status", "--json", "--project", str(site.folder)]) == code
    return json.loads(capsys.readouterr().out)


def row(lines: list[str], name: str) -> str:
    [found] = [line for line in lines if line.startswith(f"{name}  ")]
    return " ".join(found.removeprefix(name).split())


def test_release_commit_approver_time_and_health_stand_side_by_side(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.record("test", release(2, approvers=[]))
    site.record("production", release(1))
    site.job("daily (test)", "exit done")
    site.job("daily (production)", "fail it")
    site.job("functional (test)", None)
    site.job("somebody's own", "fail it")
    told = table(site, capsys)
    assert told[0].split() == ["test", "production"]
    assert row(told, "release") == "2026.11.22.2205+222222222222 2026.11.21.2205+111111111111"
    assert row(told, "commit") == "222222222222 111111111111"
    assert row(told, "build") == "20261123.2 20261123.1"
    assert row(told, "deployed") == "2026-11-22 22:05 UTC 2026-11-21 22:05 UTC"
    assert row(told, "approved by") == "nobody was asked Avery Approver"
    assert row(told, "health") == "well failed last: daily"
    assert "test differs from production: another release" in told


def test_files_that_differ_are_named_and_tests_are_no_difference(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, environment, files in (
        (2, "test", {"notebooks/a.py": "1", "notebooks/b.py": "2", "notebooks/new.py": "3"}),
        (1, "production", {"notebooks/a.py": "1", "notebooks/b.py": "9", "notebooks/old.py": "4"}),
    ):
        site.record(environment, release(number))
        site.manifest(environment, str(number) * 64, files)
    told = table(site, capsys)
    assert "test differs from production: 1 new, 1 changed, 1 removed" in told
    for line in ("  + notebooks/new.py", "  ~ notebooks/b.py", "  - notebooks/old.py"):
        assert line in told
    difference = document(site, capsys)["difference"]
    assert difference == {
        "same": False,
        "added": ["notebooks/new.py"],
        "changed": ["notebooks/b.py"],
        "removed": ["notebooks/old.py"],
    }


def test_the_same_release_is_no_difference(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    for environment in FOLDERS:
        site.record(environment, release(1))
    assert "test and production have the same release" in table(site, capsys)


@pytest.mark.parametrize(
    ("state", "health"), [("deploying", "a deployment isn't finished"), ("failed", "the last deployment failed")]
)
def test_a_deployment_that_is_not_finished_is_told_beside_what_is_there(
    site: Site, capsys: pytest.CaptureFixture[str], state: str, health: str
) -> None:
    site.record("production", release(1), state=state, attempt=release(2, error="the table is gone"))
    [_, production] = document(site, capsys)["environments"]
    assert production["current"]["commit"] == "1" * 40
    assert production["health"] == health
    told = table(site, capsys)
    assert f"{state}: 2026.11.22.2205+222222222222" in row(told, "state")
    assert "production: 2026.11.22.2205+222222222222 wasn't deployed: the table is gone" in told


def test_before_the_first_release_nothing_is_there(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    told = table(site, capsys)
    assert row(told, "state") == "nothing nothing"
    assert "test and production differ: one has no release" in told


def test_a_record_that_can_not_be_read_is_told_and_the_rest_as_well(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.record("test", release(1))
    site.put(f"{FOLDERS['production']}/.release/record.json", b"{")
    [test, production] = document(site, capsys, code=2)["environments"]
    assert test["current"]["commit"] == "1" * 40
    assert "record.json" in production["problem"]
    assert production["health"] == "unknown"


def test_it_gets_over_passing_faults(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.record("test", release(1))
    for order in ({"action": "status", "status": 429, "headers": {"Retry-After": "0"}}, {"action": "reset-before"}):
        site.workspace.control("POST", "faults", json={"path": "workspace/export", **order})
    assert document(site, capsys)["environments"][0]["current"]["commit"] == "1" * 40


def test_a_workspace_that_is_down_is_told_soon_and_by_its_address(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as nobody:  # bound, so that no other process gets it, and not listening
        nobody.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{nobody.getsockname()[1]}"
        monkeypatch.setenv("DATABRICKS_HOST", f"http://{host}")
        monkeypatch.setattr("delivery.status.PATIENCE_SECONDS", 1)
        environments = document(site, capsys, code=2)["environments"]
    assert [host in each["problem"] for each in environments] == [True, True]


def test_without_azure_devops_the_releases_on_their_way_are_said_to_be_unknown(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    told = document(site, capsys)
    assert "AZDO_ORG_SERVICE_URL" in told["pipeline"]
    assert told["on_their_way"] == []


def test_the_releases_that_there_were_are_listed(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.record("production", release(2), history=[release(2), release(1)])
    [_, production] = document(site, capsys)["environments"]
    assert [each["build"] for each in production["history"]] == ["20261123.2", "20261123.1"]


def test_a_release_that_waits_for_its_approval_is_on_its_way(
    site: Site, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_organization(tmp_path / "organization", orchestrate=True) as organization:
        project = Pipelines(organization)
        project.wait_for_approval()
        run = start(project.client, project.build())
        project.agent.finish(project.agent.next())
        monkeypatch.setenv("AZDO_ORG_SERVICE_URL", organization.url)
        monkeypatch.setenv("AZDO_PERSONAL_ACCESS_TOKEN", AZURE["administrator"])
        monkeypatch.setenv("SYSTEM_TEAMPROJECT", project.name)
        [on_its_way] = until(lambda: [each for each in document(site, capsys)["on_their_way"] if each["waits"]])
        assert (on_its_way["stage"], on_its_way["waits"]) == ("Production", "approval")
        assert f"buildId={run}" in on_its_way["page"]
        assert any("stage Production waits for approval" in line for line in table(site, capsys))
        project.close()


class Reader(HTMLParser):
    """The page's text and its links; and whether each element is closed by its own end."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.links: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_has_what_the_table_has_and_nothing_from_elsewhere(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.record("test", release(2, version="<script>alert(1)</script>", approvers=["Ann & <b>Bob</b>"]))
    site.record("production", release(1), history=[release(1)])
    site.job("daily (production)", "exit done")
    page = site.folder / "site/status.html"
    assert main(["status", "--html", str(page), "--project", str(site.folder)]) == 0
    capsys.readouterr()
    reader = Reader()
    reader.feed(page.read_text(encoding="utf-8"))
    for text in ("<script>alert(1)</script>", "Ann & <b>Bob</b>", "111111111111", "SUCCESS", "2026-11-21 22:05 UTC"):
        assert text in reader.text
    assert not {"script", "b", "img", "link"} & set(reader.tags)
    assert {link.split("#")[0].rstrip("/") for link in reader.links} >= {site.workspace.url}
    assert all(link.startswith(site.workspace.url) for link in reader.links)
    assert CREDENTIALS["administrator"] not in page.read_text(encoding="utf-8")

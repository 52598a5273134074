"""`python -m delivery preview` with the real engine: the comment in a pull request, over several pushes.

It signs in as who may read and comment, and nothing else: as a developer in Azure DevOps, and in the workspace as the
service principal that the stacks let read.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.engine.system import System

pytestmark = pytest.mark.engine

USER = "dana"
READER = "previewer"
OURS = "databricks-cicd.preview"


class PullRequest:
    """A pull request of the deployed project, which `push` changes, and what its readers see of the preview."""

    def __init__(self, system: System, reports: Path, branch: str) -> None:
        self.system, self.reports, self.branch = system, reports, branch
        self.outputs = system.project.outputs("test")
        system.project.git("checkout", "--quiet", "-b", branch)
        self.number = 0

    def push(self, message: str) -> None:
        """Commits what was changed, and pushes it as the developer."""
        project = self.system.project
        project.commit(message)
        subprocess.run(
            ["git", "push", "--quiet", self.outputs["repository_url"], f"HEAD:refs/heads/{self.branch}"],
            cwd=project.path,
            env=self.system.git_environment(USER),
            check=True,
        )
        if not self.number:
            source = f"refs/heads/{self.branch}"
            body = {"sourceRefName": source, "targetRefName": "refs/heads/main", "title": "A change"}
            made = self._git().create_pull_request(body, self.outputs["repository_id"], self.outputs["project_id"])
            self.number = made.pull_request_id

    def preview(self, code: int = 0, stacks: tuple[str, ...] = ("test", "prod")) -> dict[str, Any]:
        """Runs the command as the pipeline does, and gives its JSON."""
        system = self.system
        environment = system.project.environment | {
            "AZDO_PERSONAL_ACCESS_TOKEN": system.azure.tokens[USER],
            "DATABRICKS_TOKEN": system.workspace.tokens[READER],
            "SYSTEM_ACCESSTOKEN": system.azure.tokens[USER],
            "SYSTEM_TEAMPROJECT": self.outputs["project_id"],
            "SYSTEM_PULLREQUEST_PULLREQUESTID": str(self.number),
            "SYSTEM_PULLREQUEST_SOURCECOMMITID": system.project.git("rev-parse", "HEAD"),
            "BUILD_BUILDID": "17",
            "BUILD_BUILDNUMBER": "20261123.4",
        }
        chosen = [argument for stack in stacks for argument in ("--stack", stack)]
        arguments = [*chosen, "--comment", "--report", str(self.reports), "--json"]
        done = subprocess.run(
            [sys.executable, "-B", "-m", "delivery", "preview", *arguments],
            cwd=system.project.path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        said = done.stdout + done.stderr + "".join(path.read_text() for path in self.reports.iterdir())
        for token in (*system.azure.tokens.values(), *system.workspace.tokens.values()):
            assert token not in said
        return dict(json.loads(done.stdout))

    def comment(self) -> tuple[str, str | None]:
        """Text and status of the one thread of the preview."""
        found = self._git().get_threads(self.outputs["repository_id"], self.number, self.outputs["project_id"])
        [thread] = [each for each in found if OURS in (each.properties or {})]
        [comment] = thread.comments
        return comment.content, thread.status

    def _git(self) -> Any:
        return self.system.azure_clients(USER).get_git_client()


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # Microsoft's client leaves its sockets to the collector
def test_one_comment_follows_a_pull_request_from_a_notebook_over_an_approver_to_nothing(
    deployed: System, tmp_path: Path
) -> None:
    pull = PullRequest(deployed, tmp_path / "report", "feature")
    project = deployed.project
    # The project's build identity comes with its first run; README has the administrator run `up` once more after it.
    (project.path / "NOTES.md").write_text("a change that deploys nothing\n")
    pull.push("begin")
    again = project.up("test")
    assert again, again.text
    before = {path: path.read_bytes() for path in project.path.glob("Pulumi.*.yaml")}
    notebook = project.path / "notebooks" / "publish.py"
    original = notebook.read_text()
    edited = original + "\n# COMMAND ----------\n\nprint('```<b>edited')\n"

    # A changed notebook: its difference by cells, once for both stacks; nobody has to look at more than that.
    notebook.write_text(edited)
    pull.push("change a notebook")
    deployed.azure.forget()
    deployed.workspace.forget()
    told = pull.preview()
    assert told["comment"] == "created"
    assert {(each["stack"], each["operation"]) for each in told["changes"]} == {("test", "update"), ("prod", "update")}
    text, status = pull.comment()
    assert "`notebooks/publish.py` is changed in test and prod: +1 −0 lines" in text
    assert text.count("+print('```<b>edited')") == 1
    assert "buildId=17&view=artifacts" in text
    assert status is None
    assert_nothing_was_changed_but_comments(deployed)
    assert {path: path.read_bytes() for path in before} == before

    # Fewer approvers: flagged, and the thread waits for somebody.
    notebook.write_text(original)
    project.settings("prod", without_one_approver)
    pull.push("take an approver away")
    told = pull.preview()
    assert told["comment"] == "edited"
    assert [(each["area"], each["reason"]) for each in told["changes"]] == [
        ("gate", "approvers: 2 before, 1 after (avery@rehearsal.example)")
    ]
    text, status = pull.comment()
    assert "approvers: 2 before, 1 after" in text
    assert "administrator runs pulumi up --stack prod" in text
    assert "edited" not in text
    assert status == "active"

    # A mistake in the settings: the comment says the program's own words, and the command fails.
    project.settings("prod", lambda settings: settings.update(environment="nowhere at all!"))
    pull.push("break the settings")
    assert pull.preview(code=1)["comment"] == "edited"
    text, status = pull.comment()
    assert "nowhere at all!" in text
    assert status == "active"

    # Everything as it is deployed: other commits alone are nothing to see.
    for path, content in before.items():
        path.write_bytes(content)
    pull.push("take all of it back")
    told = pull.preview()
    assert (told["comment"], told["changes"], told["empty"]) == ("resolved", [], True)
    text, status = pull.comment()
    assert "nothing to deploy" in text
    assert status == "fixed"
    assert "nothing to deploy" in (tmp_path / "report" / "preview.html").read_text()


LIMIT = 150_000  # characters, which the service takes of a comment


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # as above
def test_a_hundred_changed_notebooks_come_in_one_comment_that_says_what_it_leaves_out(
    deployed: System, tmp_path: Path
) -> None:
    change_many(deployed, tmp_path, "hundred", 100, ("test",))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # as above
def test_a_thousand_changed_notebooks_come_in_one_comment_that_says_what_it_leaves_out(
    deployed: System, tmp_path: Path
) -> None:
    change_many(deployed, tmp_path, "thousand", 1_000, ("test", "prod"))


def change_many(system: System, folder: Path, name: str, number: int, stacks: tuple[str, ...]) -> None:
    """Deploys so many notebooks, changes all but one of them, deletes that one, and takes an access away."""
    project = system.project
    before = project.git("rev-parse", "HEAD")
    pull = PullRequest(system, folder / "report", name)
    write_notebooks(project.path / name, number, "rides")
    for stack in ("test", "prod"):
        project.settings(stack, lambda settings: settings.update(many(name)))
    project.commit("many notebooks")
    system.bring_up(*stacks)

    write_notebooks(project.path / name, number, "trips")
    (project.path / name / "team_00" / "report_0000.py").unlink()
    for stack in stacks:
        project.settings(stack, lambda settings: settings["workspace"]["access"].pop())
    pull.push("change all of them")
    told = pull.preview(stacks=stacks)

    assert told["comment"] == "created"
    assert sum(each["operation"] == "update" for each in told["files"]) == number - 1
    text, status = pull.comment()
    assert status == "active"
    assert LIMIT * 0.9 < len(text) <= LIMIT
    for stack in stacks:
        # The one access less is to look at; a deleted notebook is everyday work.
        assert f"| {stack} | - | {number:,} | - | 1 | 1 |" in text
    parts = ("| stack |", "#### Destroyed", "#### Control plane, gates", "#### Notebooks and files", "#### Text diff")
    assert sorted(parts, key=text.index) == list(parts)
    assert "report_0000` is deleted" in text
    shown = len(re.findall(r"^```diff$", text, re.MULTILINE))
    assert shown > 10
    more = re.search(r"… and ([\d,]+) more differences: see the full report\. (Most of them|They) are in `", text)
    assert more
    assert 0 < int(more[1].replace(",", "")) < number - shown
    assert "buildId=17&view=artifacts" in text
    whole = (folder / "report" / "preview.md").read_text()
    assert len(re.findall(r"^```diff$", whole, re.MULTILINE)) == number - 1

    project.git("checkout", "--quiet", "--force", before)
    project.git("reset", "--quiet", "--hard")


def many(folder: str) -> dict[str, Any]:
    """The settings of a release of nothing but these notebooks."""
    return {
        "notebooks": {"folder": folder},
        "tests": {},
        "jobs": {},
        "jobOverrides": {},
        "services": {"databricksRequestsPerSecond": 100},
    }


def write_notebooks(folder: Path, number: int, table: str) -> None:
    for each in range(number):
        path = folder / f"team_{each % 20:02}" / f"report_{each:04}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [f"{table}_{line} = spark.table('{table}').where('station = {each}')" for line in range(30)]
        path.write_text("\n".join(["# Databricks notebook source", *lines, ""]))


def without_one_approver(settings: dict[str, Any]) -> None:
    settings["gate"]["approvers"].remove("ari@rehearsal.example")


def assert_nothing_was_changed_but_comments(system: System) -> None:
    reading = ("GET", "OPTIONS", "HEAD")
    written = [each["path"] for each in system.azure.requests() if each["method"] not in reading]
    assert [path.rsplit("/", 1)[1] for path in written] == ["threads"]
    assert [each for each in system.workspace.requests() if each["method"] not in reading] == []

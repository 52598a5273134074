"""`python -m delivery preview` with the real engine: the comment in a pull request, over several pushes.

It signs in as who may read and comment, and nothing else: as a developer in Azure DevOps, and in the workspace as the
service principal that the stacks let read.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.engine.system import SECONDS, System

pytestmark = pytest.mark.engine

USER = "dana"
READER = "previewer"
OURS = "databricks-cicd.preview"


class PullRequest:
    """A pull request of the deployed project, which `push` changes, and what its readers see of the preview."""

    def __init__(self, system: System, reports: Path) -> None:
        self.system, self.reports = system, reports
        self.outputs = system.project.outputs("test")
        system.project.git("checkout", "--quiet", "-b", "feature")
        self.number = 0

    def push(self, message: str) -> None:
        """Commits what was changed, and pushes it as the developer."""
        project = self.system.project
        project.commit(message)
        subprocess.run(
            ["git", "push", "--quiet", self.outputs["repository_url"], "HEAD:refs/heads/feature"],
            cwd=project.path,
            env=self.system.git_environment(USER),
            check=True,
        )
        if not self.number:
            body = {"sourceRefName": "refs/heads/feature", "targetRefName": "refs/heads/main", "title": "A change"}
            made = self._git().create_pull_request(body, self.outputs["repository_id"], self.outputs["project_id"])
            self.number = made.pull_request_id

    def preview(self, code: int = 0) -> dict[str, Any]:
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
        arguments = ["--stack", "test", "--stack", "prod", "--comment", "--report", str(self.reports), "--json"]
        done = subprocess.run(
            [sys.executable, "-B", "-m", "delivery", "preview", *arguments],
            cwd=system.project.path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
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
    pull = PullRequest(deployed, tmp_path / "report")
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


def without_one_approver(settings: dict[str, Any]) -> None:
    settings["gate"]["approvers"].remove("ari@rehearsal.example")


def assert_nothing_was_changed_but_comments(system: System) -> None:
    reading = ("GET", "OPTIONS", "HEAD")
    written = [each["path"] for each in system.azure.requests() if each["method"] not in reading]
    assert [path.rsplit("/", 1)[1] for path in written] == ["threads"]
    assert [each for each in system.workspace.requests() if each["method"] not in reading] == []

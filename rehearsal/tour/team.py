"""What a team does in the tour: queue, review, merge, approve; each as the person who does it."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx

from rehearsal.home import Home
from rehearsal.tour import project
from rehearsal.tour.people import Person, client

T = TypeVar("T")

PROJECT, REPOSITORY = "Databricks CI-CD", "databricks-notebooks"
PATIENCE = 1200.0
"""Seconds that a step may take: the tour shows what happens, it judges no speed."""
MAIN = "refs/heads/main"
APPROVED = 10  # a vote
HELLO = b"""\
# Databricks notebook source
rows = spark.range(100).selectExpr("id", "string(id % 7) AS name", "current_timestamp() AS at")
rows.write.saveAsTable("main.default.hello")
rows.selectExpr("id + 50 AS id", "name", "at").createOrReplaceTempView("more")
spark.sql(
    "MERGE INTO main.default.hello USING more ON hello.id = more.id "
    "WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"
)
spark.table("main.default.hello").groupBy("name").count().collect()
spark.sql("DROP TABLE main.default.hello")
"""
"""A notebook that does once what the suites do often."""


class TourError(Exception):
    """Something went another way than it should; the message says what and where to look."""


@dataclass(frozen=True)
class Team:
    """The people, and what they ask for.

    Args:
        home: the rehearsal, which is up.
        say: is told what goes on.
        told: the steps of runs that have been told, by the ids of their records.
    """

    home: Home
    say: Callable[[str], None]
    told: set[str] = field(default_factory=set)

    def person(self, key: str) -> Person:
        """One of them."""
        return Person(self.home, key, PROJECT)

    @property
    def clone_url(self) -> str:
        """Where the repository is cloned from."""
        return f"{self.home.organization_url}/{PROJECT.replace(' ', '%20')}/_git/{REPOSITORY}"

    def clone(self, key: str, folder: Path) -> None:
        """Clones the repository."""
        project.git(folder.parent, "clone", "--quiet", self.clone_url, str(folder), environment=self.person(key).git())

    def push(self, key: str, folder: Path, branch: str) -> None:
        """Pushes what is checked out as a branch."""
        project.git(folder, "push", "--quiet", "origin", f"HEAD:{branch}", environment=self.person(key).git())

    def pipeline(self, name: str) -> int:
        """The id of a pipeline."""
        found = self.person("administrator").ask("GET", "_apis/pipelines")
        return next(int(each["id"]) for each in found["value"] if each["name"] == name)

    def queue(self, key: str, name: str) -> int:
        """Starts a pipeline on `main`; gives the run's id."""
        return int(self.person(key).ask("POST", f"_apis/pipelines/{self.pipeline(name)}/runs", {})["id"])

    def run(self, number: int) -> Any:
        """A run as it is now."""
        return self.person("administrator").ask("GET", f"_apis/build/builds/{number}")

    def runs_after(self, name: str, number: int) -> list[int]:
        """The runs of a pipeline with greater numbers, in order."""
        found = self.person("administrator").ask("GET", "_apis/build/builds", definitions=self.pipeline(name))
        return sorted(int(each["id"]) for each in found["value"] if int(each["id"]) > number)

    def records(self, number: int) -> list[Any]:
        """The timeline of a run."""
        found = self.person("administrator").ask("GET", f"_apis/build/builds/{number}/timeline")
        return list(found["records"])

    def finished(self, number: int, wanted: str = "succeeded") -> Any:
        """Waits for the end of a run, saying which steps are done.

        Raises:
            TourError: it ended in another way; with the end of the first failed step's log.
        """

        def ended() -> Any:
            self._tell(number)
            found = self.run(number)
            return found if found["status"] == "completed" else None

        found = until(ended, f"the end of run {number}")
        self._tell(number)
        if found["result"] != wanted:
            raise TourError(f"Run {number} {found['result']}, and not {wanted}.\n{self.failure(number)}")
        return found

    def failure(self, number: int) -> str:
        """The end of the log of the first step that failed."""
        for record in self.records(number):
            if record["type"] == "Task" and record.get("result") == "failed" and record.get("log"):
                log = self.person("administrator").ask("GET", f"_apis/build/builds/{number}/logs/{record['log']['id']}")
                return f"{record['name']}:\n{str(log)[-3000:]}"
        return "No step failed."

    def stage(self, number: int, name: str) -> Any:
        """Waits for the end of a stage; gives its record."""

        def ended() -> Any:
            self._tell(number)
            stages = [each for each in self.records(number) if each["type"] == "Stage" and each["name"] == name]
            return next((each for each in stages if each["state"] == "completed"), None)

        return until(ended, f"the end of stage {name} of run {number}")

    def approval(self, number: int) -> Any:
        """Waits until a run asks for an approval; gives it.

        Raises:
            TourError: the run ended without asking.
        """

        def pending() -> Any:
            self._tell(number)
            ids = [each["id"] for each in self.records(number) if each["type"] == "Checkpoint.Approval"]
            if ids:
                found = self.person("avery").ask("GET", "_apis/pipelines/approvals", approvalIds=",".join(ids))
                waiting = [each for each in found["value"] if each["status"] == "pending"]
                if waiting:
                    return waiting[0]
            if self.run(number)["status"] == "completed":
                raise TourError(f"Run {number} asked for no approval.\n{self.failure(number)}")
            return None

        return until(pending, f"the approval of run {number}")

    def decide(self, key: str, approval: Any, status: str, comment: str) -> Any:
        """Approves (`approved`) or rejects (`rejected`) as somebody."""
        body = [{"approvalId": approval["id"], "status": status, "comment": comment}]
        return self.person(key).ask("PATCH", "_apis/pipelines/approvals", body)

    def open_pull_request(self, key: str, branch: str, title: str) -> int:
        """Opens a pull request into `main`; gives its number."""
        body = {"sourceRefName": f"refs/heads/{branch}", "targetRefName": MAIN, "title": title}
        return int(self.person(key).ask("POST", self._pull_requests(), body)["pullRequestId"])

    def pull_request(self, number: int) -> Any:
        """A pull request as it is now."""
        return self.person("administrator").ask("GET", f"{self._pull_requests()}/{number}")

    def evaluations(self, number: int) -> dict[str, str]:
        """How the policies stand: name -> status."""
        dana = self.person("dana")
        id_ = self.pull_request(number)["repository"]["project"]["id"]
        artifact = f"vstfs:///CodeReview/CodeReviewId/{id_}/{number}"
        found = dana.ask("GET", "_apis/policy/evaluations", artifactId=artifact)["value"]
        return {each["configuration"]["type"]["displayName"]: each["status"] for each in found}

    def build_of(self, number: int) -> int:
        """The newest run that builds a pull request, once there is one."""
        ref = f"refs/pull/{number}/merge"

        def newest() -> int | None:
            found = self.person("administrator").ask("GET", "_apis/build/builds", branchName=ref)["value"]
            return max((int(each["id"]) for each in found if each["sourceBranch"] == ref), default=None)

        return until(newest, f"the build of pull request {number}")

    def threads(self, number: int) -> list[Any]:
        """The threads of a pull request in which people or the pipeline say something."""
        found = self.person("dana").ask("GET", f"{self._pull_requests()}/{number}/threads")["value"]
        return [
            each
            for each in found
            if not each.get("isDeleted") and each["comments"] and each["comments"][0]["commentType"] != "system"
        ]

    def ask_about(self, key: str, number: int, text: str) -> None:
        """Opens a thread that has to be resolved."""
        body = {"status": "active", "comments": [{"content": text, "commentType": "text", "parentCommentId": 0}]}
        self.person(key).ask("POST", f"{self._pull_requests()}/{number}/threads", body)

    def resolve(self, key: str, number: int, thread: int) -> None:
        """Marks a thread as resolved."""
        self.person(key).ask("PATCH", f"{self._pull_requests()}/{number}/threads/{thread}", {"status": "fixed"})

    def vote(self, key: str, number: int, vote: int = APPROVED) -> None:
        """Votes on a pull request."""
        person = self.person(key)
        person.ask("PUT", f"{self._pull_requests()}/{number}/reviewers/{person.id}", {"vote": vote})

    def complete(self, key: str, number: int) -> str:
        """Merges a pull request by squash; gives the commit on `main`."""
        before = self.pull_request(number)
        body = {
            "status": "completed",
            "lastMergeSourceCommit": {"commitId": before["lastMergeSourceCommit"]["commitId"]},
            "completionOptions": {"mergeStrategy": "squash", "deleteSourceBranch": True},
        }
        self.person(key).ask("PATCH", f"{self._pull_requests()}/{number}", body)

        def merged() -> Any:
            found = self.pull_request(number)
            return found if found["status"] == "completed" else None

        return str(until(merged, f"the merge of pull request {number}")["lastMergeCommit"]["commitId"])

    def add_to_notebook(self, path: str, text: str) -> None:
        """Writes something at the end of a notebook, as the workspace's editor does."""
        with self._workspace() as service:
            query = {"path": path, "format": "SOURCE", "direct_download": "true"}
            before = service.get("2.0/workspace/export", params=query).raise_for_status().text
            form = {"path": path, "format": "SOURCE", "language": "PYTHON", "overwrite": "true"}
            content = {"content": (path.rpartition("/")[2], (before + text).encode())}
            service.post("2.0/workspace/import", data=form, files=content).raise_for_status()

    def start_compute(self) -> None:
        """Has the workspace start its serverless compute, by a run that uses it a little; waits for nothing."""
        notebook = "/Shared/hello"
        with self._workspace() as service:
            form = {"path": notebook, "format": "SOURCE", "language": "PYTHON", "overwrite": "true"}
            service.post("2.0/workspace/import", data=form, files={"content": ("hello", HELLO)}).raise_for_status()
            task = {"task_key": "hello", "notebook_task": {"notebook_path": notebook}}
            service.post("2.2/jobs/runs/submit", json={"run_name": "hello", "tasks": [task]}).raise_for_status()

    def record(self, folder: str) -> Any:
        """The recorded release of a folder of the workspace."""
        query = {"path": f"{folder}/.release/record.json", "format": "AUTO", "direct_download": "true"}
        with self._workspace() as service:
            return json.loads(service.get("2.0/workspace/export", params=query).raise_for_status().content)

    def _workspace(self) -> httpx.Client:
        token = self.home.credentials.users["databricks"]["administrator"]
        headers = {"Authorization": f"Bearer {token}"}
        return client(base_url=f"{self.home.workspace_host}/api/", headers=headers)

    def _pull_requests(self) -> str:
        return f"_apis/git/repositories/{REPOSITORY}/pullrequests"

    def _tell(self, number: int) -> None:
        for record in sorted(self.records(number), key=lambda each: (each.get("finishTime") or "", each["name"])):
            if record["type"] not in ("Task", "Stage") or record["state"] != "completed" or record["id"] in self.told:
                continue
            self.told.add(record["id"])
            if record.get("result") != "skipped" and not record["name"].lower().startswith(("initialize", "finalize")):
                self.say(f"    {record['result']:<10} {_took(record):>4}  {record['name']}")


def _took(record: Any) -> str:
    if not record.get("startTime") or not record.get("finishTime"):
        return ""
    begun, ended = (datetime.fromisoformat(record[name]) for name in ("startTime", "finishTime"))
    return f"{(ended - begun).total_seconds():.0f} s"


def until(look: Callable[[], T | None], what: str) -> T:
    """What the function gives as soon as it gives something.

    Raises:
        TourError: it takes too long.
    """
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = look()
        if found is not None:
            return found
        time.sleep(0.5)
    raise TourError(f"After {PATIENCE:.0f} s there is still nothing to see of {what}.")

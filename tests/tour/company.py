"""What people do in the small project beside what the tour shows: try what is refused, and look where it says why."""

import html
import json
import re
import subprocess
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

import httpx

from rehearsal import pipelines, processes, shell, toolchain
from rehearsal.home import Home
from rehearsal.tour import project
from rehearsal.tour.people import RefusedError, client
from rehearsal.tour.team import PROJECT, REPOSITORY, Team, until
from tests.tour import small
from tests.tour.small import PRODUCTION, TEST

NAMES = {"dana": "Dana Developer", "devin": "Devin Developer"}


@contextmanager
def brought_up(folder: Path, *options: str) -> Iterator["Company"]:
    """The small project as the program makes it, on a rehearsal of its own; nothing is built yet.

    Args:
        folder: for the project, the rehearsal and the developers' clone.
        options: of `python -m rehearsal up`.
    """
    toolchain.ensure(print)
    tour = small.bring_up(folder, *options)
    try:
        yield Company(home=tour.home, folder=tour.clone)
    finally:
        processes.stop(tour.home)


@dataclass(frozen=True, kw_only=True)
class Company(Team):
    """The team with everybody else.

    Args:
        folder: for the clone in which the developers change things, which is made at the first change.
    """

    home: Home
    folder: Path
    say: Callable[[str], None] = field(default=print)

    def propose(self, key: str, branch: str, edits: Mapping[str, Callable[[str], str]], *, draft: bool = False) -> int:
        """Changes files on a new branch, pushes it and opens a pull request; gives its number."""
        if not self.folder.exists():
            self.clone("administrator", self.folder)
        project.git(self.folder, "fetch", "--quiet", "origin", environment=self.person(key).git())
        project.git(self.folder, "switch", "--quiet", "--create", branch, "origin/main")
        self.push_changes(key, branch, edits)
        body = {"sourceRefName": f"refs/heads/{branch}", "targetRefName": "refs/heads/main", "title": branch}
        answer = self.person(key).ask("POST", self._pull_requests(), {**body, "isDraft": draft})
        return int(answer["pullRequestId"])

    def push_changes(self, key: str, branch: str, edits: Mapping[str, Callable[[str], str]]) -> None:
        """Changes files on a branch that is there, and pushes it."""
        project.git(self.folder, "switch", "--quiet", branch)
        for name, edit in edits.items():
            file = self.folder / name
            file.write_text(edit(file.read_text(encoding="utf-8") if file.exists() else ""), encoding="utf-8")
        project.commit(self.folder, branch, NAMES[key], f"{key}@rehearsal.example")
        self.push(key, self.folder, f"refs/heads/{branch}")

    def refused_merge(self, key: str, pull_request: int) -> str:
        """Tries to merge; gives the service's words against it."""
        try:
            commit = self.complete(key, pull_request)
        except RefusedError as refused:
            return str(refused)
        raise AssertionError(f"pull request {pull_request} was merged: {commit}")

    def change_pull_request(self, key: str, number: int, **body: object) -> None:
        self.person(key).ask("PATCH", f"{self._pull_requests()}/{number}", body)

    def merge_when_ready(self, key: str, number: int, reviewer: str) -> str:
        """Sets auto-complete and waits for the merge; gives the commit on `main`.

        The reviewer resolves the preview's comment whenever it asks for a look: it does so again when it says
        something else, because other merges have been deployed meanwhile.
        """
        options = {"mergeStrategy": "squash", "deleteSourceBranch": True}
        self.change_pull_request(key, number, autoCompleteSetBy={"id": self.person(key).id}, completionOptions=options)

        def merged() -> Any:
            for thread in self.threads(number):
                if thread.get("status") == "active":
                    self.resolve(reviewer, number, thread["id"])
            found = self.pull_request(number)
            return found if found["status"] == "completed" else None

        return str(until(merged, f"the merge of pull request {number}")["lastMergeCommit"]["commitId"])

    def approved_build(self, number: int) -> int:
        """Waits for a good end of the newest build of a pull request, and until its policy knows; gives the run."""
        build = self.build_of(number)
        self.finished(build)
        until(lambda: self.evaluations(number)["Build"] == "approved" or None, f"the policy of pull request {number}")
        return build

    def release(self, key: str, *, build: int | None = None, branch: str = "", skip: tuple[str, ...] = ()) -> int:
        """Runs the release pipeline by hand; gives the run's id.

        Args:
            key: who does.
            build: the run whose artifact is released; else the newest.
            branch: full name of another branch than `main`.
            skip: stages to leave out.
        """
        resources: dict[str, Any] = {}
        if build:
            resources["pipelines"] = {"build": {"version": str(build)}}
        if branch:
            resources["repositories"] = {"self": {"refName": branch}}
        body = {"resources": resources, "stagesToSkip": list(skip)}
        return int(self.person(key).ask("POST", f"_apis/pipelines/{self.pipeline('release')}/runs", body)["id"])

    def run_again(self, key: str, number: int, stage: str, *, whole: bool = False) -> None:
        """Has a stage of a run that has ended run again: its failed jobs, or the whole of it."""
        body = {"state": "retry", "forceRetryAllJobs": whole}
        self.person(key).ask("PATCH", f"_apis/build/builds/{number}/stages/{stage}", body)

    def release_of(self, build: int) -> int:
        """Waits for the release that the end of a build has started; gives its run."""

        def started() -> int | None:
            told = ((each, self.run(each)) for each in self.runs_after("release", build))
            return next((each for each, run in told if (run.get("triggeredByBuild") or {}).get("id") == build), None)

        return until(started, f"the release of build {build}")

    def stage_of(self, number: int, name: str) -> Any:
        """A stage's record as it is now."""
        return next(each for each in self.records(number) if each["type"] == "Stage" and each["name"] == name)

    def waited_for_lock(self, number: int, stage: str) -> Any:
        """The record of a stage's wait for an exclusive lock."""
        below = self.stage_of(number, stage)["id"]
        checkpoints = [each["id"] for each in self.records(number) if each["parentId"] == below]
        [found] = [
            each
            for each in self.records(number)
            if each["type"] == "Checkpoint.ExclusiveLock" and each["parentId"] in checkpoints
        ]
        return found

    def steps(self, number: int, stage: str) -> list[str]:
        """The steps of a stage that were begun."""
        records = {each["id"]: each for each in self.records(number)}

        def within(each: Any) -> Any:
            while each["type"] != "Stage":
                each = records[each["parentId"]]
            return each["name"]

        begun = (each for each in records.values() if each["type"] == "Task" and each["result"] != "skipped")
        return [each["name"] for each in begun if within(each) == stage]

    def asked_for_approval(self, number: int) -> bool:
        return any(each["type"] == "Checkpoint.Approval" for each in self.records(number))

    def stopped(self, number: int) -> None:
        """Waits for the end of a release that comes to no approval."""

        def ended() -> Any:
            assert not self.asked_for_approval(number), f"run {number} has come to an approval"
            return True if self.run(number)["status"] == "completed" else None

        until(ended, f"the end of run {number}")
        self.finished(number, "failed")

    def leases(self, build: int) -> list[Any]:
        """What keeps a run from being deleted."""
        return list(self.person("dana").ask("GET", f"_apis/build/builds/{build}/leases")["value"])

    def stopped_as_changed(self, *numbers: int) -> str:
        """Waits for releases that end in the comparison of the artifact; gives the log of the last."""
        before = [self.recorded(folder) for folder in (TEST, PRODUCTION)]
        for number in numbers:
            self.stopped(number)
            steps = self.steps(number, "Test")
            assert "Verify the artifact" in steps
            assert "Install the locked packages" not in steps
        assert [self.recorded(folder) for folder in (TEST, PRODUCTION)] == before
        return self.run_page(numbers[-1], view="logs")

    def run_page(self, number: int, **view: str) -> str:
        """What Dana reads on a run's page; `view="logs"` is the log of the step that failed."""
        return self.page("dana", f"_build/results?buildId={number}&{'&'.join(f'{k}={v}' for k, v in view.items())}")

    def pull_request_page(self, number: int) -> str:
        return self.page("dana", f"_git/{REPOSITORY}/pullrequest/{number}")

    def page(self, key: str, path: str) -> str:
        """The text of a page of the project as somebody who is signed in sees it."""
        with client(follow_redirects=True, base_url=self.home.address("azuredevops")) as service:
            form = service.get("/_signin").raise_for_status().text
            token = re.findall(r'name="token" value="([^"]+)"', form)[0]
            service.post("/_signin", data={"user": key, "token": token}).raise_for_status()
            answer = service.get(f"/rehearsal/{quote(PROJECT)}/{path}").raise_for_status().text
        return html.unescape(re.sub(r"<[^>]+>", "", answer))

    def workspace(self) -> httpx.Client:
        """The workspace's API, as its administrator."""
        token = self.home.credentials.users["databricks"]["administrator"]
        headers = {"Authorization": f"Bearer {token}"}
        return client(base_url=self.home.workspace_host, headers=headers)

    def recorded(self, folder: str) -> Any:
        """The record of what is deployed to a folder."""
        query = {"path": f"{folder}/.release/record.json", "format": "AUTO", "direct_download": "true"}
        with self.workspace() as service:
            return json.loads(service.get("/api/2.0/workspace/export", params=query).raise_for_status().content)

    @contextmanager
    def arrived(self, path: str, content: str) -> Iterator[None]:
        """Somebody puts a file into a volume, and takes it away again."""
        url = f"/api/2.0/fs/files{path}"
        with self.workspace() as service:
            service.put(url, params={"overwrite": "true"}, content=content.encode()).raise_for_status()
            try:
                yield
            finally:
                service.delete(url).raise_for_status()

    @contextmanager
    def edited(self, path: str, more: str) -> Iterator[None]:
        """Somebody writes something at the end of a notebook by hand, and takes it back again."""
        query = {"path": path, "format": "SOURCE", "direct_download": "true"}
        with self.workspace() as service:
            before = service.get("/api/2.0/workspace/export", params=query).raise_for_status().content
            self.add_to_notebook(path, more)
            try:
                yield
            finally:
                form = {"path": path, "format": "SOURCE", "language": "PYTHON", "overwrite": "true"}
                content = {"content": (path.rpartition("/")[2], before)}
                service.post("/api/2.0/workspace/import", data=form, files=content).raise_for_status()

    @contextmanager
    def without_workspace(self) -> Iterator[None]:
        """Meanwhile nobody gets an answer from the workspace."""
        headers = {"Authorization": f"Bearer {self.home.credentials.control}"}
        url = f"{self.home.workspace_host}/_rehearsal/faults"
        with client(headers=headers) as service:
            service.post(url, json={"action": "reset-before", "count": 1_000_000}).raise_for_status()
            try:
                yield
            finally:
                service.delete(url).raise_for_status()

    def kill_agent(self) -> None:
        """The agent dies, in the middle of what it does."""
        agent = processes.find(self.home, "agent")
        assert agent
        agent.kill()
        agent.wait(timeout=60)

    def start_agent(self) -> None:
        """Somebody starts the agent again."""
        engine = toolchain.locate()
        assert engine
        assert pipelines.start(self.home, engine)

    @contextmanager
    def damaged(self, build: int, artifact: str, where: Mapping[str, int]) -> Iterator[None]:
        """One bit of files of an artifact is another one, where the service keeps it.

        Args:
            build: the run.
            artifact: its artifact's name.
            where: path in the artifact -> which byte.
        """
        file = self.kept_artifact(build, artifact)
        before = file.read_bytes()
        with zipfile.ZipFile(file) as packed:
            contents = {each.filename: packed.read(each) for each in packed.infolist()}
        for name, at in where.items():
            content = bytearray(contents[f"{artifact}/{name}"])
            content[at] ^= 1
            contents[f"{artifact}/{name}"] = bytes(content)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, each in contents.items():
                packed.writestr(name, each)
        try:
            yield
        finally:
            file.write_bytes(before)

    def kinds_of_files(self, build: int) -> dict[str, int]:
        """A file of each kind in the artifact of a build, and which byte of it is meant: the last.

        A kind is the part of the release, the topmost folder and the extension.
        """
        files = json.loads(self.published(build, "release")["manifest.json"])["files"]
        found: dict[tuple[str, ...], str] = {}
        for each in files:
            path = PurePosixPath(each["path"])
            if each["size"]:
                found.setdefault((each["part"], path.parts[0], path.suffix), each["path"])
        return dict.fromkeys(found.values(), -1)

    def published(self, run: int, artifact: str) -> dict[str, bytes]:
        """What is in an artifact, by path."""
        with zipfile.ZipFile(self.kept_artifact(run, artifact)) as packed:
            return {name.removeprefix(f"{artifact}/"): packed.read(name) for name in packed.namelist()}

    def kept_artifact(self, build: int, artifact: str) -> Path:
        """The file in which the service keeps an artifact."""
        found = self.person("administrator").ask("GET", f"_apis/build/builds/{build}/artifacts", artifactName=artifact)
        return self.home.state("azuredevops") / "artifacts" / f"{found['resource']['data']}.zip"

    @contextmanager
    def short_approval(self, environment: str) -> Iterator[None]:
        """An approval that is asked for meanwhile waits one minute, which is the shortest that the service knows."""
        ada = self.person("administrator")
        places = ada.ask("GET", "_apis/distributedtask/environments", name=environment)["value"]
        configurations = "_apis/pipelines/checks/configurations"
        query = {"resourceType": "environment", "resourceId": places[0]["id"], "$expand": "settings"}
        found = ada.ask("GET", configurations, **query)["value"]
        check = next(each for each in found if each["type"]["name"] == "Approval")
        kept = {name: check[name] for name in ("type", "settings", "resource", "timeout")}
        ada.ask("PATCH", f"{configurations}/{check['id']}", {**kept, "timeout": 1})
        try:
            yield
        finally:
            ada.ask("PATCH", f"{configurations}/{check['id']}", kept)

    def administrator_runs(self, folder: Path, *command: str) -> None:
        """A command of the administrator's, in a checkout that is brought to `main` first."""
        ada = self.person("administrator")
        project.git(folder, "pull", "--quiet", "--ff-only", self.clone_url, "main", environment=ada.git())
        engine = toolchain.locate()
        assert engine
        environment = shell.merged(self.home, engine)
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

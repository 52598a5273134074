"""A create of a job that was cut off leaves no second job, and nobody else's job is touched."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk._base_client import _BaseClient
from databricks.sdk.core import Config
from databricks.sdk.mixins.jobs import JobsExt
from databricks.sdk.service.iam import AccessControlRequest, PermissionLevel
from databricks.sdk.service.jobs import NotebookTask, Task

from components.doubled_jobs import against_doubled_jobs
from rehearsal.databricks import create_app
from rehearsal.service import Background
from tests.components.conftest import ROOT, Program, committed_config

CREDENTIALS = {"administrator": "canary-admin-51f0", "deployer-test": "canary-deployer-9a", "dana": "canary-dana-77"}
JOB = {"name": "daily (test)", "description": "Release 0123, commit c0ffee"}
CREATE_FAILED = "sdk-v2/provider2.go:515: sdk.helper_schema: cannot create job: Internal Server Error"
READ_FAILED = "sdk-v2/provider2.go:515: sdk.helper_schema: cannot read job: Internal Server Error"


class Rig:
    """The hooks of a job as the component binds them, and a workspace on loopback in which creates are done."""

    def __init__(self, program: Program, url: str) -> None:
        self._program, self.url = program, url
        self.restart()

    def restart(self) -> None:
        """What another `pulumi up` does: hooks of a new process."""
        self._hooks = self._program.part(lambda _: against_doubled_jobs(self.url)).hooks

    def client(self, user: str = "deployer-test") -> WorkspaceClient:
        return WorkspaceClient(config=Config(host=self.url, token=CREDENTIALS[user], auth_type="pat"))

    def make(self, user: str = "deployer-test", **settings: str) -> str:
        """A job is created in the workspace, by the provider or by somebody."""
        wanted = {**JOB, **settings}
        task = Task(task_key="load", notebook_task=NotebookTask(notebook_path="/bikes/load"))
        made = self.client(user).jobs.create(name=wanted["name"], description=wanted["description"], tasks=[task])
        return str(made.job_id)

    def jobs(self) -> set[str]:
        return {str(each.job_id) for each in self.client("administrator").jobs.list()}

    def before_create(self, **inputs: str) -> None:
        self._call("look-before-job", "", inputs)

    def after_create(self, made: str, **inputs: str) -> None:
        self._call("clear-up-after-job", made, inputs)

    # The engine calls the same hook after an update.
    after_update = after_create

    def fail(self, *errors: str, operation: str = "create") -> bool:
        args = pulumi.ErrorHookArgs(
            urn="urn:daily",
            id="",
            name="job-daily",
            type="databricks:index/job:Job",
            new_inputs=JOB,
            failed_operation=operation,
            errors=list(errors),
        )
        return bool(asyncio.run(self._hooks["clear-up-after-failed-job"](args)))

    def _call(self, hook: str, made: str, inputs: dict[str, str]) -> None:
        given: dict[str, Any] = {**JOB, **inputs}
        args = pulumi.ResourceHookArgs(
            urn="urn:daily", id=made, name="job-daily", type="databricks:index/job:Job", new_inputs=given
        )
        asyncio.run(self._hooks[hook](args))


@pytest.fixture(scope="module")
def workspace_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    app = create_app(tmp_path_factory.mktemp("workspace"), control_token="control", credentials=CREDENTIALS)
    with Background(app) as url:
        yield url
    app.close()


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    told: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", told.append)
    return told


@pytest.fixture
def rig(program: Program, monkeypatch: pytest.MonkeyPatch, workspace_url: str, warnings: list[str]) -> Rig:
    monkeypatch.setenv("DATABRICKS_HOST", "https://elsewhere.example")  # the settings name the workspace, not this
    monkeypatch.setenv("DATABRICKS_TOKEN", CREDENTIALS["deployer-test"])
    monkeypatch.setenv("DATABRICKS_AUTH_TYPE", "pat")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    rig = Rig(program, workspace_url)
    for job in rig.jobs():
        rig.client("administrator").jobs.delete(int(job))
    return rig


def requests(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The requests of all clients from now on."""
    sent: list[str] = []
    perform = _BaseClient._perform

    def noted(self: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        sent.append(f"{method} {url.removeprefix(rig.url)}")
        return perform(self, method, url, *args, **kwargs)

    monkeypatch.setattr(_BaseClient, "_perform", noted)
    return sent


def test_of_two_jobs_the_one_that_the_state_does_not_know_is_deleted_with_a_warning(
    rig: Rig, warnings: list[str]
) -> None:
    rig.before_create()
    cut_off, made = rig.make(), rig.make()

    rig.after_create(made)

    assert rig.jobs() == {made}
    assert warnings == [f"deleting the job 'daily (test)' ({cut_off}), which an interrupted create has left"]


def test_a_create_that_was_sent_once_costs_two_questions_and_warns_of_nothing(
    rig: Rig, warnings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = requests(rig, monkeypatch)
    rig.before_create()
    assert sent == ["GET /.well-known/databricks-config", "GET /api/2.2/jobs/list"]
    made = rig.make()
    sent.clear()
    rig.after_create(made)

    assert sent == ["GET /api/2.2/jobs/list"]
    assert rig.jobs() == {made}
    assert warnings == []


def test_a_job_of_the_same_name_that_was_there_before_is_left_alone(rig: Rig, warnings: list[str]) -> None:
    before = rig.make()
    rig.before_create()
    made = rig.make()

    rig.after_create(made)

    assert rig.jobs() == {before, made}
    assert warnings == []


@pytest.mark.parametrize(
    ("user", "settings"),
    [("administrator", {}), ("dana", {}), ("deployer-test", {"description": "my own"})],
    ids=["another identity", "another user", "another description"],
)
def test_a_job_that_somebody_makes_meanwhile_is_left_alone_and_named(
    rig: Rig, warnings: list[str], user: str, settings: dict[str, str]
) -> None:
    rig.before_create()
    by_hand, made = rig.make(user, **settings), rig.make()
    # For the deployer to see it; a job that it may not see, it can't take for its own.
    everybody = AccessControlRequest(group_name="users", permission_level=PermissionLevel.CAN_VIEW)
    rig.client("administrator").permissions.update("jobs", by_hand, access_control_list=[everybody])

    rig.after_create(made)

    assert rig.jobs() == {by_hand, made}
    (warning,) = warnings
    assert f"a second job 'daily (test)' ({by_hand})" in warning
    assert "is left alone" in warning


def test_jobs_of_other_names_do_not_count_not_even_in_another_case(rig: Rig, warnings: list[str]) -> None:
    rig.before_create()
    others = {rig.make(name="DAILY (TEST)"), rig.make(name="weekly (test)")}
    made = rig.make()

    rig.after_create(made)

    assert rig.jobs() == {*others, made}
    assert warnings == []


def test_what_a_failed_create_has_left_is_deleted_and_the_failure_stands(rig: Rig, warnings: list[str]) -> None:
    rig.before_create()
    left = rig.make()

    assert not rig.fail(CREATE_FAILED)

    assert rig.jobs() == set()
    assert f"({left})" in warnings[0]


def test_a_job_that_was_made_and_could_not_be_read_back_stays_and_the_next_update_deletes_its_double(
    rig: Rig, warnings: list[str]
) -> None:
    """The state knows the second of the two, and no hook has seen its id by then."""
    rig.before_create()
    cut_off, made = rig.make(), rig.make()
    assert not rig.fail(READ_FAILED)
    assert rig.jobs() == {cut_off, made}
    rig.restart()

    rig.after_update(made, description="Release 4567, commit c0ffee")

    assert rig.jobs() == {made}
    assert len(warnings) == 1


def test_an_update_that_fails_and_one_of_a_job_that_ended_well_ask_nothing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.before_create()
    made = rig.make()
    rig.after_create(made)
    sent = requests(rig, monkeypatch)

    rig.after_update(made)
    assert not rig.fail("cannot update job: Internal Server Error", operation="update")

    assert sent == []


def test_what_a_killed_up_has_left_is_deleted_by_the_next_one_under_the_name_that_it_had(
    rig: Rig, warnings: list[str]
) -> None:
    rig.before_create()
    left = {rig.make(), rig.make()}
    rig.restart()

    rig.before_create(name="nightly (test)", description="Release 4567, commit decade")
    made = rig.make(name="nightly (test)", description="Release 4567, commit decade")
    rig.after_create(made)

    assert rig.jobs() == {made}
    assert len(warnings) == len(left)


def test_an_up_killed_after_the_create_and_before_the_state_was_written_leaves_one_job(rig: Rig) -> None:
    rig.before_create()
    rig.after_create(rig.make())
    by_hand = rig.make()
    rig.restart()

    rig.before_create()

    assert rig.jobs() == {by_hand}


def test_a_note_of_yesterday_is_not_trusted(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_700_000_000.0
    monkeypatch.setattr("components.unfinished.time.time", lambda: now)
    rig.before_create()
    left = rig.make()
    monkeypatch.setattr("components.unfinished.time.time", lambda: now + 24 * 3600 + 1)

    rig.before_create()

    assert rig.jobs() == {left}


def test_a_delete_that_the_client_repeats_is_fine(
    rig: Rig, warnings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.before_create()
    cut_off, made = rig.make(), rig.make()
    delete = JobsExt.delete

    def twice(self: JobsExt, job_id: int) -> None:
        """What the client does after a broken connection."""
        delete(self, job_id)
        delete(self, job_id)

    monkeypatch.setattr(JobsExt, "delete", twice)

    rig.after_create(made)

    assert rig.jobs() == {made}
    assert warnings == [f"deleting the job 'daily (test)' ({cut_off}), which an interrupted create has left"]


def test_a_double_that_cannot_be_deleted_is_named(
    rig: Rig, warnings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.before_create()
    cut_off, made = rig.make(), rig.make()
    monkeypatch.setattr(JobsExt, "delete", lambda *_: rig.client("dana").jobs.get(int(cut_off)))

    rig.after_create(made)

    assert f"({cut_off})" in warnings[0]
    assert "Look in the workspace for a second job of that name" in warnings[1]


def test_without_a_sign_in_there_is_one_warning_and_nothing_is_deleted(
    rig: Rig, warnings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABRICKS_TOKEN")
    tried: list[str] = []
    complete: Any = Config.init_auth

    def init_auth(self: Config) -> None:
        if self.token is None:
            tried.append(str(self.host))
        complete(self)

    monkeypatch.setattr(Config, "init_auth", init_auth)
    jobs = {rig.make()}
    for _ in range(3):
        rig.before_create()
        jobs.add(rig.make())
        rig.after_create(rig.make())

    assert len(rig.jobs()) == 7
    assert jobs <= rig.jobs()
    (warning,) = warnings
    assert "none is deleted" in warning
    assert "\n" not in warning
    assert tried == [rig.url]


def test_a_refused_token_is_shown_nowhere(
    rig: Rig, warnings: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABRICKS_TOKEN", "canary-wrong-3c")

    rig.before_create()
    rig.after_create(rig.make())

    (warning,) = warnings
    assert "canary" not in warning
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_when_the_look_afterwards_fails_the_create_stands_and_the_next_update_looks_again(
    rig: Rig, warnings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.before_create()
    cut_off, made = rig.make(), rig.make()
    with monkeypatch.context() as patched:
        patched.setattr(JobsExt, "list", refuse)
        rig.after_create(made)

    assert rig.jobs() == {cut_off, made}
    assert "job-daily can't be seen: the service is busy" in warnings[0]
    rig.after_update(made)
    assert rig.jobs() == {made}


def refuse(*_: Any, **__: Any) -> None:
    raise TimeoutError("the service is busy")


def test_the_hooks_are_on_every_job_and_a_job_is_deleted_before_it_is_replaced(program: Program) -> None:
    recorded = program.whole("test", committed_config("test"))

    assert recorded.all("Job")
    for each in recorded.all("Job"):
        assert each.hooks == {
            "before_create": ("look-before-job",),
            "after_create": ("clear-up-after-job",),
            "after_update": ("clear-up-after-job",),
            "on_error": ("clear-up-after-failed-job",),
        }
        assert each.delete_before_replace


PROGRAM = """
import sys
from pathlib import Path
import pytest
from tests.components.conftest import committed_config, prepared
with pytest.MonkeyPatch.context() as monkeypatch:
    recorded = prepared(monkeypatch, Path({home!r})).whole("test", committed_config("test"))
print(len(recorded.all("Job")) > 0, [name for name in sys.modules if name.startswith("databricks.")])
"""


def test_a_program_in_which_no_job_is_created_does_not_import_the_client(tmp_path: Path) -> None:
    """In a process of its own: these tests have imported it."""
    command = [sys.executable, "-c", PROGRAM.format(home=str(tmp_path))]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout == "True []\n"

"""What a release puts into a workspace, read back as Databricks keeps it; and the record beside it."""

import base64
import json
import os
import secrets
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.core import Config
from databricks.sdk.service.workspace import ImportFormat, Language

from delivery.console import Progress, RefusedError, UnusableError
from delivery.deploy_content import Reading, compare, put_back
from delivery.manifest import Manifest
from delivery.pace import Pace
from delivery.record import Ledger, Record, Run, entry, now, this_machine
from delivery.workspace import Workspace
from delivery.workspace_objects import Object, normal, objects_of
from rehearsal.databricks import create_app
from rehearsal.databricks.users import USER_KEYS
from rehearsal.service import Background
from tests.delivery.repository import Repository, packaged

TOKENS = {key: f"token-{key}-{secrets.token_hex(8)}" for key in USER_KEYS}
FOLDER = "/bikes"
SOURCE_FORMAT = ImportFormat.SOURCE
SOURCE = b"# Databricks notebook source\nprint(1)\n\n# COMMAND ----------\n\n# MAGIC %md\n# MAGIC\n# MAGIC text\n"
NOTEBOOK = {
    "cells": [
        {"cell_type": "markdown", "metadata": {}, "source": ["# Title\n", "text"]},
        {"cell_type": "code", "metadata": {}, "source": "1 + 1", "outputs": [], "execution_count": 3},
    ],
    "metadata": {},
    "nbformat": 4,
    "nbformat_minor": 5,
}


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    app = create_app(tmp_path / "state", control_token="control", credentials=TOKENS)
    with Background(app) as url:
        yield connected(url)


def connected(url: str, user: str = "administrator", requests_per_second: int = 1000) -> Workspace:
    config = Config(host=url, token=TOKENS[user], auth_type="pat", retry_timeout_seconds=2)
    return Workspace(WorkspaceClient(config=config), FOLDER, Pace(requests_per_second))


@pytest.fixture
def artifact(tmp_path: Path) -> tuple[Path, Manifest]:
    output = tmp_path / "artifact"
    return output, packaged(Repository.full(tmp_path / "repository"), output, build=True)


def deployed(workspace: Workspace, artifact: Path) -> tuple[Object, ...]:
    objects = objects_of(artifact, "test")
    for each in objects:
        workspace.write(each, (artifact / each.source).read_bytes())
    return objects


@pytest.mark.parametrize(
    ("as_exported", "equal"),
    [
        (SOURCE, True),
        (SOURCE.rstrip(b"\n"), True),
        (SOURCE.replace(b"\n", b"\r\n"), True),
        (SOURCE.replace(b"# MAGIC\n", b"# MAGIC \n"), True),
        (SOURCE.replace(b"\n\n# COMMAND", b"\n# COMMAND"), True),
        (SOURCE.replace(b"print(1)", b"print(2)"), False),
        (SOURCE.replace(b"print(1)", b"print(1) "), False),
        (SOURCE.replace(b"print(1)", b"\tprint(1)"), False),
        (SOURCE + b"\n# COMMAND ----------\n", False),
        (SOURCE.replace(b"# COMMAND ----------", b""), False),
    ],
)
def test_a_notebook_is_compared_by_its_cells(as_exported: bytes, equal: bool) -> None:
    assert (normal(as_exported, "SOURCE", "PYTHON") == normal(SOURCE, "SOURCE", "PYTHON")) is equal


def test_of_a_jupyter_notebook_texts_count_and_outputs_do_not() -> None:
    def changed(**code: Any) -> bytes:
        cells = [NOTEBOOK["cells"][0], {**NOTEBOOK["cells"][1], **code}]  # type: ignore[index] # a list, as above
        return json.dumps(
            {**NOTEBOOK, "cells": cells, "metadata": {"application/vnd.databricks.v1+notebook": {}}}
        ).encode()

    packaged_as = normal(json.dumps(NOTEBOOK).encode(), "JUPYTER", "PYTHON")
    assert normal(changed(outputs=[{"output_type": "stream"}], execution_count=9), "JUPYTER", "PYTHON") == packaged_as
    assert normal(changed(source=["1 + ", "1"]), "JUPYTER", "PYTHON") == packaged_as
    assert normal(changed(source="1 + 2"), "JUPYTER", "PYTHON") != packaged_as
    assert normal(changed(cell_type="raw"), "JUPYTER", "PYTHON") != packaged_as


def test_a_file_is_compared_byte_for_byte() -> None:
    assert normal(b"a\r\n", None, None) == b"a\r\n"
    assert normal(b"\xff", "SOURCE", "PYTHON") == b"\xff"


def test_everything_of_a_release_is_found_again_and_tests_in_the_test_stack_alone(
    workspace: Workspace, artifact: tuple[Path, Manifest]
) -> None:
    folder, _ = artifact
    objects = deployed(workspace, folder)
    assert {each.path for each in objects if each.part == "tests"} == {"tests/test_trips.py"}
    assert not [each for each in objects_of(folder, "prod") if each.part == "tests"]
    found = compare(workspace, objects, Progress())
    assert found.equal
    assert found.strays == ()
    assert set(workspace.tree()) == {each.path for each in objects}


def test_what_differs_is_named_put_back_and_strays_stay(workspace: Workspace, artifact: tuple[Path, Manifest]) -> None:
    folder, _ = artifact
    objects = deployed(workspace, folder)
    client = workspace.client.workspace
    for path in ("load", "mine"):
        text = b"# Databricks notebook source\nprint('by hand')"
        client.upload(f"{FOLDER}/{path}", text, format=SOURCE_FORMAT, language=Language.PYTHON, overwrite=True)
    client.upload(f"{FOLDER}/picture.png", b"\x89PNG\r\n\x1a\n\x00\xff\xff", format=ImportFormat.RAW, overwrite=True)
    client.delete(f"{FOLDER}/data", recursive=True)
    found, changed = put_back(workspace, objects, folder, Progress())
    assert set(found.edited) == {"load", "picture.png"}
    assert found.missing == ("data/stations.csv",)
    assert found.strays == ("mine",)
    assert set(changed) == {"load", "picture.png", "data/stations.csv"}
    after = compare(workspace, objects, Progress())
    assert after.equal
    assert after.strays == ("mine",)


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that are read, as they are."""
    paths: list[str] = []
    original = Workspace.read

    def read(workspace: Workspace, each: Object) -> bytes | None:
        paths.append(each.path)
        return original(workspace, each)

    monkeypatch.setattr(Workspace, "read", read)
    return paths


def step(path: str, op: str = "update") -> dict[str, Any]:
    return {"op": op, "new": {"inputs": {"path": path}}}


def test_what_was_right_while_the_engine_worked_is_not_read_again(
    workspace: Workspace, artifact: tuple[Path, Manifest], exported: list[str]
) -> None:
    objects = deployed(workspace, artifact[0])
    with Reading(workspace, objects) as reading:
        reading.begin(each for each in objects if each.path == "load")
        # The second is another name of the same folder.
        for path in (f"{FOLDER}/picture.png", f"/Workspace{FOLDER}/data/stations.csv", "/elsewhere", f"{FOLDER}/data"):
            reading.after(step(path))
        reading.after(step(f"{FOLDER}/tests/test_trips.py", "same"))
        right = reading.right(Progress())
    assert set(right) == {"load", "picture.png", "data/stations.csv"}
    assert compare(workspace, objects, Progress(), right).equal
    assert sorted(exported) == sorted(each.path for each in objects)


def test_what_was_wrong_or_not_to_be_had_while_the_engine_worked_is_judged_at_the_end(
    workspace: Workspace, artifact: tuple[Path, Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = artifact
    objects = deployed(workspace, folder)
    by_path = {each.path: each for each in objects}
    workspace.client.workspace.delete(f"{FOLDER}/load")
    with Reading(workspace, objects) as reading, monkeypatch.context() as down:
        down.setattr(workspace, "_download", lambda *_: (_ for _ in ()).throw(TimeoutError("no answer")))
        reading.begin(objects)
        assert reading.right(Progress()) == {}
    with Reading(workspace, objects) as reading:
        reading.begin(objects)
        assert set(reading.right(Progress())) == set(by_path) - {"load"}
    workspace.write(by_path["load"], (folder / by_path["load"].source).read_bytes())
    assert compare(workspace, objects, Progress()).equal


def test_what_is_deleted_or_gets_another_language_after_it_was_right_is_noticed(
    workspace: Workspace, artifact: tuple[Path, Manifest]
) -> None:
    folder, _ = artifact
    objects = deployed(workspace, folder)
    right = dict.fromkeys(each.path for each in objects)
    workspace.client.workspace.delete(f"{FOLDER}/picture.png")
    workspace.client.workspace.delete(f"{FOLDER}/load")
    workspace.client.workspace.upload(f"{FOLDER}/load", b"1", format=SOURCE_FORMAT, language=Language.R)
    found = compare(workspace, objects, Progress(), right)
    assert (found.missing, found.edited) == (("picture.png",), ("load",))
    assert put_back(workspace, objects, folder, Progress(), right)[1] == ("load", "picture.png")
    assert compare(workspace, objects, Progress()).equal


def test_a_notebook_of_another_language_is_edited(workspace: Workspace, artifact: tuple[Path, Manifest]) -> None:
    folder, _ = artifact
    objects = deployed(workspace, folder)
    client = workspace.client.workspace
    client.delete(f"{FOLDER}/load")
    text = base64.b64encode((folder / "notebooks/load.py").read_bytes()).decode()
    workspace.client.api_client.do(
        "POST",
        "/api/2.0/workspace/import",
        body={"path": f"{FOLDER}/load", "content": text, "format": "SOURCE", "language": "R"},
    )
    assert compare(workspace, objects, Progress()).edited == ("load",)


def test_what_stands_in_a_files_place_is_not_written_over(
    workspace: Workspace, artifact: tuple[Path, Manifest]
) -> None:
    folder, _ = artifact
    objects = deployed(workspace, folder)
    client = workspace.client.workspace
    client.delete(f"{FOLDER}/picture.png")
    client.delete(f"{FOLDER}/load")
    client.upload(f"{FOLDER}/load", b"a file", format=ImportFormat.RAW)
    with pytest.raises(RefusedError, match="something else stands there"):
        put_back(workspace, objects, folder, Progress())
    with client.download(f"{FOLDER}/load") as content:
        assert content.read() == b"a file"


def test_without_rights_or_service_the_message_says_so(workspace: Workspace) -> None:
    workspace.write_json("record.json", {})
    stranger = connected(str(workspace.client.config.host), "nobody")
    with pytest.raises(UnusableError, match="Databricks"):
        stranger.read_json("record.json")
    nowhere = connected("http://127.0.0.1:9")
    with pytest.raises(UnusableError, match="repeat"):
        nowhere.tree()


def release(manifest: Manifest, **more: Any) -> dict[str, Any]:
    return {**entry(manifest, approvers=("Avery",), by="ada", started_at=now()), **more}


def test_the_record_says_deploying_until_all_is_read_back(
    workspace: Workspace, artifact: tuple[Path, Manifest]
) -> None:
    folder, manifest = artifact
    objects = objects_of(folder, "test")
    ledger = Ledger(workspace, Progress())
    assert ledger.read() == Record()
    with ledger.turn("ada"):
        before = ledger.begin(manifest, objects, release(manifest))
        during = Ledger(workspace, Progress()).read()
        assert (during.state, during.current) == ("deploying", None)
        assert during.attempt is not None
        assert during.attempt["digest"] == manifest.digest
        ledger.finish(before, release(manifest, deployed_at=now()))
    after = ledger.read()
    assert (after.state, after.attempt) == ("deployed", None)
    assert after.history == (after.current,)
    assert after.current is not None
    assert after.current["build"] == {"id": 17, "number": "20261123.4"}
    assert ledger.release(manifest.content) == objects
    assert workspace.tree() == {}, "the record is no stray"


def test_a_failure_keeps_the_release_before_and_says_why(workspace: Workspace, artifact: tuple[Path, Manifest]) -> None:
    _, manifest = artifact
    ledger = Ledger(workspace, Progress())
    with ledger.turn("ada"):
        first = release(manifest, deployed_at=now())
        ledger.finish(ledger.begin(manifest, (), release(manifest)), first)
        ledger.fail(ledger.begin(manifest, (), release(manifest)), release(manifest), "no way")
    found = ledger.read()
    assert (found.state, found.current) == ("failed", first)
    assert found.attempt is not None
    assert found.attempt["error"] == "no way"


def test_where_nothing_was_changed_the_record_is_as_before(
    workspace: Workspace, artifact: tuple[Path, Manifest]
) -> None:
    _, manifest = artifact
    ledger = Ledger(workspace, Progress())
    with ledger.turn("ada"):
        ledger.take_back(ledger.begin(manifest, (), release(manifest)))
        assert ledger.read() == Record()
        ledger.finish(Record(), release(manifest))
        recorded = ledger.read()
        ledger.take_back(ledger.begin(manifest, (), release(manifest)))
    assert ledger.read() == recorded


def test_the_record_keeps_fifty_releases_and_what_they_hold(
    workspace: Workspace, artifact: tuple[Path, Manifest]
) -> None:
    _, manifest = artifact
    ledger = Ledger(workspace, Progress())
    old = [release(manifest, content=f"{number:064}") for number in range(50)]
    for each in (old[-1], old[-2]):
        workspace.write_json(f"{each['content']}.json", {"objects": []})
    with ledger.turn("ada"):
        ledger.finish(Record(history=tuple(old)), release(manifest))
    assert len(ledger.read().history) == 50
    assert ledger.release(old[-1]["content"]) is None
    assert ledger.release(old[-2]["content"]) == ()


def test_of_two_who_deploy_at_the_same_time_one_is_refused(workspace: Workspace) -> None:
    inside, leave = threading.Event(), threading.Event()

    def first() -> None:
        with Ledger(workspace, Progress()).turn("ada"):
            inside.set()
            leave.wait(30)

    thread = threading.Thread(target=first)
    thread.start()
    assert inside.wait(30)
    words = f"ada on {socket.gethostname()}.*nothing was changed"
    with pytest.raises(RefusedError, match=words), Ledger(workspace, Progress()).turn("bo"):
        pytest.fail("both are in")
    leave.set()
    thread.join()
    with Ledger(workspace, Progress()).turn("bo") as dead:
        assert dead is None


def left_behind(workspace: Workspace, **changes: Any) -> None:
    """The lock of a deployment that was killed on another machine."""
    holder = {"id": "other", "since": now(), "host": "elsewhere", "pid": 1, "by": "ada", "run": None}
    workspace.write_json("lock.json", {**holder, **changes})


def test_the_lock_of_a_dead_process_of_this_machine_is_taken_over(workspace: Workspace) -> None:
    left_behind(workspace, host=socket.gethostname(), machine=this_machine(), pid=2**22 + 1)
    with Ledger(workspace, Progress()).turn("bo") as dead:
        assert dead is not None
        assert dead.by == "ada"
    assert workspace.read_json("lock.json") is None


@pytest.mark.parametrize("machine", [None, "another start of it pid:[1]"])
def test_a_machine_that_only_has_the_same_name_does_not_say_who_is_dead(
    workspace: Workspace, machine: str | None
) -> None:
    left_behind(workspace, host=socket.gethostname(), machine=machine, pid=2**22 + 1)
    with pytest.raises(RefusedError, match="--take-over"), Ledger(workspace, Progress()).turn("bo"):
        pytest.fail("it may be alive, in another container")


def test_a_later_attempt_of_the_same_run_takes_over(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_BUILD", "True")
    monkeypatch.setenv("BUILD_BUILDID", "7")
    monkeypatch.setenv("SYSTEM_STAGEATTEMPT", "1")
    left_behind(workspace, run={"id": 7, "number": "20261124.7", "attempt": [1, 1]})
    with pytest.raises(RefusedError, match=r"run 20261124\.7"), Ledger(workspace, Progress()).turn("bo"):
        pytest.fail("the same attempt")
    monkeypatch.setenv("SYSTEM_STAGEATTEMPT", "2")
    assert Run.of(os.environ) == Run(id=7, number="7", attempt=(2, 1))
    with Ledger(workspace, Progress()).turn("bo") as dead:
        assert dead is not None


@pytest.mark.parametrize("ended", [True, False])
def test_the_lock_of_another_run_is_taken_over_when_that_run_has_ended(workspace: Workspace, ended: bool) -> None:
    left_behind(workspace, run={"id": 6, "number": "20261124.6", "attempt": [1, 1]})
    ledger = Ledger(workspace, Progress(), lambda run: ended and run == 6)
    if ended:
        with ledger.turn("bo") as dead:
            assert dead is not None
    else:
        with pytest.raises(RefusedError, match="--take-over"), ledger.turn("bo"):
            pytest.fail("it may be alive")


def test_who_was_taken_for_dead_and_lives_records_nothing_any_more(
    workspace: Workspace, artifact: tuple[Path, Manifest]
) -> None:
    _, manifest = artifact
    alive = Ledger(workspace, Progress())
    with alive.turn("ada"):
        before = alive.begin(manifest, (), release(manifest))
        left_behind(workspace, by="bo")
        with pytest.raises(RefusedError, match="another deployment has taken over, by bo"):
            alive.finish(before, release(manifest))
    assert alive.read().state == "deploying"
    assert workspace.read_json("lock.json")["by"] == "bo"


def test_an_earlier_attempt_that_lives_on_this_machine_keeps_its_turn(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("TF_BUILD", "True"), ("BUILD_BUILDID", "7"), ("SYSTEM_STAGEATTEMPT", "2")):
        monkeypatch.setenv(name, value)
    run = {"id": 7, "number": "20261124.7", "attempt": [1, 1]}
    left_behind(workspace, run=run, host=socket.gethostname(), machine=this_machine(), pid=os.getppid())
    with pytest.raises(RefusedError, match="is under way"), Ledger(workspace, Progress()).turn("bo"):
        pytest.fail("both are in")


def test_a_person_who_knows_takes_over(workspace: Workspace) -> None:
    left_behind(workspace)
    with Ledger(workspace, Progress()).turn("bo", take_over=True) as dead:
        assert dead is not None


def test_a_record_that_somebody_has_changed_is_refused(workspace: Workspace) -> None:
    workspace.write_json("record.json", {"format": 2})
    with pytest.raises(UnusableError, match="not a record of releases"):
        Ledger(workspace, Progress()).read()
    workspace.client.workspace.upload(f"{FOLDER}/.release/record.json", b"{", format=ImportFormat.RAW, overwrite=True)
    with pytest.raises(UnusableError, match="it isn't JSON"):
        Ledger(workspace, Progress()).read()

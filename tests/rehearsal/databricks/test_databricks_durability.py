"""What lasts: restarts, a killed process, a reset; and the faults that a test orders."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from databricks.sdk.service.iam import AccessControlRequest, PermissionLevel
from databricks.sdk.service.jobs import NotebookTask, Task

from rehearsal.databricks import create_app
from rehearsal.service import Background
from rehearsal.store import Store
from tests.rehearsal.databricks.clients import CONTROL_TOKEN, CREDENTIALS, NOTEBOOK, Workspace

STATUS = "2.0/workspace/get-status"

SERVER = """
import json, sys
from pathlib import Path
from rehearsal.databricks import create_app
from rehearsal.service import listen, server
given = json.load(sys.stdin)
app = create_app(Path(given["state"]), control_token=given["control"], credentials=given["credentials"])
listener = listen()
print(listener.getsockname()[1], flush=True)
server(app).run(sockets=[listener])
"""


def fill(workspace: Workspace) -> None:
    """Something of each kind."""
    sdk = workspace.sdk()
    folder = workspace.folder("/delivery")
    workspace.notebook("/delivery/a")
    entry = AccessControlRequest(group_name="data-engineers", permission_level=PermissionLevel.CAN_RUN)
    sdk.permissions.set("directories", folder, access_control_list=[entry])
    sdk.jobs.create(name="n", tasks=[Task(task_key="t", notebook_task=NotebookTask(notebook_path="/delivery/a"))])
    sdk.secrets.create_scope("made")
    sdk.secrets.put_secret("made", "k", string_value="v")
    sdk.groups.create(display_name="made")


def picture(workspace: Workspace) -> list[Any]:
    """Everything that `fill` made, with ids and times."""
    sdk = workspace.sdk()
    return [
        [item.as_dict() for item in sdk.workspace.list("/")],
        [item.as_dict() for item in sdk.workspace.list("/", recursive=True)],
        sdk.workspace.download("/delivery/a").read(),
        sdk.permissions.get("directories", workspace.object_id("/delivery")).as_dict(),
        [job.as_dict() for job in sdk.jobs.list(expand_tasks=True)],
        sdk.secrets.get_secret("made", "k").as_dict(),
        [group.as_dict() for group in sdk.groups.list()],
        [user.as_dict() for user in sdk.users.list()],
        [principal.as_dict() for principal in sdk.service_principals.list()],
    ]


@contextmanager
def in_process(state: Path) -> Iterator[Workspace]:
    app = create_app(state, control_token=CONTROL_TOKEN, credentials=CREDENTIALS)
    with Background(app) as url, Workspace(url) as workspace:
        yield workspace


@contextmanager
def own_process(state: Path) -> Iterator[tuple[Workspace, "subprocess.Popen[str]"]]:
    # What it needs comes on standard input: a token in the arguments could be read by everybody.
    given = {"state": str(state), "control": CONTROL_TOKEN, "credentials": CREDENTIALS}
    with subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(given))
        process.stdin.close()
        with Workspace(f"http://127.0.0.1:{int(process.stdout.readline())}") as workspace:
            try:
                yield workspace, process
            finally:
                process.kill()


def test_everything_survives_a_restart(tmp_path: Path) -> None:
    with in_process(tmp_path) as workspace:
        fill(workspace)
        before = picture(workspace)
    with in_process(tmp_path) as workspace:
        assert picture(workspace) == before


def test_everything_that_was_answered_survives_sigkill(tmp_path: Path) -> None:
    with own_process(tmp_path) as (workspace, process):
        fill(workspace)
        before = picture(workspace)
        answered = 0
        body = {"format": "SOURCE", "language": "PYTHON", "content": ""}
        workspace.folder("/many")
        for number in range(50):
            answer = workspace.call("POST", "2.0/workspace/import", json=body | {"path": f"/many/{number}"})
            assert answer.status_code == 200
            answered += 1
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    with in_process(tmp_path) as workspace:
        assert len(list(workspace.sdk().workspace.list("/many"))) == answered
        workspace.sdk().workspace.delete("/many", recursive=True)
        assert picture(workspace) == before


def test_numbers_are_not_given_twice_after_a_restart(tmp_path: Path) -> None:
    with in_process(tmp_path) as workspace:
        first = workspace.notebook("/Shared/a")
        workspace.sdk().workspace.delete("/Shared/a")
    with in_process(tmp_path) as workspace:
        assert workspace.notebook("/Shared/a") != first


def test_a_request_that_fails_on_its_way_leaves_nothing(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    body = {"path": "/Shared/a", "format": "SOURCE", "language": "PYTHON", "content": ""}
    with monkeypatch.context() as patched:
        patched.setattr(Store, "put_bytes", fail)
        # The server drops the connection after a mistake of its own.
        answer = workspace.call("POST", "2.0/workspace/import", json=body, headers={"Connection": "close"})
        assert (answer.status_code, answer.json()["error_code"]) == (500, "INTERNAL_ERROR")
    assert workspace.call("GET", STATUS, params={"path": "/Shared/a"}).status_code == 404
    assert workspace.call("POST", "2.0/workspace/import", json=body).status_code == 200


def test_reset_brings_the_first_day_back(workspace: Workspace) -> None:
    fill(workspace)
    workspace.control("POST", "reset")
    sdk = workspace.sdk()
    assert {item.path for item in sdk.workspace.list("/")} == {"/Users", "/Shared", "/Repos"}
    assert (list(sdk.jobs.list()), list(sdk.secrets.list_scopes())) == ([], [])
    assert "made" not in {group.display_name for group in sdk.groups.list()}


def test_the_log_names_who_asked_what(workspace: Workspace) -> None:
    workspace.folder("/delivery")
    log = workspace.control("GET", "requests").json()
    [made] = [entry for entry in log if entry["path"] == "/api/2.0/workspace/mkdirs"]
    assert (made["method"], made["status"], made["fault"]) == ("POST", 200, None)
    assert "databricks-sdk-py" in made["agent"]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_status_is_answered_in_the_front_ends_words_and_nothing_is_done(workspace: Workspace, status: int) -> None:
    workspace.control("POST", "faults", json={"action": "status", "status": status, "path": "mkdirs"})
    answer = workspace.call("POST", "2.0/workspace/mkdirs", json={"path": "/delivery"})
    assert answer.status_code == status
    assert {"error_code", "message"} <= set(answer.json())
    assert workspace.call("GET", STATUS, params={"path": "/delivery"}).status_code == 404
    assert workspace.call("POST", "2.0/workspace/mkdirs", json={"path": "/delivery"}).status_code == 200


def test_the_sdk_gets_over_a_429_by_itself(workspace: Workspace) -> None:
    fault = {"action": "status", "status": 429, "headers": {"Retry-After": "0"}, "path": "mkdirs", "count": 2}
    workspace.control("POST", "faults", json=fault)
    workspace.sdk().workspace.mkdirs("/delivery")
    assert workspace.object_id("/delivery")


@pytest.mark.parametrize(("action", "done"), [("reset-before", False), ("reset-after", True)])
def test_a_dropped_connection_does_the_work_or_not_as_ordered(workspace: Workspace, action: str, done: bool) -> None:
    workspace.control("POST", "faults", json={"action": action, "path": "import$"})
    body = {"path": "/Shared/a", "format": "SOURCE", "language": "PYTHON", "content": "", "overwrite": True}
    with pytest.raises(httpx.TransportError):
        workspace.call("POST", "2.0/workspace/import", json=body)
    found = workspace.call("GET", STATUS, params={"path": "/Shared/a"}).status_code
    assert found == (200 if done else 404)
    assert workspace.call("POST", "2.0/workspace/import", json=body).status_code == 200


def test_a_delay_is_a_delay_and_others_are_served_meanwhile(workspace: Workspace) -> None:
    workspace.control("POST", "faults", json={"action": "delay", "seconds": 0.5, "path": "path=%2FShared"})
    port = int(workspace.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as slow:
        token = CREDENTIALS["administrator"]
        head = f"GET /api/{STATUS}?path=%2FShared HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
        slow.sendall(head.encode())
        while not any(entry["fault"] == "delay" for entry in workspace.control("GET", "requests").json()):
            time.sleep(0.01)
        assert workspace.call("GET", STATUS, params={"path": "/Users"}).status_code == 200
        log = workspace.control("GET", "requests").json()
        assert [entry["status"] for entry in log if entry["fault"]] == [None]
        assert slow.recv(4096).startswith(b"HTTP/1.1 200")


def test_no_secret_and_no_token_is_in_the_log(workspace: Workspace) -> None:
    sdk = workspace.sdk()
    sdk.secrets.create_scope("made")
    sdk.secrets.put_secret("made", "k", string_value="canary-4e1d")
    log = workspace.control("GET", "requests").text
    assert "canary-4e1d" not in log
    assert not any(token in log for token in CREDENTIALS.values())


def test_content_stays_the_same_when_an_overwrite_is_refused(workspace: Workspace) -> None:
    workspace.notebook("/Shared/a")
    body = {"path": "/Shared/a", "format": "JUPYTER", "content": "e30=", "overwrite": True}
    assert workspace.call("POST", "2.0/workspace/import", json=body).status_code == 400
    assert workspace.sdk().workspace.download("/Shared/a").read() == NOTEBOOK

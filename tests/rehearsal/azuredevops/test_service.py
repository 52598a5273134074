"""The service as a process: state that outlives it, reset, faults."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from rehearsal.azuredevops import create_app
from rehearsal.azuredevops.users import ADMINISTRATOR
from rehearsal.service import Background, listen
from tests.rehearsal.azuredevops.organization import (
    CONTROL_TOKEN,
    CREDENTIALS,
    SOCKETS_LEFT_OPEN,
    Organization,
    git,
    project_body,
    work_tree,
)

pytestmark = SOCKETS_LEFT_OPEN

_SERVE = """
import json, sys
from pathlib import Path
from rehearsal import service
from rehearsal.azuredevops import create_app
state, port = Path(sys.argv[1]), int(sys.argv[2])
app = create_app(state, control_token="control-token", credentials=json.loads(sys.stdin.read()))
service.server(app).run(sockets=[service.listen(port)])
"""


@contextmanager
def process(state: Path, port: int) -> Iterator[tuple[Organization, "subprocess.Popen[str]"]]:
    """The service in a process of its own."""
    started = subprocess.Popen(
        [sys.executable, "-c", _SERVE, str(state), str(port)],
        cwd=Path(__file__).parents[3],
        stdin=subprocess.PIPE,
        text=True,
    )
    assert started.stdin is not None
    with started.stdin as secrets:
        secrets.write('{"administrator": "pat-of-administrator", "dana": "pat-of-dana"}')
    organization = Organization(f"http://127.0.0.1:{port}")
    try:
        while True:
            try:
                httpx.get(f"{organization.root}/_rehearsal/health").raise_for_status()
                break
            except httpx.HTTPError:
                assert started.poll() is None
                time.sleep(0.05)
        yield organization, started
    finally:
        started.kill()
        started.wait()


def free_port() -> int:
    with listen() as listener:
        return int(listener.getsockname()[1])


def test_what_was_answered_survives_a_sigkill(tmp_path: Path) -> None:
    port = free_port()
    tree = work_tree(tmp_path / "tree")
    with process(tmp_path / "state", port) as (organization, started):
        project = organization.new_project("Survivor")
        environment = organization.clients().get_task_agent_client().add_environment({"name": "test"}, project.id)
        git(tree, "push", "--quiet", organization.remote("Survivor", "Survivor"), "main")
        os.kill(started.pid, signal.SIGKILL)
        started.wait()
    with process(tmp_path / "state", port) as (organization, _):
        clients = organization.clients()
        assert clients.get_core_client().get_project("Survivor").id == project.id
        assert clients.get_task_agent_client().get_environment_by_id(project.id, environment.id).name == "test"
        heads = git(tree, "ls-remote", organization.remote("Survivor", "Survivor"), "refs/heads/main").stdout
        assert heads.split()[0] == git(tree, "rev-parse", "HEAD").stdout.strip()
        # Numbers go on where they were: nothing that was deleted comes back under another name.
        again = clients.get_task_agent_client().add_environment({"name": "other"}, project.id)
        assert again.id > environment.id


def test_a_death_in_the_middle_is_put_right_at_the_next_start(tmp_path: Path) -> None:
    """What a death leaves: a folder without its entry, and refs that nobody has written down."""
    tree = work_tree(tmp_path / "tree")
    state = tmp_path / "state"
    with Background(create_app(state, control_token=CONTROL_TOKEN, credentials=CREDENTIALS)) as root:
        project = Organization(root).new_project("Whole")
    (folder,) = (state / "repositories").iterdir()
    git(tree, "push", "--quiet", str(folder), "main")
    (state / "repositories/00000000-0000-0000-0000-000000000000.git").mkdir()
    with Background(create_app(state, control_token=CONTROL_TOKEN, credentials=CREDENTIALS)) as root:
        (repository,) = Organization(root).clients().get_git_client().get_repositories(project.id)
        assert (repository.name, repository.default_branch) == ("Whole", "refs/heads/main")
    assert list((state / "repositories").iterdir()) == [folder]


def test_reset_gives_the_first_day_back(tmp_path: Path) -> None:
    with Background(create_app(tmp_path, control_token=CONTROL_TOKEN, credentials=CREDENTIALS)) as root:
        organization = Organization(root)
        organization.new_project("Gone")
        graph = organization.clients().get_graph_client()
        users = [each.descriptor for each in graph.list_users().graph_users]
        with organization.control() as control:
            control.post("/reset").raise_for_status()
        assert organization.clients().get_core_client().get_projects() == []
        assert [each.descriptor for each in graph.list_users().graph_users] == users
        assert list((tmp_path / "repositories").iterdir()) == []
        organization.new_project("Gone")


@pytest.fixture
def faulty(organization: Organization) -> Iterator[httpx.Client]:
    with organization.control() as control:
        yield control
        control.delete("/faults").raise_for_status()


@pytest.mark.parametrize(
    ("status", "media", "words"),
    [
        (429, "application/json", "TF400733"),
        (500, "application/json", "TF400898"),
        (502, "text/html", "Bad Gateway"),
        (503, "text/html", "Service Unavailable"),
        (504, "text/html", "Gateway Timeout"),
    ],
)
def test_a_fault_has_the_front_ends_words_and_does_nothing(
    organization: Organization, faulty: httpx.Client, status: int, media: str, words: str
) -> None:
    body = project_body(f"Fault {status}")
    order = {
        "action": "status",
        "status": status,
        "method": "POST",
        "path": "_apis/projects",
        "headers": {"Retry-After": "1"},
    }
    faulty.post("/faults", json=order).raise_for_status()
    with organization.http() as http:
        answer = http.post("/_apis/projects", json=body)
        assert (answer.status_code, answer.headers["retry-after"]) == (status, "1")
        assert answer.headers["content-type"].startswith(media)
        assert words in answer.text
        assert http.get(f"/_apis/projects/Fault {status}").status_code == 404
        assert http.post("/_apis/projects", json=body).status_code == 202


@pytest.mark.parametrize(("action", "done"), [("reset-before", False), ("reset-after", True)])
def test_a_connection_is_lost_before_or_after_the_work(
    organization: Organization, faulty: httpx.Client, action: str, done: bool
) -> None:
    name = f"Lost {action}"
    faulty.post("/faults", json={"action": action, "method": "POST", "path": "_apis/projects"}).raise_for_status()
    with organization.http() as http:
        with pytest.raises(httpx.TransportError):
            http.post("/_apis/projects", json=project_body(name))
        assert http.get(f"/_apis/projects/{name}").status_code == (200 if done else 404)


def test_a_push_is_cut_off_after_it_was_taken(organization: Organization, faulty: httpx.Client, tmp_path: Path) -> None:
    project = organization.new_project()
    url = organization.remote(project.name, project.name.replace(" ", "%20"))
    tree = work_tree(tmp_path / "tree")
    faulty.post("/faults", json={"action": "reset-after", "method": "POST", "path": "git-receive-pack"})
    assert git(tree, "push", url, "main", check=False).returncode != 0
    assert (
        git(tree, "ls-remote", url, "refs/heads/main").stdout.split()[0]
        == git(tree, "rev-parse", "HEAD").stdout.strip()
    )
    assert "Everything up-to-date" in git(tree, "push", url, "main").stderr


def test_pushes_from_all_sides_arrive_once_each(organization: Organization, tmp_path: Path) -> None:
    project = organization.new_project()
    url = organization.remote(project.name, project.name.replace(" ", "%20"))
    tree = work_tree(tmp_path / "tree")
    git(tree, "push", "--quiet", url, "main")
    tip = git(tree, "rev-parse", "HEAD").stdout.strip()
    client = organization.clients().get_git_client()

    def push(number: int) -> None:
        if number % 2:
            git(tree, "push", "--quiet", url, f"main:refs/heads/git-{number}")
        else:
            update = {"name": f"refs/heads/rest-{number}", "oldObjectId": "0" * 40, "newObjectId": tip}
            assert client.update_refs([update], project.name, project=project.id)[0].success

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(push, range(16)))
    assert len(client.get_refs(project.name, project=project.id)) == 17
    assert sorted(each.push_id for each in client.get_pushes(project.name, project=project.id)) == list(range(1, 18))


def test_locations_are_published_completely(organization: Organization) -> None:
    fields = [
        "id",
        "area",
        "resourceName",
        "routeTemplate",
        "resourceVersion",
        "minVersion",
        "maxVersion",
        "releasedVersion",
    ]
    for base in (organization.url.upper().replace("HTTP", "http"), f"{organization.root}/vssps/rehearsal"):
        answer = httpx.options(f"{base}/_apis", auth=("", CREDENTIALS[ADMINISTRATOR])).json()
        assert answer["count"] == len(answer["value"]) > 10
        assert all(each[field] is not None for each in answer["value"] for field in fields)
        assert len({each["id"] for each in answer["value"]}) == answer["count"]


def test_an_unknown_path_and_a_wrong_method_are_refused_in_the_services_shape(organization: Organization) -> None:
    with organization.http() as http:
        assert http.get("/_apis/nowhere").json()["$id"] == "1"
        assert http.get("/_apis/nowhere").status_code == 404
        assert http.delete("/_apis/process/processes").status_code == 405
        assert http.post("/_apis/projects", content=b"{").status_code == 400
        assert http.post("/_apis/projects", json=[]).status_code == 400
        unversioned = http.post("/_apis/projects", json=project_body("x"), headers={"Accept": "application/json"})
        assert (unversioned.status_code, unversioned.json()["typeKey"]) == (400, "VssVersionNotSpecifiedException")
        assert http.post("/_apis/projects", json={"name": "x", "capabilities": "?"}).json()["$id"] == "1"


def test_an_unknown_user_key_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="credentials for somebody; there are: administrator, dana"):
        create_app(tmp_path, control_token=CONTROL_TOKEN, credentials={"somebody": "x"})

"""Mails and webhooks of runs."""

import email
import email.policy
import json
from collections.abc import Iterator
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from databricks.sdk.errors import BadRequest, NotFound, PermissionDenied
from databricks.sdk.service.settings import Config, EmailConfig, GenericWebhookConfig, SlackConfig

from rehearsal.databricks.notifications import RefusedUrlError, check_url
from tests.rehearsal.databricks import run_helpers as jobs
from tests.rehearsal.databricks.clients import CREDENTIALS, Workspace

EVERY = ("on_start", "on_success", "on_failure", "on_duration_warning_threshold_exceeded")
TO = "ops@city.example"


class Receiver(ThreadingHTTPServer):
    """A destination: what was posted to it, with the headers; `broken` is how many posts it refuses."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[tuple[dict[str, Any], dict[str, str]]] = []
        self.broken = 0
        self.url = f"http://127.0.0.1:{self.server_port}/hook?key=canary-91"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Receiver)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.broken > 0:
            self.server.broken -= 1
            self.send_response(503)
        else:
            self.server.got.append((body, dict(self.headers)))
            self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(5)


def destination(workspace: Workspace, url: str, **more: Any) -> str:
    config = Config(generic_webhook=GenericWebhookConfig(url=url, **more))
    made = workspace.sdk().notification_destinations.create(display_name="ops", config=config)
    assert made.id is not None
    return made.id


def mails(workspace: Workspace) -> list[EmailMessage]:
    files = sorted((workspace.state / "mail").glob("*.eml"))
    found = [email.message_from_bytes(each.read_bytes(), policy=email.policy.default) for each in files]
    return [each for each in found if isinstance(each, EmailMessage)]


def subjects(workspace: Workspace, count: int) -> list[str]:
    """Of the mails, when there are so many."""
    jobs.until(lambda: len(mails(workspace)) >= count, f"{count} mails")
    return [str(each["Subject"]) for each in mails(workspace)]


def page(workspace: Workspace, job_id: int, run_id: int | None) -> str:
    headers = {"Authorization": f"Bearer {CREDENTIALS['administrator']}"}
    return workspace.plain("GET", f"/jobs/{job_id}/runs/{run_id}", headers=headers).text


def to_mail(*events: str) -> dict[str, list[str]]:
    return {each: [TO] for each in events}


def test_a_failed_job_is_told_by_mail_with_what_went_wrong(workspace: Workspace) -> None:
    job_id = jobs.graph(
        workspace, {"watch": "fail bronze_trips is 3 days old"}, {}, email_notifications=to_mail(*EVERY)
    )
    run = jobs.run(workspace, job_id)
    assert subjects(workspace, 2) == ["[Databricks] Job job started", "[Databricks] Job job failed"]
    message = mails(workspace)[1]
    assert (message["To"], message["X-RcptTo"]) == (TO, TO)
    text = message.get_content()
    assert "Task watch, attempt 0: ValueError: bronze_trips is 3 days old" in text
    assert run.run_page_url is not None
    assert run.run_page_url in text


def test_a_webhook_gets_the_documented_payload(workspace: Workspace, receiver: Receiver) -> None:
    hook = {each: [{"id": destination(workspace, receiver.url, username="u", password="p-canary")}] for each in EVERY}
    edges = {"a": {"webhook_notifications": hook}}
    job_id = jobs.graph(workspace, {"a": ""}, edges, webhook_notifications=hook, name="nightly")
    run = jobs.run(workspace, job_id)
    task_run_id = jobs.attempt_of(run, "a").run_id
    jobs.until(lambda: len(receiver.got) == 4, "four posts")
    of_job = {"job_id": job_id, "name": "nightly"}
    whole: dict[str, Any] = {"workspace_id": 1234567890123456, "run": {"run_id": run.run_id}, "job": of_job}
    part = whole | {"task": {"task_key": "a"}, "run": {"run_id": task_run_id, "parent_run_id": run.run_id}}
    assert [body for body, _ in receiver.got] == [
        whole | {"event_type": "jobs.on_start"},
        part | {"event_type": "jobs.on_start"},
        part | {"event_type": "jobs.on_success"},
        whole | {"event_type": "jobs.on_success"},
    ]
    assert receiver.got[0][1]["Authorization"] == "Basic dTpwLWNhbmFyeQ=="


def test_a_destination_that_fails_is_tried_again_and_fails_no_run(workspace: Workspace, receiver: Receiver) -> None:
    receiver.broken = 2
    hook = {"on_success": [{"id": destination(workspace, receiver.url)}]}
    job_id = jobs.graph(workspace, {"a": ""}, {}, webhook_notifications=hook)
    assert jobs.result(jobs.run(workspace, job_id)) == "SUCCESS"
    jobs.until(lambda: receiver.got, "the third try")
    receiver.broken = 100
    run = jobs.run(workspace, job_id)
    assert jobs.result(run) == "SUCCESS"
    jobs.until(lambda: "3 tries" in page(workspace, job_id, run.run_id), "the third try")
    shown = page(workspace, job_id, run.run_id)
    assert "the destination answered 503" in shown
    assert "canary-91" not in shown
    assert receiver.broken == 97


def test_an_address_of_another_machine_is_refused_by_name(workspace: Workspace) -> None:
    hook = {"on_start": [{"id": destination(workspace, "https://hooks.city.example/x")}]}
    job_id = jobs.graph(workspace, {"a": ""}, {}, webhook_notifications=hook)
    run = jobs.run(workspace, job_id)
    assert jobs.result(run) == "SUCCESS"
    jobs.until(lambda: "not to hooks.city.example" in page(workspace, job_id, run.run_id), "the refusal")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://localhost/x", "http://[::1]:8/", "http://127.9.9.9/"])
def test_addresses_of_this_machine_are_accepted(url: str) -> None:
    assert check_url(url) == url


@pytest.mark.parametrize(
    "url", ["http://example.org/", "http://10.0.0.1/", "file:///etc/passwd", "http://127.0.0.1.example.org/", "x", ""]
)
def test_other_addresses_are_not(url: str) -> None:
    with pytest.raises(RefusedUrlError):
        check_url(url)


def test_a_run_that_takes_too_long_is_told_once_while_it_runs(workspace: Workspace) -> None:
    gate = workspace.state / "gate"
    rules = {"rules": [{"metric": "RUN_DURATION_SECONDS", "op": "GREATER_THAN", "value": 0}]}
    job_id = jobs.graph(workspace, {"a": f"wait {gate}"}, {}, health=rules, email_notifications=to_mail(EVERY[3]))
    run_id = jobs.start(workspace, job_id)
    assert subjects(workspace, 1) == ["[Databricks] Job job takes longer than its duration warning threshold"]
    assert jobs.state(workspace.sdk().jobs.get_run(run_id)) == "RUNNING"
    gate.touch()
    jobs.finished(workspace, run_id)
    gate.unlink()
    assert len(mails(workspace)) == 1


def test_retries_are_told_by_the_task_and_not_by_the_job(workspace: Workspace) -> None:
    edges = {"a": {"max_retries": 1, "email_notifications": to_mail("on_failure", "on_success")}}
    job_id = jobs.graph(workspace, {"a": "fail-until 1"}, edges, email_notifications=to_mail("on_failure"))
    jobs.run(workspace, job_id)
    assert subjects(workspace, 2) == [
        "[Databricks] Task a of job job failed",
        "[Databricks] Task a of job job succeeded",
    ]


def test_skipped_and_cancelled_runs_are_told_unless_muted(workspace: Workspace) -> None:
    tell = {"email_notifications": to_mail("on_failure")}
    muted = {"no_alert_for_skipped_runs": True, "no_alert_for_canceled_runs": True}
    loud = jobs.graph(workspace, {"a": "sleep 300"}, {}, name="loud", **tell)
    quiet = jobs.graph(workspace, {"a": "sleep 300"}, {}, name="quiet", notification_settings=muted, **tell)
    for job_id in (quiet, loud):
        first = jobs.start(workspace, job_id)
        jobs.running(workspace, first, "a")
        jobs.finished(workspace, jobs.start(workspace, job_id))
        workspace.sdk().jobs.cancel_run(first)
        jobs.finished(workspace, first)
    assert subjects(workspace, 2) == ["[Databricks] Job loud failed"] * 2


def test_a_destination_can_be_a_mail_address(workspace: Workspace) -> None:
    config = Config(email=EmailConfig(addresses=["a@city.example", "b@city.example"]))
    made = workspace.sdk().notification_destinations.create(display_name="people", config=config)
    job_id = jobs.graph(workspace, {"a": ""}, {}, webhook_notifications={"on_success": [{"id": made.id}]})
    jobs.run(workspace, job_id)
    subjects(workspace, 2)
    assert {str(each["To"]) for each in mails(workspace)} == {"a@city.example", "b@city.example"}


def test_what_is_secret_of_a_destination_is_never_shown_again(workspace: Workspace) -> None:
    api = workspace.sdk().notification_destinations
    number = destination(workspace, "http://127.0.0.1:1/canary-url", username="canary-user", password="canary-password")
    shown = api.get(number)
    assert shown.config is not None
    assert shown.config.generic_webhook is not None
    hook = shown.config.generic_webhook
    assert (hook.url, hook.username, hook.password) == (None, None, None)
    assert (hook.url_set, hook.username_set, hook.password_set) == (True, True, True)
    assert [each.id for each in api.list()] == [number]
    api.update(number, display_name="renamed", config=Config(generic_webhook=GenericWebhookConfig(password="other")))
    assert api.get(number).display_name == "renamed"
    for path in (f"/{number}", ""):
        assert "canary" not in workspace.call("GET", f"2.0/notification-destinations{path}").text
    assert workspace.sdk("dana").notification_destinations.get(number).config is None
    for attempt in (api.create, lambda **_: workspace.sdk("dana").notification_destinations.delete(number)):
        with pytest.raises((PermissionDenied, BadRequest)):
            attempt(display_name="x", config=Config(slack=SlackConfig(url="https://slack.example")))
    api.delete(number)
    with pytest.raises(NotFound):
        api.get(number)

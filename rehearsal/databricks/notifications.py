"""Notifications of runs and tasks: who is told what, and the sending of it by mail and webhook.

docs.databricks.com/jobs/notifications: the events, the mute settings and the payload of an HTTP webhook; job-level
notifications are not sent for attempts that are retried. What is to be sent is kept in the store and sent by a thread
of its own: a server that answers late or never holds up no run, and none is lost with the process. How the service
words its mails is not documented; the words here are the rehearsal's.
"""

import smtplib
import threading
from collections.abc import Callable
from email.message import EmailMessage
from email.utils import format_datetime, localtime, make_msgid
from typing import Any
from urllib.parse import urlsplit

from rehearsal.databricks import run_documents
from rehearsal.databricks.addresses import is_local
from rehearsal.store import Document, Store

ORG_ID = 1234567890123456
"""The workspace's number. The newest provider reads it from the answer's header, whatever it asked for."""

EVENTS = {
    "on_start": "started",
    "on_success": "succeeded",
    "on_failure": "failed",
    "on_duration_warning_threshold_exceeded": "takes longer than its duration warning threshold",
}
SENDER = "Databricks <noreply@databricks.rehearsal.example>"
_TRIES = 3


class RefusedUrlError(Exception):
    """The rehearsal doesn't call this address; the message names it."""


def post_end(store: Store, run: Document, attempt: Document | None, end: Document, *, last: bool) -> None:
    """Notes the notifications of an end, unless the settings mute them.

    Args:
        store, run: the caller keeps the run.
        attempt: of a task; None for the run itself.
        end: see `run_states.ending`.
        last: whether there is no other attempt.
    """
    settings = run_documents.task_of(run, attempt) if attempt else run["settings"]
    muted = settings.get("notification_settings") or {}
    old = settings.get("email_notifications") or {}
    result = end["result"]
    if result in ("EXCLUDED", "DISABLED"):
        return  # counted as successful, and nothing was done
    if result in ("SKIPPED", "UPSTREAM_FAILED", "UPSTREAM_CANCELED"):
        if muted.get("no_alert_for_skipped_runs") or old.get("no_alert_for_skipped_runs"):
            return
    elif result == "CANCELED" and muted.get("no_alert_for_canceled_runs"):
        return
    if muted.get("alert_on_last_attempt") and not last:
        return
    post(store, run, attempt, "on_success" if result in ("SUCCESS", "SUCCESS_WITH_FAILURES") else "on_failure")


def post(store: Store, run: Document, attempt: Document | None, event: str) -> None:
    """Notes one notification for each mail address and each destination that the settings name for the event."""
    settings = run_documents.task_of(run, attempt) if attempt else run["settings"]
    addresses = (settings.get("email_notifications") or {}).get(event) or []
    hooks = (settings.get("webhook_notifications") or {}).get(event) or []
    if attempt and attempt["attempt_number"] and event == "on_start":
        muted = settings.get("notification_settings") or {}
        if muted.get("alert_on_last_attempt"):
            return
    targets = [("email", str(each)) for each in addresses] + [("webhook", str(each.get("id"))) for each in hooks]
    for channel, target in targets:
        number = store.next_number("notice")
        key = f"{run['run_id']}-{number:012d}"
        notice: Document = {
            "channel": channel,
            "to": target,
            "event": event,
            "at": run_documents.now(),
            "state": "PENDING",
            "error": "",
            "tries": 0,
            "payload": payload(run, attempt, event),
            "subject": _subject(run, attempt, event),
            "text": _text(run, attempt, event),
        }
        store.put("notice", key, notice)
        store.put("outbox", key, {})


def payload(run: Document, attempt: Document | None, event: str) -> Document:
    """What an HTTP webhook gets."""
    body: Document = {"event_type": f"jobs.{event}", "workspace_id": ORG_ID}
    if attempt:
        body["task"] = {"task_key": attempt["task_key"]}
        body["run"] = {"run_id": attempt["run_id"], "parent_run_id": run["run_id"]}
    else:
        body["run"] = {"run_id": run["run_id"]}
    return body | {"job": {"job_id": run["job_id"], "name": run["name"]}}


def of_run(store: Store, run_id: int) -> list[Document]:
    """The notifications of a run, the oldest first."""
    return store.all("notice", f"{run_id}-")


def _subject(run: Document, attempt: Document | None, event: str) -> str:
    what = f"Task {attempt['task_key']} of job {run['name']}" if attempt else f"Job {run['name']}"
    return f"[Databricks] {what} {EVENTS[event]}".replace("\n", " ").replace("\r", " ")


def _text(run: Document, attempt: Document | None, event: str) -> str:
    of = attempt or run
    lines = [
        f"Workspace: {run['host']} ({ORG_ID})",
        f"Job: {run['name']} ({run['job_id']})",
        *([f"Task: {attempt['task_key']}, attempt {attempt['attempt_number']}"] if attempt else []),
        f"Run: {of['run_id']}",
        f"Event: {event}",
    ]
    end = of.get("ending")
    if end:
        lines.append(f"Result: {end['result']}")
        lines += [f"Message: {end['message']}"] if end["message"] else []
        error = of.get("output", {}).get("error")
        lines += [f"Error: {error}"] if error else []
        for each in [] if attempt else run["attempts"]:
            told = each.get("output", {}).get("error")
            lines += [f"Task {each['task_key']}, attempt {each['attempt_number']}: {told}"] if told else []
    lines.append(f"{run['host']}/jobs/{run['job_id']}/runs/{run['run_id']}")
    return "\n".join(lines) + "\n"


def check_url(url: str) -> str:
    """The address, when it is one of this machine.

    Raises:
        RefusedUrlError: it is another's.
    """
    if not is_local(url):
        raise RefusedUrlError(
            f"The rehearsal sends webhooks to this machine only, not to {urlsplit(url).hostname or url}"
        )
    return url


class DeliveryError(Exception):
    """A webhook could not be called, or answered with an error."""


class Sender:
    """Sends what `post` noted, in a thread that lives as long as there is something to send.

    Args:
        store: holds it.
        server: host and port of the mail server, asked for when there is a mail to send.
        retry_seconds: between two tries.
    """

    def __init__(self, store: Store, server: Callable[[], tuple[str, int]], retry_seconds: float) -> None:
        self._store = store
        self._server = server
        self._retry_seconds = retry_seconds
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    def wake(self) -> None:
        """Sees to it that what is noted gets sent."""
        with self._lock:
            running = self._thread is not None and self._thread.is_alive()
            if not running and not self._stopping.is_set() and self._store.items("outbox"):
                self._thread = threading.Thread(target=self._run, name="notifications", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Ends the thread; what is not sent yet stays noted."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(15)

    def _run(self) -> None:
        while not self._stopping.is_set():
            waiting = self._store.items("outbox")
            if not waiting:
                return
            for key, _ in waiting:
                if self._stopping.is_set():
                    return
                self._send(key)
            if self._store.items("outbox"):
                self._stopping.wait(self._retry_seconds)

    def _send(self, key: str) -> None:
        notice = self._store.get("notice", key)
        if notice is None:
            self._store.delete("outbox", key)
            return
        error = None
        try:
            if notice["channel"] == "email":
                self._mail(notice["to"], notice)
            else:
                self._call(notice)
        except RefusedUrlError as refused:
            error, notice["tries"] = str(refused), _TRIES - 1
        except (OSError, smtplib.SMTPException, DeliveryError, ValueError) as failed:
            error = f"{type(failed).__name__}: {failed}"
        notice["tries"] += 1
        over = error is None or notice["tries"] >= _TRIES
        notice |= {"error": error or "", "state": "SENT" if error is None else "FAILED" if over else "PENDING"}
        with self._store.transaction():
            if self._store.get("notice", key) is not None:  # the run may have been deleted meanwhile
                self._store.put("notice", key, notice)
            if over:
                self._store.delete("outbox", key)

    def _mail(self, to: str, notice: Document) -> None:
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = SENDER, to, notice["subject"]
        message["Date"], message["Message-ID"] = format_datetime(localtime()), make_msgid(domain="rehearsal.example")
        message.set_content(notice["text"])
        host, port = self._server()
        with smtplib.SMTP(host, port, timeout=10) as client:
            client.send_message(message)

    def _call(self, notice: Document) -> None:
        destination = self._store.get("destination", notice["to"])
        if destination is None:
            raise RefusedUrlError(f"There is no notification destination {notice['to']}")
        config: dict[str, Any] = destination["config"]
        if "email" in config:
            for each in config["email"].get("addresses") or []:
                self._mail(each, notice)
            return
        import httpx  # noqa: PLC0415 - takes a tenth of the time that the service needs to start

        hook = config["generic_webhook"]
        auth = httpx.BasicAuth(hook["username"], hook.get("password", "")) if hook.get("username") else None
        # Without `trust_env` no proxy of the user's comes in between.
        with httpx.Client(trust_env=False, timeout=10, auth=auth) as client:
            try:
                client.post(check_url(hook["url"]), json=notice["payload"]).raise_for_status()
            except httpx.HTTPStatusError as refused:
                # Not the library's words: they name the address, which may hold a secret.
                raise DeliveryError(f"the destination answered {refused.response.status_code}") from None
            except httpx.HTTPError as failed:
                raise DeliveryError(type(failed).__name__) from None

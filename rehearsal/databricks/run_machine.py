"""How a run goes on: from what was seen of its processes to the next state of each task.

Nothing here starts, ends or waits for anything; the scheduler does, before and after.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rehearsal.databricks import notifications, run_documents, run_states
from rehearsal.databricks.run_states import ending
from rehearsal.store import Document, Store

HOLDS_SLOT = ("PENDING", "RUNNING", "TERMINATING")


@dataclass(kw_only=True)
class Turn:
    """One look at one run.

    Args:
        store: for numbers, tokens and notifications; the caller's transaction is open.
        run: the run's document; it is changed in place.
        now: milliseconds since 1970.
        seen: by attempt what became of it: `{"ending", "output", "values"}`.
        may_start: whether another run of its job may begin.
        slots: how many more processes there may be; those that become PENDING are to be started.
        changed: whether the run is another than before; set here.
    """

    store: Store
    run: Document
    now: int
    seen: Mapping[int, Document]
    may_start: Callable[[], bool]
    slots: int
    changed: bool = False


def advance(turn: Turn) -> None:
    """Takes the run as far as it goes without waiting."""
    run = turn.run
    before = None
    if run["phase"] == "QUEUED" and not _leave_queue(turn):
        return
    while before != (before := _picture(run)):
        _look_at_attempts(turn)
        _stop_what_must(turn)
        _follow_the_graph(turn)
    _warn(turn)
    if all(each["phase"] == "TERMINATED" for each in run_documents.latest(run).values()):
        _end_run(turn, _outcome(run))


def _picture(run: Document) -> list[tuple[int, str, bool]]:
    return [(each["run_id"], each["phase"], each["kill"] is None) for each in run["attempts"]]


def _leave_queue(turn: Turn) -> bool:
    run = turn.run
    if run["cancelled"]:
        for each in run_documents.latest(run).values():
            _end_attempt(turn, each, ending("CANCELED", "Run cancelled."), quiet=True)
        _end_run(turn, ending("CANCELED", "Run cancelled."))
        return False
    if turn.may_start():
        run["phase"], run["queue_reason"], run["running_since"] = "RUNNING", None, turn.now
        turn.changed = True
        if len(run["repairs"]) == 1:
            notifications.post(turn.store, run, None, "on_start")
        return True
    if run["queue"]:
        turn.changed = turn.changed or run["queue_reason"] is None
        run["queue_reason"] = "MAX_CONCURRENT_RUNS_REACHED"
        return False
    words = "Skipped due to reaching maximum concurrent runs of the job."
    skipped = ending("SKIPPED", words, code="MAX_CONCURRENT_RUNS_EXCEEDED")
    for each in run_documents.latest(run).values():
        _end_attempt(turn, each, skipped, quiet=True)
    _end_run(turn, skipped)
    return False


def _look_at_attempts(turn: Turn) -> None:
    for attempt in list(turn.run["attempts"]):
        seen = turn.seen.get(attempt["run_id"])
        if seen is None or attempt["phase"] not in HOLDS_SLOT:
            continue
        attempt["output"], attempt["values"] = seen["output"], seen["values"]
        killed = attempt["kill"]
        _end_attempt(turn, attempt, killed["ending"] if killed else seen["ending"])


def _stop_what_must(turn: Turn) -> None:
    """Cancellation, and the time limits of the run and of its tasks."""
    run, now = turn.run, turn.now
    limit = run["settings"].get("timeout_seconds") or 0
    why = None
    if run["cancelled"]:
        why = ending("CANCELED", "Run cancelled.")
    elif run.get("timed_out") or (limit and now - run["running_since"] >= limit * 1000):
        run["timed_out"] = True
        why = ending("TIMEDOUT", f"Run timed out after {limit} seconds.")
    for attempt in run_documents.latest(run).values():
        task = run_documents.task_of(run, attempt)
        own = task.get("timeout_seconds") or 0
        if why is not None:
            _stop(turn, attempt, why)
        elif attempt.get("cancelled"):
            _stop(turn, attempt, ending("CANCELED", "Task run cancelled."))
        elif own and attempt["phase"] == "RUNNING" and now - attempt["running_since"] >= own * 1000:
            _stop(turn, attempt, ending("TIMEDOUT", f"Task timed out after {own} seconds."))


def _stop(turn: Turn, attempt: Document, why: Document) -> None:
    if attempt["phase"] == "TERMINATED" or attempt["kill"]:
        return
    turn.changed = True
    if attempt["process"]:
        attempt["kill"], attempt["phase"] = {"ending": why}, "TERMINATING"
    else:
        _end_attempt(turn, attempt, why)


def _follow_the_graph(turn: Turn) -> None:
    run = turn.run
    latest = run_documents.latest(run)
    for key, attempt in latest.items():
        if attempt["phase"] == "WAITING" and turn.now >= attempt["not_before"]:
            attempt["phase"], turn.changed = "BLOCKED", True
        if attempt["phase"] == "BLOCKED":
            _unblock(turn, key, attempt, latest)
        if attempt["phase"] == "QUEUED" and turn.slots > 0:
            turn.slots -= 1
            attempt["phase"], attempt["start_time"], turn.changed = "PENDING", turn.now, True
            attempt.pop("queue_reason", None)


def _unblock(turn: Turn, key: str, attempt: Document, latest: dict[str, Document]) -> None:
    task = run_documents.task_of(turn.run, attempt)
    upstream = [latest[each["task_key"]] for each in task.get("depends_on") or []]
    if any(each["phase"] != "TERMINATED" for each in upstream):
        return
    turn.changed = True
    if key in turn.run["disabled"] or task.get("disabled"):
        _end_attempt(turn, attempt, ending("DISABLED", "The task is disabled in this run."))
        return
    # Of a run with `only`, the tasks that it leaves out stop nobody: that is what it is for.
    results = [each["ending"]["result"] for each in upstream if each["task_key"] not in turn.run["disabled"]]
    never = run_states.decide(task.get("run_if") or "ALL_SUCCESS", results)
    if never is not None:
        _end_attempt(turn, attempt, never)
    else:
        attempt["phase"], attempt["queued_at"] = "QUEUED", turn.now
        attempt["queue_reason"] = "ACTIVE_RUNS_LIMIT_REACHED"


def _end_attempt(turn: Turn, attempt: Document, end: Document, *, quiet: bool = False) -> None:
    run = turn.run
    if attempt["phase"] == "TERMINATED":
        return
    turn.changed = True
    attempt |= {"phase": "TERMINATED", "ending": end, "end_time": turn.now, "kill": None}
    attempt["start_time"] = attempt["start_time"] or turn.now
    if attempt.get("token"):
        turn.store.delete("run_token", attempt.pop("token"))
    again = not quiet and _retries(run, attempt, end)
    if again:
        task = run_documents.task_of(run, attempt)
        wait = task.get("min_retry_interval_millis") or 0
        run_documents.add_attempt(turn.store, run, attempt["task_key"], retry=True, not_before=turn.now + wait)
    if not quiet:
        notifications.post_end(turn.store, run, attempt, end, last=not again)


def _retries(run: Document, attempt: Document, end: Document) -> bool:
    task = run_documents.task_of(run, attempt)
    if run["cancelled"] or run.get("timed_out"):
        return False
    if end["result"] != "FAILED" and not (end["result"] == "TIMEDOUT" and task.get("retry_on_timeout")):
        return False
    most = task.get("max_retries") or 0
    return bool(most < 0 or attempt["tries"] < most)  # -1: for ever


def _warn(turn: Turn) -> None:
    """Tells once that a run or a task takes longer than its health rule wants."""
    run = turn.run
    waiting: list[tuple[Document | None, Document, int | None]] = [(None, run["settings"], run["running_since"])]
    waiting += [
        (each, run_documents.task_of(run, each), each["start_time"])
        for each in run_documents.latest(run).values()
        if each["phase"] in HOLDS_SLOT
    ]
    for attempt, settings, since in waiting:
        name = str(attempt["run_id"]) if attempt else f"run-{len(run['repairs'])}"
        limit = duration_limit(settings)
        if limit is not None and since and name not in run["warned"] and turn.now - since > limit * 1000:
            run["warned"].append(name)
            turn.changed = True
            notifications.post(turn.store, run, attempt, "on_duration_warning_threshold_exceeded")


def duration_limit(settings: Document) -> int | None:
    """The seconds after which a health rule wants a warning."""
    for rule in (settings.get("health") or {}).get("rules") or []:
        if rule.get("metric") == "RUN_DURATION_SECONDS" and rule.get("op") == "GREATER_THAN":
            return int(rule["value"])
    return None


def _outcome(run: Document) -> Document:
    latest = run_documents.latest(run)
    if run.get("timed_out"):
        return ending("TIMEDOUT", f"Run timed out after {run['settings']['timeout_seconds']} seconds.")
    if run["cancelled"]:
        return ending("CANCELED", "Run cancelled.")
    results = {key: each["ending"] for key, each in latest.items()}
    return run_states.outcome(results, run_documents.leaves(run))


def _end_run(turn: Turn, end: Document) -> None:
    run = turn.run
    run |= {"phase": "TERMINATED", "ending": end, "end_time": turn.now, "queue_reason": None}
    run["repairs"][-1] |= {"end_time": turn.now, "ending": end}
    turn.changed = True
    notifications.post_end(turn.store, run, None, end, last=True)

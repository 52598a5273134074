"""What holds a stage before its first job: the checks of the resources that it uses.

https://learn.microsoft.com/azure/devops/pipelines/process/approvals. The order is the service's: what can't change
(branch control), then approvals and business hours, which are one category there and are asked in this order here, and
the exclusive lock when everything else has passed. A refused branch, a rejected approval and hours that don't come in
time fail the stage; an approval that nobody gives in time skips it; a stage that waits for a lock while a newer run of
its pipeline does, too, is cancelled under `runLatest`.

A gate is kept in the store from its first moment on, with the checks as they were then: what is changed in a check
later, its approvers for one, is nothing to it, and a service that was killed goes on where it was. Who is a member of
a group that may approve is asked when somebody approves.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias

from rehearsal.azuredevops import approvals, build, checks, gates_checks, gates_locks
from rehearsal.azuredevops.context import Service, new_id
from rehearsal.store import Document, Store

State: TypeAlias = Literal["pending", "passed", "failed"]
Result: TypeAlias = Literal["failed", "skipped", "canceled"]
_LOCKS = 3  # the last of the phases, see `_order`


@dataclass(frozen=True, kw_only=True)
class Gate:
    """How it stands with a gate.

    Args:
        state: `pending` until the stage may begin (`passed`) or never will (`failed`).
        reason: for people: for what it waits, or why it failed.
        result: of the stage, where the gate has failed.
        records: for the timeline of the run: one of type `Checkpoint`, whose parent is the stage (`parentId` is None
            here), and one for each check below it. The record of an approval has the approval's id. There are none
            when nothing guards what the stage uses.
    """

    state: State
    reason: str
    result: Result | None
    records: list[Document]


def clock() -> datetime:
    """The time by which checks are judged. Tests set another one."""
    return datetime.now(UTC)


def _text(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _key(project: Document, run: Document, stage: str, attempt: int | None = None) -> str:
    return f"{build.key(project['id'], run['id'])}/{stage}/" + (f"{attempt:04}" if attempt is not None else "")


def advance(  # noqa: PLR0917 - who asks, for which stage, and what it uses
    service: Service,
    project: Document,
    run: Document,
    stage_name: str,
    resources: list[Document],
    lock_behavior: str | None,
    attempt: int = 1,
) -> Gate:
    """Looks whether a stage may begin, and does what brings it there: makes approvals, asks for locks.

    Args:
        service, project, run: the stage's.
        stage_name: the stage's `stage:`.
        resources: what the stage uses: documents with `type` (as `protected.KINDS` has it), `id` and `name`.
        lock_behavior: the stage's or the pipeline's `lockBehavior`; `runLatest` where there is none.
        attempt: which attempt of the stage this is, from 1 on. Each has its own gate.
    """
    store = service.store
    with store.transaction():
        key = _key(project, run, stage_name, attempt)
        gate = store.get("gate", key)
        if gate is None:
            gate = _new(project, run, stage_name, attempt, _checks(store, project, resources))
        elif gate["state"] != "pending":
            return _shown(gate)
        _evaluate(store, project, run, gate, lock_behavior or "runLatest")
        if store.get("gate", key) != gate:
            store.put("gate", key, gate)
        return _shown(gate)


def leave(service: Service, project: Document, run: Document, stage_name: str) -> None:
    """A stage has ended, or has been given up before it began: gives its locks back and ends what is pending of it."""
    store = service.store
    with store.transaction():
        for key, gate in store.items("gate", _key(project, run, stage_name)):
            if gate["left"]:
                continue
            if gate["state"] == "pending":
                _fail(store, gate, "canceled", "The stage was cancelled.")
            _release(store, gate)
            store.put("gate", key, gate | {"left": True})


def _checks(store: Store, project: Document, resources: list[Document]) -> list[Document]:
    """The checks of these resources, in the order in which they are asked."""
    used = {(each["type"], str(each["id"]).lower()) for each in resources}
    found = [
        each
        for each in store.all("check", f"{project['id']}/")
        if (each["resource"]["type"], str(each["resource"]["id"]).lower()) in used
    ]
    return sorted(found, key=_order)


def _new(project: Document, run: Document, stage: str, attempt: int, found: list[Document]) -> Document:
    return {
        "project": project["id"],
        "run": run["id"],
        "definition": run["definition"],
        "stage": stage,
        "attempt": attempt,
        "state": "pending",
        "result": None,
        "reason": "",
        "record": new_id(),
        "startedAt": _text(clock()),
        "finishedAt": None,
        "queued": False,
        "left": False,
        "checks": [
            {
                "check": each,
                "record": new_id(),
                "state": "pending",
                "message": "",
                "startedAt": None,
                "finishedAt": None,
            }
            for each in found
        ],
    }


def _order(check: Document) -> tuple[int, int]:
    if check["type"] == checks.APPROVAL:
        phase = 1
    elif check["type"] == checks.EXCLUSIVE_LOCK:
        phase = _LOCKS
    else:
        phase = 2 if gates_checks.is_business_hours(check) else 0
    return phase, int(check["id"])


def _evaluate(store: Store, project: Document, run: Document, gate: Document, behavior: str) -> None:
    """One look at everything that is still open. Each phase waits for the one before it."""
    for phase in range(_LOCKS + 1):
        mine = [each for each in gate["checks"] if _order(each["check"])[0] == phase]
        for each in mine:
            _look(store, project, run, gate, each)
        if phase == _LOCKS and mine:
            _lock(store, gate, mine, behavior)
        failed = next((each for each in mine if each["state"] in ("failed", "skipped", "canceled")), None)
        if failed is not None:
            _fail(store, gate, failed["state"], failed["message"])
            return
        waiting = [each for each in mine if each["state"] == "pending"]
        if waiting:
            gate["reason"] = "; ".join(each["message"] for each in waiting)
            if phase < _LOCKS and gate["queued"]:
                # The hours are over while it waited for a lock: others need not wait behind it.
                _release(store, gate)
            return
    gate |= {"state": "passed", "reason": "", "finishedAt": _text(clock())}


def _look(store: Store, project: Document, run: Document, gate: Document, entry: Document) -> None:
    check, time = entry["check"], clock()
    if entry["startedAt"] is None:
        entry["startedAt"] = _text(time)
    late = time >= datetime.fromisoformat(entry["startedAt"]) + timedelta(minutes=check["timeout"])
    message: str | None
    if check["type"] == checks.APPROVAL:
        _look_at_approval(store, project, run, gate, entry, late=late)
        return
    if check["type"] == checks.EXCLUSIVE_LOCK:
        if late and entry["state"] == "pending":
            _settle(entry, "failed", f"The exclusive lock of {check['resourceName']} was not free in time.")
        return
    task = str((check["settings"].get("definitionRef") or {}).get("id", "")).lower()
    if task == checks.BRANCH_CONTROL:
        if entry["state"] == "pending":
            message = gates_checks.branch_control(store, project["id"], run, check)
            _settle(entry, "failed" if message else "succeeded", message or "")
    elif task == checks.BUSINESS_HOURS:
        # Asked again until the stage begins: what held in the morning doesn't let a deployment through at night.
        try:
            message = gates_checks.business_hours(check, time)
        except ValueError as error:
            _settle(entry, "failed", str(error))
            return
        if message and late:
            _settle(entry, "failed", f"{gates_checks.named(check)}: the time did not come within the timeout.")
        elif message:
            entry |= {"state": "pending", "message": message, "finishedAt": None}
        elif entry["state"] == "pending":
            _settle(entry, "succeeded", "")
    else:
        # Required templates, calls of other services: nothing here can say that they would pass.
        _settle(entry, "failed", f"The check {gates_checks.named(check)} is of a kind that cannot be evaluated here.")


def _look_at_approval(
    store: Store, project: Document, run: Document, gate: Document, entry: Document, *, late: bool
) -> None:
    if entry["state"] != "pending":
        return
    approval = approvals.find(store, project["id"], entry["record"])
    if approval is None:
        approval = approvals.begin(store, run, gate, entry["check"])
        entry["record"] = approval["id"]
    name = entry["check"]["resourceName"]
    if approval["status"] == "approved":
        _settle(entry, "succeeded", "")
    elif approval["status"] == "rejected":
        step = next(each for each in approval["steps"] if each["status"] == "rejected")
        who = (store.get("identity", step["actualApprover"]) or {}).get("displayName", "")
        said = f": {step['comment']}" if step["comment"] else "."
        _settle(entry, "failed", f"The deployment to {name} was rejected by {who}{said}")
    elif late:
        approvals.end(store, approval, "timedOut")
        _settle(entry, "skipped", f"The approval for {name} timed out: nobody decided it in time.")
    else:
        entry["message"] = f"waits for approval of {name}"


def _lock(store: Store, gate: Document, entries: list[Document], behavior: str) -> None:
    waiting = [each for each in entries if each["state"] == "pending"]
    if not waiting or len(waiting) < len(entries):
        return
    held, message, in_vain = gates_locks.acquire(store, gate, _locked(gate), behavior, _text(clock()))
    gate["queued"] = not held and not in_vain
    for each in entries:
        if held or in_vain:
            _settle(each, "succeeded" if held else "canceled", message)
        else:
            each["message"] = message


def _locked(gate: Document) -> list[Document]:
    return [
        each["check"]["resource"] | {"name": each["check"]["resourceName"]}
        for each in gate["checks"]
        if each["check"]["type"] == checks.EXCLUSIVE_LOCK
    ]


def _settle(entry: Document, state: str, message: str) -> None:
    entry |= {"state": state, "message": message, "finishedAt": _text(clock())}


def _fail(store: Store, gate: Document, result: str, reason: str) -> None:
    """Ends a gate that lets nothing through; approvals that wait are cancelled, and places for locks given up."""
    for each in gate["checks"]:
        if each["state"] == "pending":
            _settle(each, "canceled", "")
            approval = approvals.find(store, gate["project"], each["record"])
            if approval is not None and approval["status"] == "pending":
                approvals.end(store, approval, "canceled")
    gate |= {"state": "failed", "result": result, "reason": reason, "finishedAt": _text(clock())}
    _release(store, gate)


def _release(store: Store, gate: Document) -> None:
    gates_locks.release(store, gate, _locked(gate))
    gate["queued"] = False


_TYPES = {
    checks.APPROVAL: ("Checkpoint.Approval", "Approval"),
    checks.TASK_CHECK: ("Checkpoint.TaskCheck", ""),
    checks.EXTENDS_CHECK: ("Checkpoint.ExtendsCheck", "Required template"),
    checks.EXCLUSIVE_LOCK: ("Checkpoint.ExclusiveLock", "Exclusive lock"),
}


def _shown(gate: Document) -> Gate:
    result = "succeeded" if gate["state"] == "passed" else gate["result"]
    records = [
        _record(gate, gate["record"], None, "Checkpoint", "Checkpoint")
        | {"startTime": gate["startedAt"], "finishTime": gate["finishedAt"], "result": result, "order": 1}
        | _state(gate["state"] != "pending", gate["reason"])
    ]
    for order, each in enumerate(gate["checks"], 1):
        type_, name = _TYPES[each["check"]["type"]]
        records.append(
            _record(gate, each["record"], gate["record"], type_, name or gates_checks.named(each["check"]))
            | {"startTime": each["startedAt"], "finishTime": each["finishedAt"], "order": order}
            | {"result": each["state"] if each["finishedAt"] else None}
            | _state(each["finishedAt"] is not None, each["message"])
        )
    return Gate(
        state=gate["state"],
        reason=gate["reason"],
        result=gate["result"],
        records=records if gate["checks"] else [],
    )


def _record(gate: Document, id_: str, parent: str | None, type_: str, name: str) -> Document:
    return {
        "id": id_,
        "parentId": parent,
        "type": type_,
        "name": name,
        "identifier": f"{gate['stage']}.{name.replace(' ', '')}",
        "attempt": gate["attempt"],
        "previousAttempts": [],
        "log": None,
    }


def _state(ended: bool, message: str) -> Document:
    """What an open check waits for is its current operation; what was wrong with one that has ended is an issue."""
    issues = [{"type": "error", "category": None, "message": message}] if message and ended else []
    return {
        "state": "completed" if ended else "inProgress",
        "currentOperation": message if not ended else None,
        "issues": issues,
        "errorCount": len(issues),
        "warningCount": 0,
    }

"""The states of runs and tasks: what follows from which, and the two shapes in which the service tells them.

docs.databricks.com/jobs/run-if says when a task runs, and from which tasks the run gets its result;
docs.databricks.com/api/workspace/jobs/getrun has the words of the states.
"""

from collections.abc import Collection, Mapping
from typing import Literal, TypeAlias

from rehearsal.store import Document

Phase: TypeAlias = Literal["BLOCKED", "QUEUED", "PENDING", "RUNNING", "TERMINATING", "TERMINATED", "WAITING"]
Result: TypeAlias = Literal[
    "SUCCESS",
    "SUCCESS_WITH_FAILURES",
    "FAILED",
    "TIMEDOUT",
    "CANCELED",
    "SKIPPED",
    "EXCLUDED",
    "UPSTREAM_FAILED",
    "UPSTREAM_CANCELED",
    "DISABLED",
]

_FAILED = frozenset({"FAILED", "TIMEDOUT", "UPSTREAM_FAILED"})
_CANCELED = frozenset({"CANCELED", "UPSTREAM_CANCELED"})
_UNBROKEN = frozenset({"SUCCESS", "EXCLUDED", "DISABLED"})
# Never executed: what the service's older shape calls SKIPPED.
NEVER_RUN = frozenset({"SKIPPED", "EXCLUDED", "UPSTREAM_FAILED", "UPSTREAM_CANCELED", "DISABLED"})

RUN_IF = ("ALL_SUCCESS", "ALL_DONE", "NONE_FAILED", "AT_LEAST_ONE_SUCCESS", "ALL_FAILED", "AT_LEAST_ONE_FAILED")
WORKLOAD_FAILED = "Workload failed, see run output for details"

_QUEUED = {
    "MAX_CONCURRENT_RUNS_REACHED": "Queued due to reaching maximum concurrent runs of the job.",
    "ACTIVE_RUNS_LIMIT_REACHED": "Queued due to reaching the limit of active task runs of the workspace.",
}


def ending(result: Result, message: str = "", *, code: str | None = None, broken: bool = False) -> Document:
    """How something ended.

    Args:
        result: the word for it.
        message: for people.
        code: of the service's termination codes; by default the one that belongs to the result.
        broken: whether the fault is the service's own (`INTERNAL_ERROR`) rather than the notebook's.
    """
    codes = {
        "FAILED": "RUN_EXECUTION_ERROR",
        "TIMEDOUT": "CANCELED",
        "CANCELED": "USER_CANCELED",
        "SUCCESS": "SUCCESS",
        "SUCCESS_WITH_FAILURES": "SUCCESS_WITH_FAILURES",
        "DISABLED": "DISABLED",
    }
    return {"result": result, "message": message, "code": code or codes.get(result, "SKIPPED"), "broken": broken}


def decide(run_if: str, upstream: Collection[str]) -> Document | None:
    """Whether a task runs, from the results of those that it depends on.

    Args:
        run_if: the task's condition.
        upstream: the result of each task before it; all of them have ended.

    Returns:
        None when it runs, else how it ends without having run. Excluded tasks count as successful; when all before it
        are excluded, the task is excluded, too; a cancelled task counts as failed for the conditions that handle
        failure.
    """
    if not upstream:
        return None
    if all(each in ("EXCLUDED", "DISABLED") for each in upstream):
        return ending("EXCLUDED", "All tasks before this one were excluded.")
    succeeded = sum(each == "SUCCESS" for each in upstream)
    failed = sum(each in _FAILED for each in upstream)
    cancelled = sum(each in _CANCELED for each in upstream)
    executed = sum(each not in NEVER_RUN for each in upstream)
    runs = {
        "ALL_SUCCESS": all(each in _UNBROKEN for each in upstream),
        "ALL_DONE": True,
        "NONE_FAILED": not failed and not cancelled and executed > 0,
        "AT_LEAST_ONE_SUCCESS": succeeded > 0,
        "ALL_FAILED": failed + cancelled == len(upstream),
        "AT_LEAST_ONE_FAILED": failed + cancelled > 0,
    }
    if runs[run_if]:
        return None
    if run_if in ("ALL_FAILED", "AT_LEAST_ONE_FAILED"):
        return ending("EXCLUDED", f"The condition {run_if} was not met.")
    if failed:
        return ending("UPSTREAM_FAILED", "An upstream task failed.")
    return ending("UPSTREAM_CANCELED", "An upstream task was canceled.")


def outcome(results: Mapping[str, Document], leaves: Collection[str]) -> Document:
    """How a run ended whose tasks have all ended.

    Args:
        results: the ending of each task.
        leaves: the tasks on which no other depends; they alone decide.
    """
    ended = {key: each["result"] for key, each in results.items()}
    if any(ended[key] in _FAILED for key in leaves):
        # Not the leaf that was skipped is to be named, but the task because of which.
        culprits = [key for key, each in ended.items() if each in ("FAILED", "TIMEDOUT")]
        culprit = culprits[0] if culprits else next(key for key in leaves if ended[key] in _FAILED)
        words = results[culprit]["message"].rstrip(".")
        message = f"Task {culprit} failed with message: {words}."
        if any(each == "UPSTREAM_FAILED" for each in ended.values()):
            message += " This caused all downstream tasks to get skipped."
        return ending("FAILED", message, code=results[culprit]["code"], broken=True)
    if any(ended[key] in _CANCELED for key in leaves):
        return ending("CANCELED", "Run cancelled.")
    if all(each in ("EXCLUDED", "DISABLED") for each in ended.values()):
        return ending("SUCCESS", "No task had to run.")
    if any(each in _FAILED or each in _CANCELED for each in ended.values()):
        return ending("SUCCESS_WITH_FAILURES", "Some tasks failed; all leaf tasks were successful.")
    return ending("SUCCESS")


def shown(document: Document) -> Document:
    """The fields `state` and `status` of a run or of a task's attempt.

    That a failed run is told as INTERNAL_ERROR with the result FAILED is the service's way
    (github.com/databricks/databricks-sdk-py, `wait_get_run_job_terminated_or_skipped` raises at it;
    github.com/dagster-io/dagster/issues/19715 has the words). That a task whose notebook failed is TERMINATED in the
    older shape, and one that never ran SKIPPED, is an assumption.
    """
    phase: Phase = document["phase"]
    reason = document.get("queue_reason") if phase == "QUEUED" else None
    status: Document = {"state": phase}
    state: Document = {
        "life_cycle_state": "WAITING_FOR_RETRY" if phase == "WAITING" else phase,
        "state_message": _QUEUED[reason] if reason else "",
        "user_cancelled_or_timedout": False,
    }
    if reason:
        status["queue_details"] = {"code": reason, "message": _QUEUED[reason]}
        state["queue_reason"] = _QUEUED[reason]
    if phase == "TERMINATED":
        end: Document = document["ending"]
        result, code = end["result"], end["code"]
        status["termination_details"] = {"code": code, "type": _type(code), "message": end["message"]}
        life = "SKIPPED" if result in NEVER_RUN else "INTERNAL_ERROR" if end["broken"] else "TERMINATED"
        state |= {
            "life_cycle_state": life,
            "result_state": "MAXIMUM_CONCURRENT_RUNS_REACHED" if result == "SKIPPED" else result,
            "state_message": end["message"],
            "user_cancelled_or_timedout": result in ("CANCELED", "TIMEDOUT"),
        }
    return {"state": state, "status": status}


def _type(code: str) -> str:
    if code in ("SUCCESS", "SUCCESS_WITH_FAILURES", "USER_CANCELED", "DISABLED", "SKIPPED"):
        return "SUCCESS"
    return "INTERNAL_ERROR" if code in ("INTERNAL_ERROR", "CLUSTER_ERROR", "DRIVER_ERROR") else "CLIENT_ERROR"

"""What the process of an attempt has left when it has ended, and the page of one that left no result."""

import contextlib
import json
from pathlib import Path

from rehearsal.databricks.run_states import WORKLOAD_FAILED, ending
from rehearsal.store import Document


def seen(attempt: Document, folder: Path, *, known: bool) -> Document:
    """How the attempt ended: `{"ending", "output", "values"}`.

    Args:
        attempt: its process has ended.
        folder: the attempt's.
        known: whether this server has started the process, and so would have seen its end.
    """
    try:
        result = json.loads((folder / "result.json").read_text())
    except (OSError, ValueError):
        end = attempt["kill"]["ending"] if attempt["kill"] else _crashed(known)
        leave_page(folder, end)
        return {"ending": end, "output": {"error": end["message"]}, "values": {}}
    well = result.get("state") == "SUCCESS"
    end = ending("SUCCESS") if well else ending("FAILED", WORKLOAD_FAILED)
    output = {name: result.get(name) for name in ("result", "truncated", "error", "error_trace")}
    return {"ending": end, "output": output, "values": result.get("values") or {}}


def leave_page(folder: Path, end: Document) -> None:
    """Writes the page that the runner would have written: cells and outputs as far as it came, and why it ended."""
    from rehearsal.compute.notebook import page  # noqa: PLC0415 - its libraries would hold the start of the service up
    from rehearsal.compute.notebook.task import Result  # noqa: PLC0415 - likewise

    # Without its folder, or with a full disk, the run has ended all the same.
    with contextlib.suppress(OSError):
        page.write(folder, Result(state=end["result"], error=end["message"]))


def _crashed(known: bool) -> Document:
    if known:
        message = "The Python process exited unexpectedly, without a result."
        return ending("FAILED", message, code="DRIVER_ERROR", broken=True)
    message = "The task's process ended without a result while the workspace was not running."
    return ending("FAILED", message, code="INTERNAL_ERROR", broken=True)

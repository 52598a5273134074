"""The HTML page of a run that has ended: one file that needs nothing else, and in which nothing of the notebook's runs.

All that comes from the notebook is escaped; HTML that it shows stands in a sandboxed frame, under the page's own
content security policy, which allows no script and no request.
"""

import base64
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import markupsafe
from markdown_it import MarkdownIt
from pygments import highlight  # type: ignore[import-untyped] # published without types
from pygments.formatters.html import HtmlFormatter  # type: ignore[import-untyped] # likewise
from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped] # likewise

from rehearsal.compute.notebook.record import LEFT_OUT, OUTPUT_LIMIT, Output
from rehearsal.compute.notebook.task import Result, write_text

ROWS_SHOWN = 1_000
"""Rows of a table on the page; `cells.json` has them all."""

_HIGHLIGHT_LIMIT = 500_000  # characters of all cells; beyond, colours cost seconds
_LEXERS = {"python": "python", "sql": "sql", "sh": "bash"}
# A cell that runs or waits does so no more: its process was ended, or has crashed.
_WORDS = {
    "SUCCESS": "Succeeded",
    "FAILED": "Failed",
    "TIMEDOUT": "Timed out",
    "CANCELED": "Cancelled",
    "RUNNING": "Not ended",
    "WAITING": "Not begun",
    "SKIPPED": "Skipped",
}


def write(directory: Path, result: Result) -> None:
    """Writes `page.html` from `cells.json`; also for the caller, about a run that it had to end.

    Args:
        directory: the run's folder.
        result: how it ended; what it says must be redacted already, as in `result.json`.
    """
    write_text(directory / "page.html", render(directory, result))


def render(directory: Path, result: Result) -> str:
    """The page as text."""
    try:
        run = json.loads((directory / "cells.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        # Ended before its first cell.
        task = json.loads((directory / "task.json").read_text(encoding="utf-8"))
        run = {"notebook": task["notebook"], "user": task.get("user", ""), "parameters": {}, "cells": []}
    numbered = _numbered(run["cells"], directory, "")
    failed = _failed(numbered)
    broken_off = failed is not None and failed["state"] == "RUNNING"
    if failed is not None and broken_off:
        failed["outputs"] += _not_kept(numbered, directory)
    started = run.get("started")
    return _template().render(
        run=run,
        cells=numbered,
        result=result,
        failed=failed,
        broken_off=broken_off,
        coloured=sum(len(cell["source"]) for cell in numbered) < _HIGHLIGHT_LIMIT,
        started=datetime.fromtimestamp(started, UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if started else "",
    )


def _numbered(cells: list[dict[str, Any]], directory: Path, prefix: str) -> list[dict[str, Any]]:
    found = []
    for number, cell in enumerate(cells, 1):
        own = f"{prefix}{number}"
        outputs = [_with_cells(output, directory, f"{own}.") for output in cell["outputs"]]
        found.append(
            cell | {"number": own, "outputs": outputs, "cells": _numbered(cell["cells"], directory, f"{own}.")}
        )
    return found


def _failed(cells: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The cell that failed, or at which the run was ended; the innermost one."""
    for cell in cells:
        if cell["state"] in ("FAILED", "RUNNING"):
            return _failed(cell["cells"]) or cell
    return None


def _not_kept(cells: list[dict[str, Any]], directory: Path) -> Iterator[Output]:
    """What the process has printed since the last cell that ended: a cell's text is kept when the cell ends."""
    for stream in ("stdout", "stderr"):
        kept = "".join(_texts(cells, stream))
        try:
            with (directory / stream).open("rb") as file:
                printed = file.read(len(kept.encode()) + OUTPUT_LIMIT).decode(errors="replace")
                more = file.read(1)
        except FileNotFoundError:
            continue  # the caller took the streams elsewhere
        text = printed.removeprefix(kept)
        if text:
            yield {"type": "text", "stream": stream, "text": text}
        if more:
            yield LEFT_OUT


def _texts(cells: list[dict[str, Any]], stream: str) -> Iterator[str]:
    for cell in cells:
        yield from (output["text"] for output in cell["outputs"] if output.get("stream") == stream)
        yield from _texts(cell["cells"], stream)


def _with_cells(output: dict[str, Any], directory: Path, prefix: str) -> dict[str, Any]:
    """A called notebook with its cells, as far as it came."""
    if output["type"] != "notebook":
        return output
    below = directory / output["directory"]
    try:
        cells = json.loads((below / "cells.json").read_text(encoding="utf-8"))["cells"]
    except FileNotFoundError:
        cells = []
    return output | {"cells": _numbered(cells, below, prefix)}


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "markdown": _markdown,
        "without_magic": _without_magic,
        "code": _code,
        "duration": _duration,
        "png": _png,
    }
    environment.globals |= {"rows_shown": ROWS_SHOWN, "words": _WORDS}
    return environment.get_template("page.html.j2")


def _markdown(text: str) -> markupsafe.Markup:
    # With html=False the text's own HTML is escaped, and dangerous addresses make no links.
    rendered = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).render(text)
    return markupsafe.Markup(rendered)  # noqa: S704 - see above


def _without_magic(text: str) -> str:
    return re.sub(r"\A\s*%{1,2}md(-sandbox)?\b[ \t]*\n?", "", text)


def _code(text: str, kind: str, coloured: bool) -> markupsafe.Markup:
    lexer = _LEXERS.get(kind)
    if lexer is None or not coloured:
        return markupsafe.escape(text)
    # The formatter escapes.
    html = highlight(text, get_lexer_by_name(lexer, stripnl=False), HtmlFormatter(nowrap=True))
    return markupsafe.Markup(html)  # noqa: S704 - the formatter escapes


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.2f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


def _png(data: str) -> str:
    """The data, if it is base64 of a PNG: nothing else gets into the address of a picture."""
    base64.b64decode(data, validate=True)
    return data

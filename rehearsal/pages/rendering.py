"""Templates and what they need: markdown, coloured code, times and sizes.

Nothing of what people wrote becomes part of a page as HTML: the templates escape, markdown shows HTML as text but for a
few tags without attributes, and the pages' content security policy allows no script.
"""

import functools
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

import jinja2
from markdown_it import MarkdownIt
from markupsafe import Markup
from pygments import highlight  # type: ignore[import-untyped] # published without types
from pygments.formatters.html import HtmlFormatter  # type: ignore[import-untyped] # likewise
from pygments.lexers import get_lexer_by_name, get_lexer_for_filename  # type: ignore[import-untyped] # likewise
from pygments.util import ClassNotFound  # type: ignore[import-untyped] # likewise

from rehearsal.pages.api import path as path_of

_HIGHLIGHT_LIMIT = 300_000  # characters; beyond, colours cost seconds
# What Azure Repos shows of HTML in a comment that matters here: long parts that open at a click.
# https://learn.microsoft.com/azure/devops/project/wiki/markdown-guidance
_TAGS = re.compile(r"</?(?:details|summary|br|sub|sup|b|i|code|kbd)\s*/?>", re.IGNORECASE)


def render(template: str, content: dict[str, Any]) -> str:
    """The page as text."""
    return _environment().get_template(template).render(content)


@functools.cache
def _environment() -> jinja2.Environment:
    # Values that are missing stay empty: the services leave out of their answers what isn't set.
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "markdown": markdown,
        "lines": code_lines,
        "code": code,
        "when": when,
        "took": took,
        "size": size,
        "branch": branch,
        "words": words,
    }
    environment.globals |= {"path": path_of}
    return environment


@functools.cache
def _markdown(breaks: bool) -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": True, "breaks": breaks}).enable(["table", "strikethrough"])
    for rule in ("html_block", "html_inline"):
        parser.add_render_rule(rule, _few_tags)
    return parser


def _few_tags(_: Any, tokens: Sequence[Any], index: int, *_rest: Any) -> str:
    text, shown, last = tokens[index].content, "", 0
    for tag in _TAGS.finditer(text):
        shown += escape(text[last : tag.start()]) + tag[0]
        last = tag.end()
    return shown + escape(text[last:])


def markdown(text: str | None, breaks: bool = False) -> Markup:
    """Markdown as HTML.

    Args:
        text: what somebody wrote.
        breaks: whether a line's end is one, as it is in comments.
    """
    # Addresses that could do harm make no links: markdown-it's `validateLink`.
    return Markup(_markdown(breaks).render(text or ""))  # noqa: S704 - `_few_tags` escapes, and the renderer all else


def code(text: str, language: str) -> Markup:
    """Coloured code; `language` is a lexer of pygments or the name of a file."""
    return Markup("\n").join(code_lines(text, language))


def code_lines(text: str, language: str) -> list[Markup]:
    """The lines of coloured code."""
    plain = [Markup(escape(line)) for line in text.split("\n")]  # noqa: S704 - escaped here
    if len(text) > _HIGHLIGHT_LIMIT:
        return plain
    try:
        find = get_lexer_for_filename if "." in language else get_lexer_by_name
        lexer = find(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return plain
    # The formatter escapes, and closes at each line's end what it opened there.
    html: str = highlight(text, lexer, HtmlFormatter(nowrap=True))
    return [Markup(line) for line in html.split("\n")[: len(plain)]]  # noqa: S704 - the formatter escapes


def when(time: str | int | None) -> Markup:
    """A time as people say it, with the time itself to be seen beside it.

    Args:
        time: in ISO 8601, or in milliseconds since 1970.
    """
    if not time:
        return Markup("")
    moment = _moment(time)
    seconds = (datetime.now(UTC) - moment).total_seconds()
    exact = f"{moment:%Y-%m-%d %H:%M:%S} UTC"
    for limit, unit, name in ((60, 1, "s"), (3600, 60, "min"), (86_400, 3600, "h"), (30 * 86_400, 86_400, "d")):
        if 0 <= seconds < limit:
            said = f"{int(seconds // unit)} {name} ago"
            break
    else:
        said = f"{moment:%Y-%m-%d}"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(moment.isoformat(), exact, said)


def took(start: str | None, end: str | None = None) -> str:
    """How long something took, or has taken so far."""
    if not start:
        return ""
    seconds = ((_moment(end) if end else datetime.now(UTC)) - _moment(start)).total_seconds()
    if seconds < 60:
        return f"{max(seconds, 0):.1f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"


def _moment(time: str | int) -> datetime:
    if isinstance(time, int):
        return datetime.fromtimestamp(time / 1000, UTC)
    # More digits of a second than Python reads come from .NET.
    moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", time))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def size(count: int) -> str:
    """A number of bytes."""
    amount = float(count)
    for unit in ("B", "KB", "MB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GB"


def branch(ref: str | None) -> str:
    """A ref's short name."""
    return re.sub(r"^refs/(heads|tags)/", "", ref or "")


def words(name: str | None) -> str:
    """A name in camelCase as words: `notStarted` is "Not started"."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name or "").lower()
    return spaced[:1].upper() + spaced[1:]

"""The whole report as a page: one file without scripts, that needs nothing else."""

from collections.abc import Iterator, Sequence
from html import escape

from delivery.report_text import Code, Difference, Item, Section, Words, visible

STYLE = """
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:60rem;padding:1rem;color:#1b1b1b;background:#fff}
code,pre{font:14px/1.4 ui-monospace,monospace}code{background:#f2f2f2;padding:0 .2em;overflow-wrap:anywhere}
pre{overflow-x:auto;border:1px solid #ddd;padding:.5rem;margin:.3rem 0 1rem}pre span{display:block;min-height:1.4em}
.added{background:#e3f6e3}.removed{background:#fbe4e4}.skip{color:#666}
.wide{overflow-x:auto}
table{border-collapse:collapse}td,th{border:1px solid #ddd;padding:.2rem .6rem;text-align:left}
"""
MARKS = {"+": "added", "-": "removed", "@": "skip"}


def page(
    title: Words,
    table: Sequence[Sequence[str]],
    sentences: Sequence[str],
    sections: Sequence[Section],
    foot: Sequence[Words],
) -> str:
    """The page.

    Args:
        title: the heading.
        table: the summary's rows, the first of them with the columns' names.
        sentences: below it.
        sections: what follows.
        foot: lines at the end.
    """
    head, *rows = table
    body = [
        f"<h1>{_words(title)}</h1>",
        f"<div class=wide><table><tr>{''.join(f'<th>{escape(each)}</th>' for each in head)}</tr>",
        *(f"<tr>{''.join(f'<td>{escape(visible(each))}</td>' for each in row)}</tr>" for row in rows),
        "</table></div>",
        *(f"<p>{escape(visible(sentence))}</p>" for sentence in sentences),
        *(part for section in sections for part in _section(section)),
        *(f"<p>{_words(line)}</p>" for line in foot),
    ]
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width,initial-scale=1">',
            # Should anything foreign get through as markup after all, nothing of it is run or fetched.
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            f"<title>{escape(_text(title))}</title><style>{STYLE}</style></head><body>",
            *body,
            "</body></html>\n",
        ]
    )


def _section(section: Section) -> Iterator[str]:
    yield f"<h2>{escape(section.title)}</h2>"
    if section.lead:
        yield f"<p>{_words(section.lead)}</p>"
    yield "<ul>"
    for item in section.items:
        yield from _item(item)
    yield "</ul>"


def _item(item: Item) -> Iterator[str]:
    yield f"<li>{_words(item.words)}"
    if item.below:
        yield f"<ul>{''.join(f'<li>{_words(each)}</li>' for each in item.below)}</ul>"
    for difference in item.differences:
        yield from _difference(difference)
    yield "</li>"


def _difference(difference: Difference) -> Iterator[str]:
    yield f"<div>{_words(difference.caption)}</div>"
    if difference.lines:
        lines = "".join(
            f'<span class="{MARKS.get(line[:1], "same")}">{escape(visible(line))}</span>' for line in difference.lines
        )
        yield f"<pre>{lines}</pre>"


def _words(line: Words) -> str:
    return "".join(
        f"<code>{escape(visible(each.text))}</code>" if isinstance(each, Code) else escape(each) for each in line
    )


def _text(line: Words) -> str:
    return "".join(each.text if isinstance(each, Code) else each for each in line)

"""The page of `status`: one file without scripts or anything from elsewhere, readable on a phone too."""

from html import escape

from delivery.status_model import Environment, Status
from delivery.status_table import SHORT, difference, rows, when

STYLE = """\
:root { color-scheme: light dark; --line: #8884; --good: #1a7f37; --bad: #c93c37; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.wide { overflow-x: auto; } .sides { table-layout: fixed; } .sides td:first-child { width: 6rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid var(--line); }
thead th { border-bottom-width: 2px; } tbody th { font-weight: normal; opacity: .7; white-space: nowrap; }
td { overflow-wrap: anywhere; } .good { color: var(--good); } .bad { color: var(--bad); font-weight: 600; }
"""


def page(status: Status) -> str:
    """The page as HTML."""
    heads = "".join(f"<th scope=col>{_link(each.name, each.folder_url)}</th>" for each in status.environments)
    body = ["<h1>Environments</h1>", f"<p>As of {when(status.at)}.</p>"]
    body.append(f"<div class=wide><table class=sides><thead><tr><td></td>{heads}</tr></thead><tbody>")
    for name, *cells in rows(status):
        classes = [_class(each) if name == "health" else "" for each in status.environments]
        shown = "".join(f"<td{word}>{escape(cell)}</td>" for cell, word in zip(cells, classes, strict=True))
        body.append(f"<tr><th scope=row>{escape(name)}</th>{shown}</tr>")
    body.append("</tbody></table></div>")
    body += [
        f"<p class=bad>{escape(each.name)} can't be read: {escape(each.problem)}</p>"
        for each in status.environments
        if each.problem
    ]
    body += _difference(status)
    body += _on_their_way(status)
    for environment in status.environments:
        body += _jobs(environment)
        body += _history(environment)
    return (
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width, initial-scale=1'>"
        f"<title>Environments</title><style>\n{STYLE}</style></head>\n<body>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def _difference(status: Status) -> list[str]:
    shown = ["<h2>Difference</h2>", f"<p>{escape(difference(status))}</p>"]
    if status.difference and not status.difference.same:
        for word, paths in (
            ("new", status.difference.added),
            ("changed", status.difference.changed),
            ("removed", status.difference.removed),
        ):
            if paths:
                shown.append(f"<details><summary>{len(paths)} {word}</summary><ul>")
                shown += [f"<li>{escape(path)}</li>" for path in paths]
                shown.append("</ul></details>")
    return shown


def _on_their_way(status: Status) -> list[str]:
    shown = ["<h2>Releases on their way</h2>"]
    if status.pipeline:
        return [*shown, f"<p>Not known: {escape(status.pipeline)}</p>"]
    if not status.on_their_way:
        return [*shown, "<p>None.</p>"]
    shown.append("<ul>")
    for each in status.on_their_way:
        where = f"stage {each.stage} waits for {each.waits}" if each.waits else f"in stage {each.stage or '-'}"
        shown.append(f"<li>{_link(each.number, each.page)}: {escape(where)}</li>")
    return [*shown, "</ul>"]


def _jobs(environment: Environment) -> list[str]:
    shown = [f"<h2>Jobs in {escape(environment.name)}</h2>"]
    if not environment.jobs:
        return [*shown, "<p>None.</p>"]
    shown.append("<div class=wide><table><thead><tr><th>job<th>last run<th>ended</tr></thead><tbody>")
    for job in environment.jobs:
        word = "" if job.result is None else " class=good" if job.result == "SUCCESS" else " class=bad"
        result = escape(job.result or "has not run")
        shown.append(f"<tr><td>{_link(job.name, job.page)}</td><td{word}>{result}</td><td>{when(job.ended)}</td></tr>")
    return [*shown, "</tbody></table></div>"]


def _history(environment: Environment) -> list[str]:
    if not environment.history:
        return []
    shown = [f"<details><summary>Releases that {escape(environment.name)} had</summary><div class=wide><table>"]
    shown.append("<thead><tr><th>release<th>commit<th>build<th>deployed<th>approved by</tr></thead><tbody>")
    for each in environment.history:
        cells = (
            each.version,
            each.commit[:SHORT],
            each.build or "-",
            when(each.deployed_at),
            ", ".join(each.approvers),
        )
        shown.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    return [*shown, "</tbody></table></div></details>"]


def _class(environment: Environment) -> str:
    word = {"well": "good", "no job has run yet": ""}.get(environment.health, "bad")
    return f" class={word}" if word else ""


def _link(text: str, url: str) -> str:
    """A link, if it leads somewhere on the web."""
    if not url.startswith(("https://", "http://")):
        return escape(text)
    return f"<a href='{escape(url, quote=True)}'>{escape(text)}</a>"

"""A report as markdown: whole, or shortened to what a comment may hold.

What is kept of a shortened one follows from the order: each section has its share, what it doesn't use goes on to the
next, and each says how much was left out, of files also where they are. Nothing is cut in the middle of a block.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from delivery.report_text import Code, Difference, Item, Section, Words, code, fenced, plain, units

# "A discussion comment cannot be longer than 150000 characters", says the service
# (https://github.com/runatlantis/atlantis/pull/1585); it isn't documented.
LIMIT = 150_000
# Of one item's differences, so that one large file doesn't take the place of all others.
MOST_LINES = 200
MOST_LINE_LETTERS = 500
# Of the files that are left out so many folders are named, in so many letters at the most.
MOST_PLACES = 8
MOST_PLACES_LETTERS = 600


def markdown(title: Words, lead: Sequence[str], sections: Sequence[Section], foot: Sequence[str]) -> str:
    """The whole report."""
    parts = [f"### {words(title)}", *lead]
    for section in sections:
        parts += [*_head(section), *(_whole(item) for item in section.items)]
    return "\n\n".join([*parts, *foot]) + "\n"


def shortened(
    title: Words, lead: Sequence[str], sections: Sequence[Section], foot: Sequence[str], limit: int = LIMIT
) -> str:
    """The report in at most so many characters.

    Args:
        title, lead, foot: what is always there; short.
        sections: in the order of importance.
        limit: in UTF-16 units, as the service may count.
    """
    head, tail = "\n\n".join([f"### {words(title)}", *lead]), "\n\n".join(foot)
    left = limit - units(head) - units(tail) - 4
    spare = 0
    parts = [head]
    for section in sections:
        room = min(section.share + spare, left)
        text = _fitted(section, room)
        spare = max(room - units(text), 0)
        left -= units(text) + 2
        if text:
            parts.append(text)
    whole = "\n\n".join([*parts, tail])
    if units(whole) > limit:  # only if what is always there is too long by itself
        return head[: max(limit, 0) // 2].split("\n", 1)[0]
    return whole


def words(line: Words) -> str:
    """Markdown of a line."""
    return "".join(code(each.text) if isinstance(each, Code) else plain(each) for each in line)


def _head(section: Section) -> Iterator[str]:
    yield f"#### {plain(section.title)}"
    if section.lead:
        yield words(section.lead)


def _fitted(section: Section, room: int) -> str:
    """As many of the items as there is room for, from the first one on; nothing where not even the title fits."""
    parts = list(_head(section))
    used = sum(units(part) + 2 for part in parts)
    reserve = units(_more(section, 10**9)) + 2
    if used + reserve > room:
        return ""
    if room > 10 * MOST_PLACES_LETTERS and any(item.place for item in section.items):
        reserve += MOST_PLACES_LETTERS
    omitted: list[Item] = []
    for item in section.items:
        text = next((text for text in _ever_shorter(item) if used + units(text) + 2 + reserve <= room), None)
        if text is None:
            omitted.append(item)
            continue
        parts.append(text)
        used += units(text) + 2
    if omitted:
        told = _more(section, len(omitted))
        where = f"{told} {_places(omitted)}".rstrip()
        parts.append(where if used + units(where) + 2 <= room else told)
    return "\n\n".join(parts)


def _more(section: Section, number: int) -> str:
    return plain(f"… and {number:,} more {section.more}: see the full report.")


def _places(items: Sequence[Item]) -> str:
    """The folders of most of the files that are left out; nothing where these are no files, or the names too long."""
    counts = Counter(item.place for item in items if item.place)
    named = [f"{code(place)} ({number:,})" for place, number in counts.most_common(MOST_PLACES)]
    rest = len(counts) - MOST_PLACES
    more = f" and {rest:,} more folders" if rest > 0 else ""
    told = f"Most of them are in {', '.join(named)}{more}." if rest > 0 else f"They are in {', '.join(named)}."
    return told if named and units(told) <= MOST_PLACES_LETTERS - 1 else ""


def _whole(item: Item) -> str:
    return "\n\n".join([_line(item), *(_difference(each) for each in item.differences)])


def _ever_shorter(item: Item) -> Iterator[str]:
    """The item with its differences as far as they may go, with some of them, and without."""
    left, kept = MOST_LINES, []
    for difference in item.differences:
        if len(difference.lines) <= left:
            kept.append(_difference(difference, MOST_LINE_LETTERS))
        else:
            cut = Difference(caption=difference.caption, lines=(*difference.lines[:left], "@@ more lines"))
            kept.append(_difference(cut, MOST_LINE_LETTERS))
            rest = len(item.differences) - len(kept)
            kept += [plain(f"… and {rest:,} more changed cells: see the full report.")] if rest else []
            break
        left -= len(difference.lines)
    yield "\n\n".join([_line(item), *kept])
    if kept:
        yield "\n\n".join([_line(item), kept[0]])
        yield _line(item)


def _line(item: Item) -> str:
    return "\n".join([f"- {words(item.words)}", *(f"  - {words(each)}" for each in item.below)])


def _difference(difference: Difference, letters: int | None = None) -> str:
    lines = [line if letters is None or len(line) <= letters else line[:letters] + "…" for line in difference.lines]
    caption = words(difference.caption)
    return f"{caption}\n\n{fenced(lines, 'diff')}" if lines else caption

"""The comment's text: never too long, never anything in it that is markup but our own."""

import re
from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from delivery.cells import CellChange
from delivery.preview import comment_of
from delivery.preview_changes import Change
from delivery.report import Report, StackFailure
from delivery.report_html import page
from delivery.report_markdown import LIMIT, markdown, shortened, words
from delivery.report_text import units
from tests.delivery.reports import cell, changed, changes, report, step

# What a notebook can hold to get out of its block, and what the service makes something of.
NASTY = st.sampled_from(
    [
        "```",
        "````",
        "~~~",
        "`",
        "\r",
        "\x0b",
        "\u2028",
        "\u202e",
        "\x00",
        "\U0001f6b2",
        "<script>alert(1)</script>",
        "<!--",
        "</code></pre>",
        "![x](http://evil.example/x.png)",
        "[click](javascript:alert)",
        "@<8f3a>",
        "#1",
        "|",
        "\\",
        "&lt;",
        "    indented",
        "http://evil.example",
    ]
)
TEXT = st.lists(st.one_of(NASTY, st.text(max_size=10)), max_size=6).map("".join)
SIGNED = st.tuples(st.sampled_from("+- "), TEXT).map(lambda pair: pair[0] + pair[1].replace("\n", ""))
HEADINGS = {
    "Preview: nothing to deploy",
    "Preview: what a deployment would change",
    "It fails",
    "Destroyed or replaced",
    "Control plane, gates, policies and permissions",
    "Notebooks and files",
    "Jobs and everything else",
    "Text differences",
    "Warnings",
}


@st.composite
def cells(draw: st.DrawFn) -> CellChange:
    return cell(*draw(st.lists(SIGNED, max_size=5)), number=draw(st.integers(1, 9)), title=draw(TEXT))


@st.composite
def reports(draw: st.DrawFn) -> Report:
    names = st.lists(TEXT.filter(bool), max_size=3)
    made: list[Change] = []
    made += changes(*(step("delete", "Notebook", f"n{n}", old={"path": p}) for n, p in enumerate(draw(names))))
    made += changes(
        *(
            step(
                "update", "Permissions", f"p{n}", old={"x": value, "name": value}, new={"x": value + "!", "name": value}
            )
            for n, value in enumerate(draw(names))
        )
    )
    files = tuple(changed(source, *draw(st.lists(cells(), max_size=3))) for source in draw(names))
    failures = tuple(StackFailure(stack="prod", reasons=(reason,)) for reason in draw(names))
    warnings = tuple(("test", warning) for warning in draw(names))
    return report(*made, files=files, failures=failures, warnings=warnings, commit=draw(TEXT), build=draw(TEXT))


def texts(made: Report, limit: int) -> str:
    return shortened(made.title, made.lead(), made.sections(), [words(line) for line in made.foot()], limit)


@given(made=reports(), limit=st.integers(0, 5_000))
@settings(max_examples=150, deadline=None)
def test_a_comment_is_never_above_the_limit(made: Report, limit: int) -> None:
    assert units(texts(made, limit)) <= limit


@given(made=reports(), limit=st.one_of(st.just(LIMIT), st.integers(600, 5_000)))
@example(made=report(files=(changed("a`b", cell("+```\r```", " ```", "+<b>", "-````")),)), limit=LIMIT)
@settings(max_examples=150, deadline=None)
def test_nothing_foreign_in_a_comment_is_markup(made: Report, limit: int) -> None:
    assert_only_our_markup(texts(made, limit))


@given(made=reports())
@example(made=report(build="\nhttp://evil.example"))
@settings(max_examples=50, deadline=None)
def test_nothing_foreign_in_the_full_report_is_markup(made: Report) -> None:
    assert_only_our_markup(markdown(made.title, made.lead(), made.sections(), [words(line) for line in made.foot()]))
    shown = page(made.title, made.table(), made.sentences(), made.sections(), made.foot())
    tags = {tag.lower() for tag in re.findall(r"<\s*/?\s*([A-Za-z!][\w-]*)", shown)}
    ours = "!doctype html head meta title style body h1 h2 table tr th td p ul li div pre span code"
    assert tags <= set(ours.split())
    # What is foreign stands in these elements, on several lines where it has any; they end as we end them.
    rest = re.sub(r"<(li|code|span|pre)\b.*?</\1>", "", shown, flags=re.DOTALL)
    assert "http" not in re.sub(r"http-equiv", "", rest)


def assert_only_our_markup(text: str) -> None:
    """As a reader of CommonMark sees it, with the tables of Azure DevOps."""
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    inline = [child for token in tokens for child in token.children or ()]
    kinds = {token.type for token in (*tokens, *inline)}
    assert not kinds & {"html_block", "html_inline", "image", "link_open", "code_block", "em_open", "strong_open"}
    titles = {after.content for token, after in pairwise(tokens) if token.type == "heading_open"}
    assert titles <= HEADINGS
    lines = text.split("\n")
    for token in tokens:
        if token.type == "fence":
            # A block that isn't closed goes on to the end, and its last line isn't its fence.
            assert token.map
            assert lines[token.map[1] - 1].strip() == token.markup


def test_a_thousand_changed_notebooks_fit_and_each_kind_of_change_is_seen() -> None:
    steps = [step("update", "Notebook", f"n{n}", changed=("md5",)) for n in range(1_000)]
    gate = step(
        "update", "GroupMembership", "gate-approvers-members", old={"members": ["a", "b"]}, new={"members": ["a"]}
    )
    files = tuple(
        changed(f"notebooks/team_{n % 20}/report_{n}.py", cell(f"-total = {n}", *(f"+line {n}.{m}" for m in range(60))))
        for n in range(1_000)
    )
    made = report(*changes(*steps, gate), files=files)
    text = comment_of(made, "https://dev.azure.com/contoso/p/_build/results?buildId=1").text
    assert units(text) <= LIMIT
    assert "| prod | - | 1,001 | - | - | 1 |" in text
    assert "approvers: 2 before, 1 after" in text
    # As many differences as there is room for, and the rest is said, with the place where it is.
    assert len(re.findall(r"^\+line \d+\.59$", text, re.MULTILINE)) > 50
    assert re.search(r"… and \d+ more files: see the full report\. Most of them are in `notebooks/team_\d+`", text)
    assert re.search(r"… and \d+ more differences: see the full report\. Most of them are in .* more folders\.", text)
    assert "[The full report](https://dev.azure.com/contoso/p/_build/results?buildId=1)" in text
    assert_no_half_blocks(text)


def assert_no_half_blocks(text: str) -> None:
    assert text.count("\n```diff\n") == len(re.findall(r"\n```(?=\n|$)", text))


def test_the_same_change_in_a_thousand_notebooks_is_shown_once() -> None:
    same = cell("-SELECT bike", "+SELECT bicycle")
    made = report(
        *changes(*(step("update", "Notebook", f"n{n}") for n in range(1_000))),
        files=tuple(changed(f"notebooks/report_{n}.py", same) for n in range(1_000)),
    )
    text = comment_of(made, None).text
    assert text.count("+SELECT bicycle") == 1
    assert "and the very same in 990 more" in text


def test_the_summary_comes_first_then_what_is_destroyed_then_what_is_flagged_then_the_rest() -> None:
    made = report(
        *changes(
            step("update", "Job", "job-daily", old={"name": "daily", "x": "1"}, new={"name": "daily", "x": "2"}),
            step("delete", "CheckApproval", "gate-approval"),
            step("update", "BranchPolicyMinReviewers", "review", old={"count": "2"}, new={"count": "1"}),
        ),
        files=(changed("notebooks/load.py", cell("+x = 1")),),
    )
    text = comment_of(made, None).text
    order = [
        "| stack |",
        "Destroyed or replaced",
        "a check of deployments is taken away",
        "a policy on the repository",
        "Notebooks and files",
        "Job `daily` is updated",
        "+x = 1",
    ]
    assert [text.index(each) for each in order] == sorted(text.index(each) for each in order)
    assert "administrator runs pulumi up --stack prod" in text


def test_one_huge_notebook_leaves_room_for_the_others() -> None:
    huge = changed("notebooks/huge.py", cell(*(f"+{'x' * 5_000}" for _ in range(2_000))))
    text = comment_of(report(files=(huge, changed("notebooks/small.py", cell("+small = 1")))), None).text
    assert units(text) <= LIMIT
    assert "+small = 1" in text
    assert "more lines" in text

"""The scan for secrets, which takes the lines of all files together, finds what detect-secrets finds in each file."""

import re
import string
import tempfile
from base64 import b64encode
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import pytest
from detect_secrets.core.scan import scan_file
from detect_secrets.plugins.base import BasePlugin, RegexBasedDetector
from detect_secrets.plugins.keyword import DENYLIST
from detect_secrets.settings import get_plugins
from hypothesis import given, settings
from hypothesis import strategies as st

from delivery import secret_lines
from delivery.console import Progress, UnusableError
from delivery.secret_lines import configured, scanned, suspicious
from tests.delivery.test_secrets import SECRETS

Findings = dict[str, set[tuple[int, str]]]
ROOT = Path(__file__).parents[2]
# Among these are formats that the tool knows, and ones that it reads once more as settings.
EXTENSIONS = (".py", ".sql", ".scala", ".md", ".json", ".js", ".lock", ".ipynb", "")
REWRITTEN = (".yaml", ".ini", ".toml")


def plugins() -> list[BasePlugin]:
    with configured():
        return list(get_plugins())


EXPRESSIONS = [
    pytest.param(pattern, id=f"{type(plugin).__name__}-{number}")
    for plugin in plugins()
    if isinstance(plugin, RegexBasedDetector)
    for number, pattern in enumerate(plugin.denylist)
]
# What stands in the place of an expression of which Hypothesis can't make examples.
LIKE = {r"\b(?=[a-z]*[2-7])[a-z2-7]{52}\b": r"\b[a-z]{20}[2-7][a-z2-7]{31}\b"}
PRINTABLE = st.characters(min_codepoint=32, max_codepoint=126)
QUOTED = st.tuples(
    st.sampled_from("'\""), st.text(string.ascii_letters + string.digits + "+/=-_", min_size=1, max_size=60)
).map(lambda told: told[0] + told[1] + told[0])
WORDS = st.sampled_from([word.replace("_?", "_") for word in DENYLIST]).flatmap(
    lambda word: st.sampled_from([word, word.upper(), f"my_{word}_1", word.replace("s", "ſ"), word.replace("k", "K")])
)
SIGNS = st.sampled_from([" = ", ": ", " := ", " == ", " => ", "(", ")", "[0]", "'", '"', "`", ";", ",", "$", "{", " "])
# Signed with nothing; the tool looks into one whether it is one.
WEB_TOKEN = ".".join(
    b64encode(part).decode().rstrip("=") for part in (b'{"alg":"HS256"}', b'{"sub":"1234"}', b"x" * 32)
)
PIECES = st.one_of(
    QUOTED,
    WORDS,
    SIGNS,
    st.text(PRINTABLE, max_size=12),
    st.sampled_from([*SECRETS.values(), WEB_TOKEN]),
    st.sampled_from(
        ["# pragma: allowlist secret", "[a]", "x = ", "\t", "é", "\x0b", "\x0c", "\x85", "\u200b", "20.42.73.9"]
    ),
)
LINES = st.lists(PIECES, max_size=6).map("".join)
FILES = st.dictionaries(
    st.tuples(st.text("ab", min_size=1, max_size=2), st.sampled_from(EXTENSIONS)).map("".join),
    st.lists(LINES, max_size=8),
    min_size=1,
    max_size=4,
)


def quickly(files: Mapping[str, Sequence[str]]) -> Findings:
    return {
        path: {(index + 1, kind) for index, kinds in found.items() for kind in kinds}
        for path, found in scanned(files, Progress())
    }


def by_the_tool(files: Mapping[str, Sequence[str]]) -> Findings:
    """Each file by itself, as the tool scans it."""

    def each(folder: Path) -> Iterator[tuple[str, set[tuple[int, str]]]]:
        for number, (path, lines) in enumerate(files.items()):
            suffix = {".ipynb": ".py", ".lock": ".txt"}.get(PurePosixPath(path).suffix, PurePosixPath(path).suffix)
            file = folder / f"{number}{suffix}"
            file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            yield path, {(secret.line_number, secret.type) for secret in scan_file(str(file))}

    with tempfile.TemporaryDirectory() as folder, configured():
        return {path: found for path, found in each(Path(folder)) if found}


@pytest.mark.parametrize("pattern", EXPRESSIONS)
def test_what_an_expression_of_a_plugin_describes_is_found_as_the_tool_finds_it(pattern: re.Pattern[str]) -> None:
    # In a line of its own, in quotes, at the end of one, twice in one, and where a match could begin in the line above.
    @settings(max_examples=8, deadline=None, database=None)
    @given(st.from_regex(LIKE.get(pattern.pattern, pattern), alphabet=PRINTABLE), LINES)
    def holds(text: str, other: str) -> None:
        lines = [other, text, "", f"x = '{text}'", f"f({text}", f"  {text} {text}  ", other, text]
        files = {"a.py": lines, "b.sql": lines[1:], "c.md": [text]}
        assert quickly(files) == by_the_tool(files)

    holds()


@settings(max_examples=150, deadline=None)
@given(FILES)
def test_whatever_stands_in_the_files_the_same_is_found_in_each_as_the_tool_finds(
    files: dict[str, list[str]],
) -> None:
    # A file that begins so is a file of settings to the tool, whatever its name.
    plain = {path: ["x", *lines] if "".join(lines).lstrip().startswith("[") else lines for path, lines in files.items()}
    assert quickly(plain) == by_the_tool(plain)


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from((".py", ".sql", *REWRITTEN)),
    st.lists(st.tuples(st.sampled_from(["a", "b c", "password"]), PIECES), max_size=5),
)
def test_all_that_the_tool_finds_in_settings_is_found(extension: str, pairs: list[tuple[str, str]]) -> None:
    lines = ["[a]"] if extension != ".yaml" else []
    lines += [f"{key} = {value}" if extension != ".yaml" else f"{key}: {value}" for key, value in pairs]
    files = {f"a{extension}": lines}
    # By the kinds: the tool counts lines wrong here.
    ours, the_tools = quickly(files), by_the_tool(files)
    for path, found in the_tools.items():
        assert {kind for _, kind in found} <= {kind for _, kind in ours[path]}


@pytest.mark.parametrize("extension", REWRITTEN)
def test_a_credential_in_a_comment_of_settings_is_found(extension: str) -> None:
    above = ["a: b"] if extension == ".yaml" else ["[a]", "b = c"]
    files = {f"a{extension}": [*above, f"# {SECRETS['Databricks']}"]}
    assert not by_the_tool(files)  # the tool alone reads keys and values only
    assert quickly(files) == {f"a{extension}": {(len(above) + 1, "Databricks Token")}}


def test_the_same_is_found_in_all_the_files_of_this_project() -> None:
    files = {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").split("\n")
        for folder in ("delivery", "components", "notebooks", "pipelines")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in (".py", ".sql", ".md", ".yml")
    }
    ours, the_tools = quickly(files), by_the_tool(files)
    assert sum(map(len, the_tools.values())) > 5
    assert ours == the_tools


def test_only_few_lines_of_this_project_are_left_to_the_tool() -> None:
    lines = [
        line.rstrip()
        for path in sorted((ROOT / "components").glob("*.py"))
        for line in path.read_text(encoding="utf-8").split("\n")
    ]
    with configured():
        left = suspicious(lines, Progress())
    assert 0 < len(left) < len(lines) / 20


def test_a_file_of_an_unknown_format_that_reads_as_settings_is_scanned_as_such() -> None:
    files = {"variables": ["# what it needs", "password = correct-horse"], "a.py": ["password = correct-horse"]}
    assert quickly(files) == by_the_tool(files) == {"variables": {(2, "Secret Keyword")}}


def test_an_expression_for_a_whole_line_is_looked_for_in_each_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Whole(RegexBasedDetector):
        secret_type = "Whole"
        denylist = (re.compile("^bicycle$"),)

    monkeypatch.setattr(secret_lines, "get_plugins", lambda: [Whole()])
    assert suspicious(["a bicycle", "bicycle", "x = 1"], Progress()) == ["bicycle"]


def test_a_plugin_of_a_kind_that_is_not_known_is_asked_about_every_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Odd(BasePlugin):
        secret_type = "Odd"

        def analyze_string(self, string: str) -> Generator[str, None, None]:
            yield from re.findall("bicycle", string)

    monkeypatch.setattr(secret_lines, "get_plugins", lambda: [*plugins(), Odd()])
    assert suspicious(["bicycle", "x = 1"], Progress()) == ["bicycle", "x = 1"]


def test_a_tool_that_finds_nothing_any_more_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret_lines, "scan_file", lambda _: iter(()))
    with pytest.raises(UnusableError, match="detect-secrets"):
        quickly({"a.py": ["x = 1"]})


def test_a_finding_in_settings_with_several_keys_in_a_line_is_told_by_a_line_that_is_there() -> None:
    lines = ["a: 1", "b: {c: x, d: y, e: z, f: {g: h, password: hunter2-and-more}}"]
    assert quickly({"a.yaml": lines})["a.yaml"] == {(2, "Secret Keyword")}


def test_what_utf_8_cannot_spell_is_no_obstacle() -> None:
    assert quickly({"a.py": ["x = '\ud800'", "password = 'correct horse'"]}) == {"a.py": {(2, "Secret Keyword")}}

"""README and CONTRIBUTING say what is true: their targets, settings, links and exports exist, and none is missing."""

import re
from pathlib import Path
from typing import Any

import pytest

from components.settings import parse
from components.settings_reading import Section
from tests.components.settings_samples import ENVIRONMENT, FULL, make_project

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = ("README.md", "CONTRIBUTING.md")
# A key in code that begins with the name of a part, such as `gate.approvers`; not the name of a file.
PART = r"(?:services|controlPlane|gate|workspace|notebooks|tests|jobs|jobDefaults|jobOverrides)"
KEY = re.compile(rf"`(?:databricks-cicd:)?({PART}(?:\.[\w<>\[\]]+)+)[`:]")
FILE = re.compile(r"\.(?:py|yaml|yml|md)$")


def text_of(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def section_of(text: str, heading: str) -> str:
    """The text below a heading, up to the next one of its level or above."""
    level = heading.split(" ", maxsplit=1)[0]
    _, _, rest = text.partition(f"\n{heading}\n")
    return re.split(rf"^#{{1,{len(level)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def table_of_settings() -> list[str]:
    return re.findall(r"^\| `([^`]+)` \|", section_of(text_of("README.md"), "## Settings"), re.MULTILINE)


def rows() -> dict[str, tuple[str, str]]:
    """Default and allowed values of each key, as the table has them."""
    lines = re.findall(r"^\| `.+\|$", section_of(text_of("README.md"), "## Settings"), re.MULTILINE)
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {each[0].strip("`"): (each[2], each[3]) for each in cells}


def documented(path: str) -> str:
    """A key as the table writes it: without the numbers of list entries and the names of jobs, tasks and clusters."""
    path = re.sub(r"^(?:jobs|jobOverrides)\.\w+", "jobs.<key>", re.sub(r"\[\d+\]", "[]", path))
    path = re.sub(r"^(jobs\.<key>\.tasks)\.\w+", r"\1.<task>", path)
    return re.sub(r"^(jobs\.<key>\.clusters)\.\w+", r"\1.<name>", path)


@pytest.fixture
def keys_of_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Every key that the program asks a stack's configuration for."""
    asked: set[str] = set()
    has = Section.has

    def note(self: Section, name: str) -> bool:
        asked.add(documented(self.at(name)))
        return has(self, name)

    monkeypatch.setattr(Section, "has", note)
    root = make_project(tmp_path)
    # With and without defaults: what a job has from there is asked for where it was written.
    for raw in (FULL, {**FULL, "jobDefaults": {}}):
        parse(raw, stack="test", environment=ENVIRONMENT, root=root)
    assert asked, "the settings are read by another way than Section.has"
    # A group is asked for, to say that it is not allowed there.
    return asked - {"jobs.<key>.runAs.group"}


@pytest.mark.parametrize("reader", ["number", "flag", "choice"])
def test_the_table_says_the_defaults_and_limits_of_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: str
) -> None:
    asked: dict[str, dict[str, Any]] = {}
    read = getattr(Section, reader)

    def note(self: Section, name: str, *options: Any, **rules: Any) -> Any:
        asked[documented(self.at(name))] = {**rules, "options": options}
        return read(self, name, *options, **rules)

    monkeypatch.setattr(Section, reader, note)
    parse(FULL, stack="test", environment=ENVIRONMENT, root=make_project(tmp_path))
    assert asked
    # Depends on the environment, as the row says.
    asked.pop("workspace.protect", None)
    for key, rules in asked.items():
        default, allowed = rows()[key]
        # There the default is what the job or jobDefaults say, or the key is required.
        is_relative = re.match(r"jobs\.<key>\.(tasks|clusters|schedule)\.", key)
        if rules.get("default") and not is_relative:
            assert str(rules["default"]).lower() in default, key
        if "most" in rules and key != "jobs.<key>.warnAfterMinutes":
            assert allowed.startswith(f"{rules['least']} to {rules['most']}"), key
        if reader == "flag" and not (is_relative and rules["default"]):
            assert (default, allowed) == (f"`{str(rules['default']).lower()}`", "`true`, `false`"), key
        for options in rules["options"] if not key.endswith(".compute") else ():  # names of clusters
            assert re.findall(r"`([^`]+)`", allowed) == list(options), key


def test_the_table_names_every_setting_of_the_program_and_no_other(keys_of_the_program: set[str]) -> None:
    named = table_of_settings()
    # Keys that only hold others need no line of their own.
    parts = {key.rsplit(".", 1)[0].removesuffix("[]") for key in keys_of_the_program if "." in key}
    assert sorted(keys_of_the_program - parts - set(named)) == [], "missing in the table"
    assert sorted(set(named) - keys_of_the_program - parts) == [], "unknown to the program"
    assert len(named) == len(set(named)), "named twice"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_settings_named_in_the_text_exist(document: str, keys_of_the_program: set[str]) -> None:
    named = {key for key in KEY.findall(text_of(document)) if not FILE.search(key)}
    assert sorted(named - keys_of_the_program) == []


@pytest.mark.parametrize("document", [*DOCUMENTS, "Pulumi.yaml", "Pulumi.test.yaml", "Pulumi.prod.yaml"])
def test_make_targets_named_exist(document: str) -> None:
    text = text_of(document)
    in_code = "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL))
    named = set(re.findall(r"\bmake (?:-s )?([a-z][a-z-]*)", in_code))
    targets = set(re.findall(r"^([a-z][a-z-]*):", text_of("Makefile"), re.MULTILINE))
    assert sorted(named - targets) == []


def test_every_make_target_is_documented() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):.*## ", text_of("Makefile"), re.MULTILINE))
    documents = "".join(map(text_of, DOCUMENTS))
    assert sorted(each for each in targets if not re.search(rf"make (?:-s )?{each}(?![\w-])", documents)) == []


@pytest.mark.parametrize("document", [*DOCUMENTS, "docs/how-it-works.md"])
def test_relative_links_lead_somewhere(document: str) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", text_of(document)):
        if re.match(r"https?:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / document).parent / path if path else ROOT / document
        assert target.exists(), link
        if anchor:
            assert anchor in anchors_of(target.read_text(encoding="utf-8")), link


def anchors_of(text: str) -> set[str]:
    """The names that a Markdown viewer gives to the headings."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_paths_in_code_exist() -> None:
    for document in DOCUMENTS:
        for path in re.findall(r"`((?:components|rehearsal|tests|pipelines|notebooks)/[\w./-]*)`", text_of(document)):
            assert (ROOT / path).exists(), f"{document}: {path}"


def test_the_exports_named_are_those_of_the_program() -> None:
    program = text_of("__main__.py") + text_of("components/control_plane.py")
    exported = {name for block in re.findall(r"exports\s*=\s*\{(.*?)\}", program, re.DOTALL) for name in names(block)}
    assert exported == set(re.findall(r"`(\w+)`", section_of(text_of("README.md"), "### Exports")))


def names(block: str) -> list[str]:
    """The keys of a dictionary's source."""
    return re.findall(r'^\s*"(\w+)":', block, re.MULTILINE)

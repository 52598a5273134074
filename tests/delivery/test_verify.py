"""Every difference between an artifact and what was packaged is noticed, and named."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from delivery.console import Progress, UnusableError
from delivery.manifest import Entry, Manifest, ManifestError
from delivery.verify import Difference, Verdict, verify
from tests.delivery.repository import FILES, Repository, packaged

NAMES = [*FILES, "manifest.json"]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact that no test changes."""
    folder = tmp_path_factory.mktemp("original")
    packaged(Repository.full(folder / "repository"), folder / "release", branch="refs/heads/main", build=True)
    return folder / "release"


@pytest.fixture(scope="module")
def digest(original: Path) -> str:
    return Manifest.read((original / "manifest.json").read_bytes()).digest


@pytest.fixture
def artifact(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "release"))


def judged(folder: Path, digest: str | None = None) -> Verdict:
    return verify(folder, digest, Progress())


def only(verdict: Verdict) -> Difference:
    (difference,) = verdict.differences
    assert not verdict.equal
    return difference


def rewritten(artifact: Path, **changes: object) -> None:
    """The manifest with other fields, written as a program would."""
    document = json.loads((artifact / "manifest.json").read_bytes()) | changes
    (artifact / "manifest.json").write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def test_an_artifact_as_it_was_packaged_is_equal(artifact: Path, digest: str) -> None:
    assert judged(artifact).equal
    assert judged(artifact, digest).equal


def test_a_missing_file_is_named(artifact: Path) -> None:
    (artifact / "components/naming.py").unlink()
    difference = only(judged(artifact))
    assert (difference.kind, difference.path) == ("missing", "components/naming.py")


@pytest.mark.parametrize(
    "name", ["notebooks/extra.py", "components/new/module.py", "a b", "delivery/__pycache__/a.pyc"]
)
def test_an_added_file_or_folder_is_named(artifact: Path, name: str) -> None:
    (artifact / name).parent.mkdir(exist_ok=True)
    (artifact / name).write_bytes(b"")
    difference = only(judged(artifact))
    assert difference.kind == "added"
    assert name.startswith(difference.path)


def test_an_added_empty_folder_is_named(artifact: Path) -> None:
    (artifact / "notebooks/reports").mkdir()
    difference = only(judged(artifact))
    assert (difference.kind, difference.path, difference.found) == ("added", "notebooks/reports/", "a folder")


def test_a_name_that_is_not_unicode_can_be_told(artifact: Path) -> None:
    (artifact / os.fsdecode(b"notebooks/\xff")).write_bytes(b"")
    assert only(judged(artifact)).kind == "added"


def test_of_a_changed_file_the_first_thing_that_differs_is_told(artifact: Path) -> None:
    path = artifact / "notebooks/load.py"
    content = path.read_bytes()
    path.write_bytes(content + b"\n")
    longer = only(judged(artifact))
    assert (longer.found, longer.expected) == (f"{len(content) + 1} bytes", f"{len(content)} bytes")
    path.write_bytes(content.replace(b"trips", b"bikes"))
    other = only(judged(artifact))
    assert (longer.kind, other.kind) == ("changed", "changed")
    assert other.expected == f"SHA-256 {hashlib.sha256(content).hexdigest()}"


def a_link(path: Path) -> None:
    path.rename(path.parents[2] / "elsewhere")
    path.symlink_to(path.parents[2] / "elsewhere")


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda path: path.chmod(0o755), "an executable file"),
        (a_link, "a symbolic link"),
        (a_pipe, "neither file nor folder"),
    ],
    ids=["executable", "link", "pipe"],
)
@pytest.mark.parametrize("name", ["notebooks/load.py", "components/naming.py"])
def test_another_mode_is_named(artifact: Path, name: str, change: Callable[[Path], None], found: str) -> None:
    change(artifact / name)
    difference = only(judged(artifact))
    assert (difference.kind, difference.path, difference.found) == ("mode", name, found)


def test_a_folder_in_the_place_of_a_file_and_a_file_in_that_of_a_folder_are_named(artifact: Path) -> None:
    (artifact / "notebooks/load.py").unlink()
    (artifact / "notebooks/load.py").mkdir()
    shutil.rmtree(artifact / "components")
    (artifact / "components").write_bytes(b"")
    kinds = {(each.kind, each.path) for each in judged(artifact).differences}
    assert kinds == {
        ("added", "notebooks/load.py/"),
        ("missing", "notebooks/load.py"),
        ("added", "components"),
        ("missing", "components/naming.py"),
    }


def test_another_artifact_than_the_expected_one_is_named_though_it_is_whole(artifact: Path, digest: str) -> None:
    difference = only(judged(artifact, "5" * 64))
    assert (difference.kind, difference.found, difference.expected) == ("digest", digest, "5" * 64)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", "2026.11.24.0000+000000000000"),
        ("commit", "4" * 40),
        ("branch", "refs/heads/other"),
        ("build", {"id": 18, "number": "20261123.5"}),
        ("build", None),
        ("digest", "5" * 64),
        ("content", "5" * 64),
        ("files", []),
        ("also", 1),
        ("version", None),
        ("commit", "HEAD"),
        ("build", {"id": "18", "number": "20261123.5"}),
        ("files", {}),
        ("files", [{"path": "a", "part": "secret", "size": 1, "sha256": "5" * 64}]),
    ],
)
def test_an_altered_manifest_is_named(artifact: Path, field: str, value: object) -> None:
    rewritten(artifact, **{field: value})
    difference = only(judged(artifact))
    assert difference.kind == "manifest"
    if field in ("digest", "content"):
        assert difference.found.startswith(f'{field} "{value}" where the rest gives')


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"null", b"[" * 100_000])
def test_a_manifest_that_is_none_is_named(artifact: Path, content: bytes) -> None:
    (artifact / "manifest.json").write_bytes(content)
    assert only(judged(artifact)).kind == "manifest"


def test_the_same_manifest_in_another_spelling_is_named(artifact: Path) -> None:
    document = json.loads((artifact / "manifest.json").read_bytes())
    for text in (json.dumps(document), json.dumps(document, indent=2), json.dumps(document, indent=2) + "\n\n"):
        (artifact / "manifest.json").write_text(text)
        assert only(judged(artifact)).kind == "manifest"


@pytest.mark.parametrize("value", [2, "1", None, True, 0])
def test_another_version_of_the_format_is_named(artifact: Path, value: object) -> None:
    rewritten(artifact, format=value)
    difference = only(judged(artifact))
    assert (difference.kind, difference.expected) == ("format", "format 1")


def test_a_manifest_made_anew_for_other_files_is_whole_but_not_the_expected_one(artifact: Path, digest: str) -> None:
    """Whoever changes files and manifest together is found out by the digest, which comes from elsewhere."""
    whole = Manifest.read((artifact / "manifest.json").read_bytes())
    evil = b"# Databricks notebook source\nsend()\n"
    entry = Entry(path="notebooks/load.py", part="notebooks", size=len(evil), sha256=hashlib.sha256(evil).hexdigest())
    files = [entry, *(each for each in whole.files if each.path != entry.path)]
    forged = Manifest.of(files, version=whole.version, commit=whole.commit, branch=whole.branch, build=whole.build)
    (artifact / entry.path).write_bytes(evil)
    (artifact / "manifest.json").write_bytes(forged.written())
    assert judged(artifact).equal
    assert only(judged(artifact, digest)).kind == "digest"


def test_all_differences_are_told_at_once(artifact: Path) -> None:
    (artifact / "notebooks/load.py").write_bytes(b"")
    (artifact / "Pulumi.yaml").unlink()
    (artifact / "new").write_bytes(b"")
    assert {each.kind for each in judged(artifact, "5" * 64).differences} == {"changed", "missing", "added", "digest"}


@pytest.mark.parametrize("name", ["nowhere", "release/Pulumi.yaml", "release/notebooks"])
def test_a_place_without_an_artifact_is_unusable(artifact: Path, name: str) -> None:
    with pytest.raises(UnusableError, match=r"manifest\.json"):
        judged(artifact.parent / name)


@pytest.mark.parametrize("digest", ["", "5" * 63, "5" * 65, "G" * 64, "sha256:" + "5" * 64])
def test_a_digest_that_is_none_is_unusable(artifact: Path, digest: str) -> None:
    with pytest.raises(UnusableError, match="--digest"):
        judged(artifact, digest)


def flip(folder: Path, data: st.DataObject) -> None:
    path = folder / data.draw(st.sampled_from([name for name in NAMES if name != "notebooks/empty.txt"]))
    content = bytearray(path.read_bytes())
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def add(folder: Path, data: st.DataObject) -> None:
    above = data.draw(st.sampled_from(["", "notebooks/", "components/", "tests/", "notebooks/new/"]))
    name = data.draw(
        st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20)
    )
    path = folder / above / name
    assume(name not in (".", "..") and not path.exists())
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data.draw(st.binary(max_size=20)))


def remove(folder: Path, data: st.DataObject) -> None:
    (folder / data.draw(st.sampled_from(list(FILES)))).unlink()


def rename(folder: Path, data: st.DataObject) -> None:
    path = folder / data.draw(st.sampled_from(list(FILES)))
    path.rename(path.with_name(path.name + data.draw(st.sampled_from(["x", ".bak", " "]))))


def swap(folder: Path, data: st.DataObject) -> None:
    one, two = (folder / name for name in data.draw(st.permutations(NAMES))[:2])
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)


def cut(folder: Path, data: st.DataObject) -> None:
    path = folder / data.draw(st.sampled_from([name for name in NAMES if name != "notebooks/empty.txt"]))
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])


@pytest.mark.parametrize("with_digest", [False, True])
@settings(max_examples=150, deadline=None)
@given(change=st.sampled_from([flip, add, remove, rename, swap, cut]), data=st.data())
def test_any_change_is_noticed(
    original: Path, digest: str, with_digest: bool, change: Callable[[Path, st.DataObject], None], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(shutil.copytree(original, Path(scratch) / "release"))
        change(folder, data)
        verdict = judged(folder, digest if with_digest else None)
        assert not verdict.equal
        assert all(each.kind and each.path and each.found != each.expected for each in verdict.differences)


def test_each_bit_of_the_manifest_counts(original: Path) -> None:
    """All of them, not a sample: it is the file that vouches for the others."""
    one = Manifest.read((original / "manifest.json").read_bytes())
    short = Manifest.of(one.files[:1], version=one.version, commit=one.commit, branch=one.branch, build=one.build)
    written = bytearray(short.written())
    for bit in range(8 * len(written)):
        written[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ManifestError):
            Manifest.read(bytes(written))
        written[bit // 8] ^= 1 << bit % 8
    assert Manifest.read(bytes(written)) == short

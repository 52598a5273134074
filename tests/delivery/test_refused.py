"""What can't be released is refused when it is packaged: by name, with what to do."""

import os
from pathlib import Path

import pytest

import release_files
from delivery import contents as rules
from delivery.console import Progress, RefusedError
from delivery.package import Wanted, package
from tests.delivery.repository import FILES, NOTEBOOK, Repository, refusal, refusals


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository.full(tmp_path / "repository")


@pytest.mark.parametrize(
    "path",
    ["notebooks/load.py", "notebooks/new.py", "notebooks/a/b/new.py", "Pulumi.prod.yaml", "tests/release/new.py"],
)
def test_an_uncommitted_change_of_what_is_packaged_is_refused(
    repository: Repository, tmp_path: Path, path: str
) -> None:
    repository.put(path, (FILES.get(path) or NOTEBOOK) + b"# more\n")
    repository.git("config", "status.showUntrackedFiles", "no")
    found = refusal(repository, tmp_path / "release")
    assert found.key == path
    assert "--commit HEAD" in found.remedy


def test_a_file_that_was_removed_and_not_committed_is_refused(repository: Repository, tmp_path: Path) -> None:
    (repository.folder / "notebooks/load.py").unlink()
    assert refusal(repository, tmp_path / "release").key == "notebooks/load.py"


def test_an_uncommitted_change_is_named_by_its_path_in_the_project(tmp_path: Path) -> None:
    repository = Repository.full(tmp_path / "repository", "data/platform")
    (repository.top / "notebooks").mkdir()
    (repository.top / "notebooks/other.py").write_bytes(NOTEBOOK)
    repository.put("notebooks/load.py", NOTEBOOK * 2)
    assert refusal(repository, tmp_path / "release").key == "notebooks/load.py"


def test_a_symbolic_link_is_refused(repository: Repository, tmp_path: Path) -> None:
    (repository.folder / "notebooks/link.py").symlink_to("load.py")
    repository.commit()
    found = refusal(repository, tmp_path / "release")
    assert (found.key, found.found) == ("notebooks/link.py", "a symbolic link")


def test_a_submodule_is_refused(repository: Repository, tmp_path: Path) -> None:
    repository.commit_object("notebooks/library", "160000", repository.git("rev-parse", "HEAD"))
    found = refusal(repository, tmp_path / "release", "HEAD")
    assert (found.key, found.found) == ("notebooks/library", "a submodule")


def test_a_pointer_of_git_lfs_is_refused(repository: Repository, tmp_path: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 9\n" % (b"4d" * 32)
    repository.put("notebooks/data/trips.parquet", pointer)
    repository.commit()
    found = refusal(repository, tmp_path / "release")
    assert found.key == "notebooks/data/trips.parquet"
    assert "Git LFS" in found.found


@pytest.mark.parametrize(
    ("path", "other"),
    [
        ("notebooks/LOAD.py", "notebooks/load.py"),
        ("notebooks/Data/more.csv", "notebooks/data"),
        ("notebooks/Ko\u0308ln.csv", "notebooks/K\u00f6ln.csv"),
    ],
)
def test_names_that_are_the_same_on_some_file_systems_are_refused(
    repository: Repository, tmp_path: Path, path: str, other: str
) -> None:
    blob = repository.git("rev-parse", "HEAD:notebooks/load.py")
    if other.endswith(".csv"):
        repository.commit_object(other, "100644", blob)
    repository.commit_object(path, "100644", blob)
    (found,) = refusals(repository, tmp_path / "release", "HEAD")
    named = {found.key.casefold(), found.found}
    assert any(other in each or path in each for each in named)
    assert "rename" in found.remedy


@pytest.mark.parametrize("path", ["notebooks/a\x07b.py", "notebooks/ a.py", "notebooks/a\\b.py", "components/a\x1b.py"])
def test_a_name_that_no_workspace_or_terminal_can_hold_is_refused(
    repository: Repository, tmp_path: Path, path: str
) -> None:
    repository.commit_object(path, "100644", repository.git("rev-parse", "HEAD:release_files.py"))
    found = refusal(repository, tmp_path / "release", "HEAD")
    assert "rename" in found.remedy
    assert str(found).isprintable()


def test_a_name_that_is_not_unicode_is_refused(repository: Repository, tmp_path: Path) -> None:
    repository.put(os.fsdecode(b"notebooks/\xff.py"), NOTEBOOK)
    repository.commit()
    found = refusal(repository, tmp_path / "release")
    assert found.key.isprintable()
    assert "valid Unicode" in found.remedy


@pytest.mark.parametrize("path", rules.NEEDED)
def test_a_commit_without_what_a_release_needs_is_refused(repository: Repository, tmp_path: Path, path: str) -> None:
    repository.git("rm", "--quiet", path)
    repository.commit()
    assert path in {mistake.key for mistake in refusals(repository, tmp_path / "release")}


def test_a_commit_without_stacks_is_refused(repository: Repository, tmp_path: Path) -> None:
    repository.git("rm", "--quiet", "Pulumi.test.yaml", "Pulumi.prod.yaml")
    repository.commit()
    assert "no stack" in refusal(repository, tmp_path / "release").found


@pytest.mark.parametrize(
    ("path", "content", "found"),
    [
        ("notebooks/bad.ipynb", b"{}", "nbformat"),
        ("notebooks/load.sql", b"-- Databricks notebook source\n", "so does load.py"),
        ("notebooks/large.bin", bytes(release_files.MAXIMUM_SIZE + 1), "bytes"),
        ("tests/release/bad.ipynb", b"[]", "JSON, but not a notebook"),
    ],
)
def test_what_databricks_would_refuse_is_refused(
    repository: Repository, tmp_path: Path, path: str, content: bytes, found: str
) -> None:
    repository.put(path, content)
    repository.commit()
    mistake = refusal(repository, tmp_path / "release")
    assert mistake.key == path
    assert found in mistake.found
    if path.startswith("tests"):
        assert "databricks-cicd:tests.ignore" in mistake.remedy


def test_a_release_without_a_notebook_is_refused(repository: Repository, tmp_path: Path) -> None:
    repository.git("rm", "-r", "--quiet", "notebooks")
    repository.commit()
    assert refusal(repository, tmp_path / "release").key == "notebooks"


@pytest.mark.parametrize(
    "path", ["test_load.py", "load_test.py", "conftest.py", "tests/data.csv", "a/test/helper.py", "test_load.ipynb"]
)
def test_a_test_among_the_notebooks_is_refused_for_they_go_to_production(
    repository: Repository, tmp_path: Path, path: str
) -> None:
    repository.put(f"notebooks/{path}", FILES["notebooks/report.ipynb"])
    repository.commit()
    found = refusals(repository, tmp_path / "release")
    assert {mistake.key for mistake in found} == {f"notebooks/{path}"}
    assert all("production" in mistake.found and "tests/release" in mistake.remedy for mistake in found)


def test_a_production_stack_with_tests_is_refused(repository: Repository, tmp_path: Path) -> None:
    settings = (
        b"config:\n  databricks-cicd:environment: production\n  databricks-cicd:tests:\n    folder: tests/release\n"
    )
    repository.put("Pulumi.prod.yaml", settings)
    repository.commit()
    found = refusal(repository, tmp_path / "release")
    assert found.key == "Pulumi.prod.yaml"
    assert "databricks-cicd:tests" in found.found


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        (b"config: {databricks-cicd:notebooks: {folder: /etc}}", "notebooks.folder is '/etc'"),
        (b"config: {databricks-cicd:notebooks: {folder: ../other}}", "notebooks.folder is '../other'"),
        (b"config: {databricks-cicd:notebooks: {folder: .}}", "notebooks.folder is '.'"),
        (b"config: {databricks-cicd:notebooks: {folder: 7}}", "notebooks.folder is 7"),
        (b"config: {databricks-cicd:notebooks: {ignore: 7}}", "notebooks.ignore is 7"),
        (b"config: {", "not valid YAML"),
    ],
)
def test_a_setting_that_tells_no_folder_is_refused(
    repository: Repository, tmp_path: Path, settings: bytes, found: str
) -> None:
    repository.put("Pulumi.test.yaml", settings)
    repository.commit()
    mistake = refusal(repository, tmp_path / "release")
    assert mistake.key == "Pulumi.test.yaml"
    assert found in mistake.found


@pytest.mark.parametrize(
    "line",
    ["import helpers", "from helpers import names", "from helpers.names import NAME", "import helpers.names as n"],
)
def test_an_import_that_the_artifact_could_not_satisfy_is_refused(
    repository: Repository, tmp_path: Path, line: str
) -> None:
    repository.put("helpers/__init__.py", b"")
    repository.put("helpers/names.py", b"NAME = 1\n")
    repository.put("components/naming.py", f"def name() -> None:\n    {line}\n".encode())
    repository.commit()
    found = refusals(repository, tmp_path / "release")
    assert {mistake.key for mistake in found} == {"components/naming.py"}
    assert all("helpers" in mistake.found for mistake in found)


def test_a_program_that_is_not_python_is_refused(repository: Repository, tmp_path: Path) -> None:
    repository.put("components/naming.py", b"def\n")
    repository.commit()
    assert "not valid Python" in refusal(repository, tmp_path / "release").found


def test_all_mistakes_are_told_at_once(repository: Repository, tmp_path: Path) -> None:
    repository.put("components/naming.py", b"def\n")
    repository.put("notebooks/bad.ipynb", b"{}")
    repository.put("notebooks/key.py", b"aws = 'AKIAIOSFODNN7EXAMPLE'\n")
    repository.commit()
    keys = [mistake.key for mistake in refusals(repository, tmp_path / "release")]
    assert keys == ["components/naming.py", "notebooks/bad.ipynb", "notebooks/key.py"]


def test_a_build_of_another_commit_than_the_one_checked_out_is_refused(repository: Repository, tmp_path: Path) -> None:
    wanted = Wanted(
        project=repository.folder,
        output=tmp_path / "release",
        commit=None,
        branch=None,
        build=None,
        built_commit="4" * 40,
    )
    with pytest.raises(RefusedError, match="BUILD_SOURCEVERSION"):
        package(wanted, Progress())

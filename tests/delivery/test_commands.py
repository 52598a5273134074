"""The command line: help, progress, JSON, exit codes; and what the commands may depend on."""

import ast
import json
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.settings import parse
from delivery.__main__ import main
from delivery.contents import FOLDERS
from delivery.manifest import Manifest
from tests.components.settings_samples import ENVIRONMENT as SERVICES
from tests.components.settings_samples import make_project
from tests.delivery.repository import ENVIRONMENT, FILES, NOTEBOOK, Repository, contents

ROOT = Path(__file__).parents[2]
BUILD = {
    "BUILD_SOURCEBRANCH": "refs/heads/main",
    "BUILD_BUILDID": "17",
    "BUILD_BUILDNUMBER": "20261123.4",
}


@pytest.fixture(autouse=True)
def _no_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests may themselves run in a pipeline."""
    for name in (*BUILD, "BUILD_SOURCEVERSION"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    made = Repository.full(tmp_path / "repository")
    monkeypatch.chdir(made.folder)
    return made


def run(*arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "delivery", *arguments],
        cwd=cwd,
        env=ENVIRONMENT | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    """The one JSON document on standard output."""
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("arguments", [(), ("package",), ("verify",)])
def test_each_command_has_help(arguments: tuple[str, ...]) -> None:
    done = run(*arguments, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "python -m delivery" in done.stdout
    if arguments:
        assert "--json" in done.stdout
        assert all(f"\n  {code}  " in done.stdout for code in (0, 1, 2))


@pytest.mark.parametrize("arguments", [(), ("deliver",), ("package",), ("verify", "a", "b")])
def test_wrong_usage_is_exit_code_2(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage: python -m delivery" in done.stderr


def test_packaging_tells_people_the_digest_and_goes_on_to_verify(
    repository: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    release = str(tmp_path / "release")
    assert main(["package", "--output", release]) == 0
    told = capsys.readouterr()
    assert repository.git("rev-parse", "HEAD") in told.err
    version, _, digest = (line.split() for line in told.out.splitlines())
    assert (version[0], digest[0]) == ("version", "digest")
    assert main(["verify", release, "--digest", digest[1]]) == 0
    assert digest[1] in capsys.readouterr().out


def test_packaging_tells_programs_the_manifest_without_its_files(
    repository: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["package", "--output", str(tmp_path / "release"), "--json"]) == 0
    written = json.loads((tmp_path / "release/manifest.json").read_bytes())
    size = sum(map(len, FILES.values()))
    expected = written | {"folder": str(tmp_path / "release"), "files": len(FILES), "bytes": size}
    del expected["format"]
    assert printed(capsys) == expected


def test_in_a_pipeline_branch_and_build_come_from_its_variables(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in BUILD.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("BUILD_SOURCEVERSION", repository.git("rev-parse", "HEAD"))
    assert main(["package", "--output", str(tmp_path / "one"), "--json"]) == 0
    told = printed(capsys)
    assert told["branch"] == "refs/heads/main"
    assert told["build"] == {"id": 17, "number": "20261123.4"}
    monkeypatch.setenv("BUILD_SOURCEVERSION", "4" * 40)
    assert main(["package", "--output", str(tmp_path / "two"), "--json"]) == 1
    (error,) = printed(capsys)["errors"]
    assert error["key"] == "BUILD_SOURCEVERSION"


@pytest.mark.parametrize(
    "options", [["--build-id", "17"], ["--build-number", "7"], ["--build-id=x", "--build-number=7"]]
)
def test_half_a_build_is_wrong_usage(
    repository: Repository, tmp_path: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["package", "--output", str(tmp_path / "release"), *options]) == 2
    assert "--build-id" in capsys.readouterr().err


def test_a_refusal_is_exit_code_1_with_key_finding_and_remedy(
    repository: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.put("notebooks/load.py", NOTEBOOK + b"print(1)\n")
    release = tmp_path / "release"
    assert main(["package", "--output", str(release)]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "error: notebooks/load.py: it isn't as it was committed; commit it" in told.err
    assert main(["package", "--output", str(release), "--json"]) == 1
    (error,) = printed(capsys)["errors"]
    assert set(error) == {"key", "found", "remedy"}
    assert not release.exists()


def test_what_can_not_be_read_or_written_is_exit_code_2(
    repository: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["package", "--output", str(tmp_path / "release"), "--commit", "nobody"]) == 2
    assert main(["package", "--output", "__main__.py/release"]) == 2
    assert main(["package", "--output", str(repository.folder)]) == 2
    assert main(["package", "--output", str(tmp_path / "release"), "--project", "nowhere"]) == 2
    assert main(["verify", str(tmp_path)]) == 2
    assert main(["verify", str(tmp_path), "--digest", "7"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert len([line for line in told.err.splitlines() if line.startswith("error: ")]) == 6


def test_a_difference_is_exit_code_1_and_told(
    repository: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    release = tmp_path / "release"
    assert main(["package", "--output", str(release)]) == 0
    (release / "notebooks/load.py").write_bytes(NOTEBOOK.upper())
    capsys.readouterr()
    assert main(["verify", str(release)]) == 1
    assert "changed   notebooks/load.py: SHA-256 " in capsys.readouterr().out
    assert main(["verify", str(release), "--json"]) == 1
    told = printed(capsys)
    assert told["equal"] is False
    assert told["commit"] == repository.git("rev-parse", "HEAD")
    (difference,) = told["differences"]
    assert (difference["kind"], difference["path"]) == ("changed", "notebooks/load.py")


def test_of_many_differences_people_see_the_first_and_programs_all(
    repository: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    release = tmp_path / "release"
    assert main(["package", "--output", str(release)]) == 0
    for number in range(60):
        (release / f"{number}.txt").write_bytes(b"")
    capsys.readouterr()
    assert main(["verify", str(release)]) == 1
    assert "... and 10 more" in capsys.readouterr().out
    assert main(["verify", str(release), "--json"]) == 1
    assert len(printed(capsys)["differences"]) == 60


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artifact of this very project, as it was committed last."""
    release = tmp_path_factory.mktemp("own") / "release"
    done = run("package", "--commit", "HEAD", "--output", str(release))
    assert done.returncode == 0, done.stderr
    return release


def test_this_project_can_be_packaged_and_its_program_finds_what_it_imports(own: Path) -> None:
    program = "import components.control_plane, components.jobs, components.notebooks, delivery.package, release_files"
    done = subprocess.run(
        [sys.executable, "-B", "-c", program], cwd=own, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python in which nothing is installed."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False)
    return str(folder / "bin/python")


def test_verify_runs_from_the_artifact_with_nothing_installed_and_leaves_nothing(own: Path, python: str) -> None:
    before = contents(own)
    done = subprocess.run(
        [python, "-B", "-m", "delivery", "verify", ".", "--json"],
        cwd=own,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["digest"] == Manifest.read(before["manifest.json"]).digest
    assert contents(own) == before


LIE = b"print('equal')\nraise SystemExit(0)\n"


@pytest.mark.parametrize("name", [None, "delivery/verify.py", "delivery/__main__.py", "json.py", "notebooks/ingest.py"])
def test_a_release_compares_the_artifact_by_commands_that_are_not_its_own(
    own: Path, python: str, tmp_path: Path, name: str | None
) -> None:
    """The step of the release pipeline, in the folder to which an agent downloads what the build has published."""
    shutil.copytree(own, tmp_path / "release")
    shutil.copytree(own / "delivery", tmp_path / "delivery")
    (tmp_path / "digest").mkdir()
    digest = Manifest.read((own / "manifest.json").read_bytes()).digest
    (tmp_path / "digest/release.sha256").write_text(f"{digest}\n")
    if name:
        (tmp_path / "release" / name).write_bytes(LIE)
    template = yaml.safe_load((ROOT / "pipelines/templates/artifact.yml").read_text())
    (step,) = [each for each in template["steps"] if "delivery verify" in each.get("script", "")]
    done = subprocess.run(
        [python, *step["script"].split()[1:]],
        cwd=step["workingDirectory"].replace("$(Pipeline.Workspace)/build", str(tmp_path)),
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    if name is None:
        assert done.returncode == 0, done.stdout + done.stderr
        assert digest in done.stdout
    else:
        assert done.returncode == 1, done.stdout + done.stderr
        assert re.search(rf"(changed|added) +{name}", done.stdout)


def test_what_python_leaves_in_the_artifact_is_told_with_its_remedy(own: Path, tmp_path: Path) -> None:
    release = shutil.copytree(own, tmp_path / "release")
    for line in ("added     delivery/__pycache__/", "-B"):
        assert line in run("verify", ".", cwd=release).stdout


def test_the_folders_are_by_default_those_of_the_programs_settings(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    (project / "tests/release").mkdir(parents=True)
    (project / "tests/release/test_trips.py").write_bytes(FILES["tests/release/test_trips.py"])
    raw = {"environment": "test", "controlPlane": {"project": {"name": "Bikes"}}, "workspace": {"folder": "/bikes"}}
    parsed = parse(raw | {"tests": {"ignore": []}}, stack="test", environment=SERVICES, root=project)
    assert parsed.tests
    assert {"notebooks": parsed.notebooks.folder, "tests": parsed.tests.folder} == FOLDERS


def test_the_artifact_has_nothing_of_the_rehearsal_or_of_the_programs_tests(own: Path) -> None:
    whole = Manifest.read((own / "manifest.json").read_bytes())
    tops = {entry.path.partition("/")[0] for entry in whole.files}
    assert not tops & {"rehearsal", "benchmarks", "README.md", "Makefile", ".ci", ".gitignore", "requirements-dev.lock"}
    assert {entry.part for entry in whole.files if entry.path.startswith("tests/")} <= {"tests"}
    assert {entry.part for entry in whole.files if entry.path.startswith("notebooks/")} == {"notebooks"}


def imported(path: Path) -> set[str]:
    tree = ast.parse(path.read_bytes())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in names}


def test_the_commands_import_neither_the_components_nor_the_rehearsal() -> None:
    for path in (ROOT / "delivery").glob("*.py"):
        assert not imported(path) & {"components", "rehearsal", "pulumi", "tests"}, path
    for path in (ROOT / "components").glob("*.py"):
        assert "delivery" not in imported(path), path


def test_the_digest_goes_from_package_to_verify_by_a_file_and_on_to_later_stages(
    repository: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact, digest = tmp_path / "artifact", tmp_path / "digest" / "release.sha256"
    assert main(["package", "--output", str(artifact), "--digest-file", str(digest)]) == 0
    capsys.readouterr()
    monkeypatch.setenv("TF_BUILD", "True")
    assert main(["verify", str(artifact), "--digest", f"@{digest}"]) == 0
    told = Manifest.read((artifact / "manifest.json").read_bytes()).digest
    assert f"##vso[task.setvariable variable=digest;isOutput=true]{told}\n" in capsys.readouterr().out
    digest.write_text("0" * 64)
    assert main(["verify", str(artifact), "--digest", f"@{digest}"]) == 1
    assert "setvariable" not in capsys.readouterr().out


@pytest.mark.parametrize("written", [None, "", "no digest", "0" * 63])
def test_a_file_without_a_digest_is_refused_by_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], written: str | None
) -> None:
    file = tmp_path / "release.sha256"
    if written is not None:
        file.write_text(written)
    assert main(["verify", str(tmp_path), "--digest", f"@{file}"]) == 2
    assert f"--digest: {file}" in capsys.readouterr().err

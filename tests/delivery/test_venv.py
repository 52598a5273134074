"""`venv`: made once, exactly as locked, and never half made."""

import base64
import fcntl
import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from delivery.venv import MARK

ROOT = Path(__file__).parents[2]


def wheel(folder: Path, name: str = "trips", version: str = "1.0") -> str:
    """A package of one module, as a wheel; gives its SHA-256."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    with zipfile.ZipFile(path, "w") as archive:
        for each, content in files.items():
            archive.writestr(each, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).rstrip(b"=").decode()
            record += f"{each},sha256={digest},{len(content)}\n"
        archive.writestr(f"{info}/RECORD", record + f"{info}/RECORD,,\n")
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Project:
    """A folder with a lock file, and an index of packages that is a folder."""

    def __init__(self, folder: Path) -> None:
        self.index = folder / "index"
        self.folder = folder / "project"
        self.cache = folder / "cache"
        self.folder.mkdir()
        self.lock(wheel(self.index))

    def lock(self, sha256: str) -> None:
        (self.folder / "requirements.lock").write_text(f"trips==1.0 --hash=sha256:{sha256}\n")

    def begin(self, *options: str, **environment: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-B", "-m", "delivery", "venv", "--lock", "requirements.lock", *options],
            cwd=self.folder,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(ROOT),
                "HOME": str(self.folder.parent),
                "AGENT_TOOLSDIRECTORY": str(self.cache),
                "PIP_NO_INDEX": "1",
                "PIP_FIND_LINKS": str(self.index),
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *options: str, **environment: str) -> tuple[int, str, str]:
        with self.begin(*options, **environment) as process:
            out, err = process.communicate()
        return process.returncode, out, err

    def made(self, *options: str) -> Any:
        code, out, err = self.run("--json", *options)
        assert code == 0, err
        return json.loads(out)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_an_environment_is_made_once_in_the_agents_folder_and_found_again(project: Project) -> None:
    first = project.made()
    folder = Path(first["folder"])
    assert folder.parent == project.cache / "databricks-cicd"
    assert first["reused"] is False
    assert (folder / MARK).read_bytes() == (project.folder / "requirements.lock").read_bytes()
    version = [".venv/bin/python", "-c", "import trips; print(trips.VERSION)"]
    assert subprocess.check_output(version, cwd=project.folder, text=True) == "1.0\n"
    (project.index / "trips-1.0-py3-none-any.whl").unlink()  # what is found again needs no index
    assert project.made() == first | {"reused": True}


def test_another_lock_is_another_environment_and_the_link_follows(project: Project) -> None:
    first = project.made()
    with (project.folder / "requirements.lock").open("a") as lock:
        lock.write(f"stations==2.0 --hash=sha256:{wheel(project.index, 'stations', '2.0')}\n")
    second = project.made()
    assert second["folder"] != first["folder"]
    assert (project.folder / ".venv").resolve() == Path(second["folder"])
    assert (Path(first["folder"]) / "bin/python").exists()


def test_a_package_that_is_not_the_locked_one_is_refused_and_nothing_is_left(project: Project) -> None:
    project.lock("0" * 64)
    code, out, err = project.run()
    assert (code, out) == (1, "")
    assert "requirements.lock" in err
    assert "DO NOT MATCH THE HASHES" in err
    assert [each.suffix for each in (project.cache / "databricks-cicd").iterdir()] == [".lock"]
    assert not (project.folder / ".venv").is_symlink()


def test_a_lock_without_hashes_is_refused(project: Project) -> None:
    (project.folder / "requirements.lock").write_text("trips==1.0\n")
    code, _, err = project.run()
    assert code == 1
    assert "Hashes are required" in err


def test_a_package_that_can_not_be_had_is_exit_code_2(project: Project) -> None:
    (project.index / "trips-1.0-py3-none-any.whl").unlink()
    code, _, err = project.run()
    assert code == 2
    assert "PIP_INDEX_URL" in err


def test_a_missing_lock_file_is_exit_code_2(project: Project) -> None:
    (project.folder / "requirements.lock").unlink()
    code, _, err = project.run()
    assert code == 2
    assert "error: requirements.lock: No such file or directory; give the lock file" in err


def test_what_was_left_half_made_is_made_anew(project: Project) -> None:
    folder = Path(project.made()["folder"])
    (folder / MARK).unlink()
    (folder / "bin/python").unlink()
    assert project.made()["reused"] is False
    subprocess.check_call([".venv/bin/python", "-c", "import trips"], cwd=project.folder)


def test_what_nobody_uses_any_more_is_removed_when_another_is_made(project: Project) -> None:
    def made_anew(sign: str) -> Path:
        with (project.folder / "requirements.lock").open("a") as lock:
            lock.write(f"# {sign}\n")
        return Path(project.made()["folder"])

    old, used = made_anew("old"), made_anew("used")
    for folder in (old, used):
        os.utime(folder / MARK, (0, 0))
    assert Path(project.made()["folder"]) == used
    made_anew("new")
    assert not old.exists()
    assert (used / "bin/python").exists()


def test_an_artifact_gets_no_link(project: Project) -> None:
    (project.folder / "manifest.json").write_text("{}")
    assert project.made()["link"] is None
    assert sorted(each.name for each in project.folder.iterdir()) == ["manifest.json", "requirements.lock"]


def test_a_developers_own_environment_stays(project: Project) -> None:
    (project.folder / ".venv").mkdir()
    assert project.made()["link"] is None
    assert not (project.folder / ".venv").is_symlink()


def test_in_a_pipeline_its_programs_come_first_on_the_path(project: Project) -> None:
    code, out, _ = project.run(TF_BUILD="True")
    assert code == 0
    folder, command = out.splitlines()
    assert command == f"##vso[task.prependpath]{folder}/bin"


def test_two_at_once_make_one_and_the_second_waits_for_it(project: Project) -> None:
    folder = Path(project.made()["folder"])
    (folder / MARK).unlink()
    with folder.with_name(f"{folder.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = project.begin("--json")
        assert process.stderr is not None
        assert "another process makes this environment" in process.stderr.readline()
        (folder / MARK).touch()
    out, _ = process.communicate()
    assert json.loads(out)["reused"] is True

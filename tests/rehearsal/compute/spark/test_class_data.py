"""Which file of classes belongs to which Java and jars. That Spark runs with it, test_local_session.py shows."""

from dataclasses import replace
from pathlib import Path

import pytest

from rehearsal.toolchain import class_data, compute, jars, java
from rehearsal.toolchain.java import Java


def ignore(_: str) -> None:
    pass


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setattr("rehearsal.toolchain.cache.folder", lambda: folder)
    monkeypatch.setattr(jars, "ensure", lambda *_: [])
    return folder


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one jar that Spark brings."""
    folder = tmp_path / "jars"
    folder.mkdir()
    (folder / "spark.jar").write_bytes(b"a jar")
    monkeypatch.setattr(jars, "spark_jars", lambda: folder)
    return folder / "spark.jar"


def scripted(tmp_path: Path, words: str) -> Java:
    program = tmp_path / "java"
    program.write_text(f"#!/bin/sh\n{words}\n")
    program.chmod(0o755)
    return replace(java.find(), program=program)


def test_other_jars_and_another_java_have_a_file_of_their_own(
    cache: Path, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(class_data, "_SAMPLE", "this")  # prints a poem, and writes no names
    runtime = scripted(tmp_path, 'for each; do case $each in -XX:SharedArchiveFile=*) : > "${each#*=}";; esac; done')
    kept = class_data.ensure(ignore, runtime, class_data.class_path([]))
    assert kept.is_relative_to(cache)
    assert class_data.located(runtime, class_data.class_path([])) == kept
    assert class_data.located(replace(runtime, full_version="another"), class_data.class_path([])) is None
    own.write_bytes(b"another jar")
    assert class_data.located(runtime, class_data.class_path([])) is None


def test_where_java_keeps_no_classes_its_words_are_told_and_spark_starts_without(
    cache: Path, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(class_data, "_SAMPLE", "this")
    runtime = scripted(tmp_path, "echo 'CDS is disabled'; exit 1")
    with pytest.raises(class_data.ClassDataError, match=r"(?s)Java fails:\nCDS is disabled"):
        class_data.ensure(ignore, runtime, class_data.class_path([]))
    monkeypatch.setattr(java, "find", lambda: runtime)
    told: list[str] = []
    assert "spark.jsa" not in compute.ensure(told.append)
    assert "CDS is disabled" in told[-1]
    assert "spark.jsa" not in (compute.located() or "")

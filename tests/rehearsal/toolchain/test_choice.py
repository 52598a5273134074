"""Which engine is taken: the one on the PATH, the download, or the one built here."""

import os
import subprocess
from pathlib import Path

import pytest

from rehearsal import toolchain
from rehearsal.toolchain import cache, engine, golang, official, versions


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with an empty cache and an empty PATH, without reach, on which building takes no time."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("REHEARSAL_ENGINE", raising=False)
    (tmp_path / "path").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:/usr/bin:/bin")
    monkeypatch.setattr(cache, "folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(official, "reachable", lambda: False)

    def build(module: Path, package: str, output: Path, **_: object) -> None:
        output.write_text(f"#!/bin/sh\necho v{versions.engine()}\n")
        output.chmod(0o755)

    monkeypatch.setattr(golang, "build", build)
    return tmp_path


def put_pulumi(folder: Path, version: str, *, host: bool = True) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pulumi").write_text(f"#!/bin/sh\necho v{version}\n")
    (folder / "pulumi").chmod(0o755)
    if host:
        (folder / "pulumi-language-python").write_text("#!/bin/sh\n")
        (folder / "pulumi-language-python").chmod(0o755)
    return folder / "pulumi"


def newer() -> str:
    major, minor, _ = versions.parse(versions.engine())
    return f"{major}.{minor + 1}.0"


@pytest.mark.parametrize("version", [versions.engine(), newer()])
def test_a_pulumi_on_the_path_whose_version_will_do_is_taken(machine: Path, version: str) -> None:
    put_pulumi(machine / "path", version)

    found = toolchain.ensure(report=lambda _: None)

    assert found.command.path == machine / "path" / "pulumi"
    assert found.command.version == version
    assert found.command.official
    assert toolchain.locate() == found


@pytest.mark.parametrize("version", ["2.25.0", "3.1.0", "4.0.0", "nonsense"])
def test_a_pulumi_on_the_path_of_another_line_is_not_taken(machine: Path, version: str) -> None:
    put_pulumi(machine / "path", version)

    assert not toolchain.ensure(report=lambda _: None).command.official


def test_a_pulumi_without_its_language_host_is_not_taken(machine: Path) -> None:
    put_pulumi(machine / "path", versions.engine(), host=False)

    assert not toolchain.ensure(report=lambda _: None).command.official


def test_the_engine_built_here_is_not_taken_for_an_official_one_when_it_is_on_the_path(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = toolchain.ensure(report=lambda _: None)
    monkeypatch.setenv("PATH", first.environment()["PATH"])

    assert toolchain.ensure(report=lambda _: None) == first
    assert toolchain.locate() == first


def test_the_download_comes_before_building(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(official, "reachable", lambda: True)
    monkeypatch.setattr(official, "download", lambda target: put_pulumi(target / "bin", versions.engine()))

    def install(program: Path, name: str, target: Path) -> None:
        file = official.plugin_file(target, name)
        file.parent.mkdir(parents=True)
        file.write_text("a plugin")

    monkeypatch.setattr(official, "install_plugin", install)

    found = toolchain.ensure(report=lambda _: None)

    assert all(part.official for part in found.parts)
    assert "not the official" not in found.describe()
    assert toolchain.locate() == found


def test_a_download_that_fails_falls_back_to_building_and_says_why(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(official, "reachable", lambda: True)

    def fail(_: Path) -> None:
        raise subprocess.CalledProcessError(1, "install.sh", stderr="curl: (56) connection reset\n")

    monkeypatch.setattr(official, "download", fail)
    told: list[str] = []

    found = toolchain.ensure(report=told.append)

    assert not found.command.official
    assert any("connection reset" in line for line in told)


def test_official_plugins_that_cannot_be_had_are_built_for_an_official_command(machine: Path) -> None:
    put_pulumi(machine / "path", versions.engine())

    found = toolchain.ensure(report=lambda _: None)

    assert found.command.official
    assert not any(plugin.official for plugin in found.plugins)


def test_locate_builds_nothing(machine: Path) -> None:
    assert toolchain.locate() is None


def test_locate_notices_a_damaged_part_and_ensure_mends_it(machine: Path) -> None:
    found = toolchain.ensure(report=lambda _: None)
    found.plugins[0].path.write_text("half")

    assert toolchain.locate() is None
    assert toolchain.ensure(report=lambda _: None) == found
    assert found.plugins[0].path.read_text() != "half"


def test_a_local_build_is_never_passed_off_as_official(machine: Path) -> None:
    told = toolchain.ensure(report=lambda _: None).describe()

    assert "not the official plugin" in told
    assert f"terraform-provider-databricks {versions.upstream('databricks')}" in told


def test_a_choice_that_does_not_exist_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REHEARSAL_ENGINE", "compile")

    with pytest.raises(toolchain.ToolchainError, match="allowed: auto, path, download, build"):
        toolchain.ensure(report=lambda _: None)


def test_plugins_stand_where_the_engine_looks_for_them(machine: Path) -> None:
    found = toolchain.ensure(report=lambda _: None)
    variables = found.environment(machine / "home")

    for name in engine.PLUGINS:
        file = Path(variables["PULUMI_HOME"]) / "plugins" / f"resource-{name}-v{versions.plugin(name)}"
        assert os.access(file / f"pulumi-resource-{name}", os.X_OK)
    assert not any("pulumi-resource" in each.name for each in Path(variables["PATH"].split(":")[0]).iterdir())


def test_what_go_mod_pins_for_the_command_is_the_version_of_the_sdk() -> None:
    pinned = versions.required_module(versions.SOURCES / "cli" / "go.mod", "github.com/pulumi/pulumi/pkg/v3")

    assert pinned == versions.engine()

"""The engine on this machine: which one, of which parts, and how a process gets to use it."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from rehearsal.toolchain import cache, golang, official, versions
from rehearsal.toolchain.cache import Report
from rehearsal.toolchain.golang import BuildError

PLUGINS = tuple(versions.UPSTREAM)
CHOICES = ("auto", "path", "download", "build")
CHOICE_VARIABLE = "REHEARSAL_ENGINE"

_MACHINE = f"{sys.platform} {platform.machine()}"
_HERE = Path(__file__).parent
_HOST_FILES = (_HERE / "language_host.py", _HERE / "language_program.py")


class ToolchainError(Exception):
    """There is no engine to be had; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One program of the engine.

    Args:
        name: its name as the engine knows it.
        version: the version that it reports.
        path: the program.
        origin: where it comes from, for people.
        official: whether Pulumi built it.
    """

    name: str
    version: str
    path: Path
    origin: str
    official: bool


@dataclass(frozen=True, kw_only=True)
class Toolchain:
    """A usable engine: the CLI with its language host, and the two provider plugins."""

    command: Part
    host: Part
    plugins: tuple[Part, ...]

    @property
    def parts(self) -> tuple[Part, ...]:
        """Everything of which it is made."""
        return (self.command, self.host, *self.plugins)

    @property
    def bin_directories(self) -> list[Path]:
        """What goes to the front of PATH: the folder of `pulumi`."""
        return [self.command.path.parent]

    def environment(self, home: Path | None = None) -> dict[str, str]:
        """The variables with which a process finds this engine: PATH, and PULUMI_HOME with the plugins in it.

        Args:
            home: the PULUMI_HOME to use. Without it the plugins come to the PATH; the engine then warns in each
                command that it takes them from there.
        """
        folders = [*self.bin_directories]
        variables = {"PULUMI_SKIP_UPDATE_CHECK": "true"}
        if home is None:
            folders += [plugin.path.parent for plugin in self.plugins]
        else:
            self.install_plugins(home)
            variables["PULUMI_HOME"] = str(home)
        variables["PATH"] = os.pathsep.join([*map(str, folders), os.environ.get("PATH", os.defpath)])
        return variables

    def install_plugins(self, home: Path) -> None:
        """Puts links to the plugins where an engine with this PULUMI_HOME looks for them."""
        for plugin in self.plugins:
            link = official.plugin_file(home, plugin.name.removeprefix("pulumi-resource-"))
            if link.is_symlink() and link.readlink() == plugin.path:
                continue
            link.parent.mkdir(parents=True, exist_ok=True)
            # Atomically: several processes may share the home.
            fresh = link.with_name(f"{link.name}.{os.getpid()}")
            fresh.unlink(missing_ok=True)
            fresh.symlink_to(plugin.path)
            fresh.replace(link)

    def describe(self) -> str:
        """What is used, which version, where from; for people."""
        lines = []
        for part in self.parts:
            lines += [f"{part.name} {part.version}", f"    {part.origin}", f"    {part.path}"]
        if not all(part.official for part in self.parts):
            lines += [
                "",
                "Locally built plugins are the providers' own code behind Pulumi's bridge, but not Pulumi's official",
                "builds: their table of names is made here. For a real organisation use the official ones.",
            ]
        return "\n".join(lines)


def ensure(report: Report = print) -> Toolchain:
    """The engine: found, downloaded or built, in this order; see `make toolchain`.

    The variable REHEARSAL_ENGINE narrows the choice to `path`, `download` or `build`.

    Args:
        report: gets a line about each step that takes time.

    Raises:
        ToolchainError: no engine, with the reason and the remedy.
    """
    choice = _choice()
    try:
        if choice in ("auto", "path") and (program := official.on_path()):
            return _official(program, "on the PATH", report)
        if choice == "path":
            raise ToolchainError(
                f"{CHOICE_VARIABLE}=path, but the PATH has no pulumi of version {versions.engine()} or a newer minor "
                "version with pulumi-language-python beside it"
            )
        if choice in ("auto", "download") and (program := _downloaded(choice, report)):
            return _official(program, f"official download from {official.DOWNLOADS}", report)
        return _built(report)
    except BuildError as error:
        raise ToolchainError(str(error)) from error


def locate() -> Toolchain | None:
    """The engine as it stands, without downloading or building anything; None where a part is missing or damaged."""
    choice = _choice()

    def nothing(_: str) -> None:
        """Reports to nobody."""

    program = official.on_path() if choice in ("auto", "path") else None
    origin = "on the PATH"
    if program is None and choice in ("auto", "download") and cache.whole(_download_folder(), thorough=False):
        program, origin = _download_folder() / "bin" / "pulumi", f"official download from {official.DOWNLOADS}"
    folders = [_official_plugin_folder(name) for name in PLUGINS] if program else []
    if program and all(cache.whole(folder, thorough=False) for folder in folders):
        return _official_toolchain(program, origin, (_official_plugin(name) for name in PLUGINS))
    plugins_built = all(cache.whole(_plugin_folder(name), thorough=False) for name in PLUGINS)
    if not plugins_built or choice == "path":
        return None
    if program:
        return _official_toolchain(program, origin, (_built_plugin(name) for name in PLUGINS))
    if choice == "download" or not cache.whole(_host_folder(), thorough=False):
        return None
    return _built_toolchain()


def _choice() -> str:
    choice = os.environ.get(CHOICE_VARIABLE) or "auto"
    if choice not in CHOICES:
        raise ToolchainError(f"{CHOICE_VARIABLE} is {choice!r}; allowed: {', '.join(CHOICES)}")
    return choice


# The official engine


def _download_folder() -> Path:
    return cache.folder() / f"official-{versions.engine()}"


def _official_plugin_folder(name: str) -> Path:
    return cache.folder() / f"official-{name}-{versions.plugin(name)}"


def _downloaded(choice: str, report: Report) -> Path | None:
    """The downloaded CLI; None where it can't be had and building it is allowed."""
    folder = _download_folder()
    if not cache.whole(folder, thorough=True):
        if choice == "auto" and cache.whole(_command_folder(), thorough=False):
            return None  # built before, on a machine without reach: no need to ask again
        reason = _attempt(folder, official.download, report, f"Pulumi {versions.engine()}")
        if reason is None:
            return folder / "bin" / "pulumi"
        if choice == "download":
            raise ToolchainError(f"{CHOICE_VARIABLE}=download, but {reason}")
        report(f"{reason}; the engine is built from its Go modules instead")
        return None
    return folder / "bin" / "pulumi"


def _official(program: Path, origin: str, report: Report) -> Toolchain:
    """An official CLI with official plugins, or with built ones where the official ones can't be had."""
    plugins = []
    for name in PLUGINS:
        folder = _official_plugin_folder(name)

        def install(target: Path, name: str = name) -> None:
            official.install_plugin(program, name, target)

        if cache.whole(folder, thorough=True):
            plugins.append(_official_plugin(name))
        elif cache.whole(_plugin_folder(name), thorough=True):
            plugins.append(_built_plugin(name))
        else:
            what = f"the plugin {name} {versions.plugin(name)}"
            reason = _attempt(folder, install, report, what)
            if reason is None:
                plugins.append(_official_plugin(name))
                continue
            report(f"{reason}; {what} is built from its Go modules instead")
            _build_plugin(name, report)
            plugins.append(_built_plugin(name))
    return _official_toolchain(program, origin, plugins)


def _attempt(folder: Path, fetch: Callable[[Path], None], report: Report, what: str) -> str | None:
    """Fetches something into the cache; gives the reason where that failed."""
    if not official.reachable():
        return f"{official.DOWNLOADS} is not reached"
    report(f"downloading {what}")
    try:
        cache.provide(folder, fetch, report)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        return f"{what} could not be downloaded ({said.strip().splitlines()[-1] if said.strip() else error!r})"
    return None


def _official_toolchain(program: Path, origin: str, plugins: Iterable[Part]) -> Toolchain:
    number = official.version(program)
    beside = program.parent / "pulumi-language-python"
    host = beside if beside.exists() else program.resolve().parent / "pulumi-language-python"
    return Toolchain(
        command=Part(name="pulumi", version=number, path=program, origin=origin, official=True),
        host=Part(name="pulumi-language-python", version=number, path=host, origin=origin, official=True),
        plugins=tuple(plugins),
    )


def _official_plugin(name: str) -> Part:
    return Part(
        name=f"pulumi-resource-{name}",
        version=versions.plugin(name),
        path=official.plugin_file(_official_plugin_folder(name), name),
        origin="official plugin, by `pulumi plugin install`",
        official=True,
    )


# The engine built here


def _sources(folder: Path) -> list[Path]:
    return sorted(each for each in folder.rglob("*") if each.suffix in (".go", ".mod", ".sum"))


def _command_folder() -> Path:
    key = cache.digest(_MACHINE, versions.engine(), *_sources(versions.SOURCES / "cli"))
    return cache.folder() / f"pulumi-{versions.engine()}-{key}"


def _plugin_folder(name: str) -> Path:
    key = cache.digest(_MACHINE, versions.plugin(name), *_sources(versions.SOURCES / name))
    return cache.folder() / f"{name}-{versions.plugin(name)}-{key}"


def _host_folder() -> Path:
    # The language host belongs to one virtual environment: it needs the SDK that is installed there.
    return cache.folder() / f"engine-{cache.digest(_command_folder().name, sys.executable, *_HOST_FILES)}"


def _built(report: Report) -> Toolchain:
    if not all(cache.whole(each, thorough=False) for each in (_command_folder(), *map(_plugin_folder, PLUGINS))):
        report("building the engine from its Go modules: ten minutes or so on two cores, the first time")
    for name in PLUGINS:
        _build_plugin(name, report)
    cache.provide(_command_folder(), lambda target: _build_command(target, report), report)
    cache.provide(_host_folder(), _assemble, report)
    return _built_toolchain()


def _build_command(target: Path, report: Report) -> None:
    report(f"building pulumi {versions.engine()}")
    package = "github.com/pulumi/pulumi/pkg/v3"
    pinned = versions.required_module(versions.SOURCES / "cli" / "go.mod", package)
    if pinned != versions.engine():
        raise BuildError(f"go.mod of the CLI pins {pinned}, but the installed Pulumi SDK is {versions.engine()}")
    variables = {"github.com/pulumi/pulumi/sdk/v3/go/common/version.Version": f"v{pinned}"}
    golang.build(
        versions.SOURCES / "cli", f"{package}/cmd/pulumi", target / "pulumi", variables=variables, report=report
    )


def _build_plugin(name: str, report: Report) -> None:
    def build(target: Path) -> None:
        report(f"building the plugin {name}: provider {versions.upstream(name)} behind Pulumi's bridge")
        output = target / f"pulumi-resource-{name}"
        variables = {"main.version": versions.plugin(name)}
        golang.build(versions.SOURCES / name, ".", output, variables=variables, report=report)

    cache.provide(_plugin_folder(name), build, report)


def _assemble(target: Path) -> None:
    """The CLI with a language host beside it, where the engine looks for it first and without a warning."""
    os.link(_command_folder() / "pulumi", target / "pulumi")
    for file in _HOST_FILES:
        shutil.copyfile(file, target / file.name)
    launcher = target / "pulumi-language-python"
    # -I: whatever PYTHON* variables the user has set are meant for the program, not for its host.
    launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I "$(dirname "$0")/{_HOST_FILES[0].name}" "$@"\n')
    launcher.chmod(0o755)


def _built_toolchain() -> Toolchain:
    folder = _host_folder()
    return Toolchain(
        command=Part(
            name="pulumi",
            version=versions.engine(),
            path=folder / "pulumi",
            origin="built here from its Go module, the official source",
            official=False,
        ),
        host=Part(
            name="pulumi-language-python",
            version=versions.engine(),
            path=folder / "pulumi-language-python",
            origin=f"this project's own language host, with {sys.executable}",
            official=False,
        ),
        plugins=tuple(_built_plugin(name) for name in PLUGINS),
    )


def _built_plugin(name: str) -> Part:
    return Part(
        name=f"pulumi-resource-{name}",
        version=versions.plugin(name),
        path=_plugin_folder(name) / f"pulumi-resource-{name}",
        origin=f"a local build, not the official plugin: it reports {versions.plugin(name)}, the SDK's version; "
        f"inside is terraform-provider-{name} {versions.upstream(name)}",
        official=False,
    )

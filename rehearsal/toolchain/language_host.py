"""A language host for Python programs: what the engine starts as `pulumi-language-python`.

It serves the part of `LanguageRuntime` that previewing, updating and describing a program takes, as the official
host does (sdk/python/cmd/pulumi-language-python in pulumi/pulumi), and leaves generating SDKs and running plugins
written in Python unimplemented. It needs the Pulumi SDK and nothing of this project.

The engine gives its address as the last argument, reads the port from the first line of standard output, and ends
the host with SIGINT.
"""
# ruff: noqa: ARG002, N802 - the methods have the names and arguments of the protocol

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent import futures
from importlib import metadata
from pathlib import Path
from typing import Any, TypeAlias

import grpc  # type: ignore[import-untyped]  # its stubs are a package that nothing else needs
from google.protobuf import empty_pb2  # type: ignore[import-untyped]  # likewise
from pulumi.runtime.proto import language_pb2, plugin_pb2
from pulumi.runtime.proto.language_pb2_grpc import LanguageRuntimeServicer, add_LanguageRuntimeServicer_to_server

_EXECUTOR = Path(__file__).with_name("language_program.py")
_ERROR_WAS_SHOWN = (32, 130, -signal.SIGINT)

# Run by the program's interpreter: its Pulumi packages, and its distributions.
_PACKAGES = """
import glob, json, os, sys
print(json.dumps([json.load(open(file)) for folder in sys.path for file in glob.glob(os.path.join(
    glob.escape(folder or "."), "*", "pulumi-plugin.json"))]))
"""
_DISTRIBUTIONS = """
import json
from importlib import metadata
print(json.dumps([[each.metadata["Name"], each.version] for each in metadata.distributions()]))
"""

Context: TypeAlias = grpc.ServicerContext


class LanguageHost(LanguageRuntimeServicer):
    """The engine's questions about a Python program.

    Args:
        engine: the engine's address.
    """

    def __init__(self, engine: str) -> None:
        self._engine = engine

    def Handshake(
        self, request: language_pb2.LanguageHandshakeRequest, context: Context
    ) -> language_pb2.LanguageHandshakeResponse:
        """The engine introduces itself."""
        self._engine = request.engine_address or self._engine
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: empty_pb2.Empty, context: Context) -> plugin_pb2.PluginInfo:
        """The version of this host: the SDK's, on which it stands."""
        return plugin_pb2.PluginInfo(version=metadata.version("pulumi"))

    def GetRequiredPackages(
        self, request: language_pb2.GetRequiredPackagesRequest, context: Context
    ) -> language_pb2.GetRequiredPackagesResponse:
        """The provider plugins that the installed SDKs name."""
        found = [
            plugin_pb2.PackageDependency(
                name=each["name"],
                kind="resource",
                version="v" + each["version"].removeprefix("v") if each.get("version") else "",
                server=each.get("server", ""),
            )
            for each in _ask(request.info, _PACKAGES)
            if each.get("resource") and each.get("name")
        ]
        return language_pb2.GetRequiredPackagesResponse(packages=found)

    def Run(self, request: language_pb2.RunRequest, context: Context) -> language_pb2.RunResponse:
        """Runs the program to its end. Its output goes where this process's output goes: to the engine."""
        directory = request.info.program_directory or request.pwd
        handed_over = {
            "config": dict(request.config),
            "secret_keys": list(request.configSecretKeys),
            "settings": {
                "monitor": request.monitor_address,
                "engine": self._engine,
                "project": request.project,
                "stack": request.stack,
                "parallel": request.parallel,
                "dry_run": request.dryRun,
                "organization": request.organization,
                "root_directory": request.info.root_directory,
            },
            "directory": request.pwd or directory,
            "program": os.path.normpath(Path(directory) / (request.info.entry_point or ".")),
            "arguments": list(request.args),
        }
        interpreter, environment = _interpreter(request.info)
        process = subprocess.Popen(
            [interpreter, "-u", str(_EXECUTOR)], stdin=subprocess.PIPE, env=environment, text=True
        )
        process.communicate(json.dumps(handed_over))
        if process.returncode in _ERROR_WAS_SHOWN:
            return language_pb2.RunResponse(bail=True)
        if process.returncode:
            return language_pb2.RunResponse(error=f"Program exited with non-zero exit code: {process.returncode}")
        return language_pb2.RunResponse()

    def InstallDependencies(
        self, request: language_pb2.InstallDependenciesRequest, context: Context
    ) -> Iterator[language_pb2.InstallDependenciesResponse]:
        """Leaves the environment alone: its packages are locked with hashes, and `make venv` installs them."""
        interpreter, _ = _interpreter(request.info)
        told = f"{interpreter}: nothing installed; `make venv` installs this project's locked packages.\n"
        yield language_pb2.InstallDependenciesResponse(stdout=told.encode())

    def RuntimeOptionsPrompts(
        self, request: language_pb2.RuntimeOptionsRequest, context: Context
    ) -> language_pb2.RuntimeOptionsResponse:
        """No questions about a new project."""
        return language_pb2.RuntimeOptionsResponse()

    def About(self, request: language_pb2.AboutRequest, context: Context) -> language_pb2.AboutResponse:
        """The interpreter that runs the program."""
        interpreter, environment = _interpreter(request.info)
        version = "import platform; print(platform.python_version())"
        said = subprocess.run([interpreter, "-c", version], env=environment, capture_output=True, text=True, check=True)
        return language_pb2.AboutResponse(executable=interpreter, version=said.stdout.strip())

    def GetProgramDependencies(
        self, request: language_pb2.GetProgramDependenciesRequest, context: Context
    ) -> language_pb2.GetProgramDependenciesResponse:
        """The distributions that are installed beside the program."""
        found = [language_pb2.DependencyInfo(name=name, version=v) for name, v in _ask(request.info, _DISTRIBUTIONS)]
        return language_pb2.GetProgramDependenciesResponse(dependencies=found)

    def Cancel(self, request: empty_pb2.Empty, context: Context) -> empty_pb2.Empty:
        """The engine sends SIGINT to the process group, too, so there is nothing left to do."""
        return empty_pb2.Empty()


def _interpreter(info: language_pb2.ProgramInfo) -> tuple[str, dict[str, str]]:
    """The program's interpreter and its process environment: `runtime.options.virtualenv` of Pulumi.yaml, activated.

    Where that names no virtual environment, the interpreter of this host has the SDK and will do.
    """
    environment = dict(os.environ)
    named = info.options["virtualenv"] if "virtualenv" in info.options.fields else None
    if isinstance(named, str) and named:
        folder = Path(info.root_directory) / named
        interpreter = folder / "bin" / "python"
        if interpreter.is_file():
            environment["VIRTUAL_ENV"] = str(folder)
            environment["PATH"] = f"{interpreter.parent}{os.pathsep}{environment.get('PATH', os.defpath)}"
            environment.pop("PYTHONHOME", None)
            return str(interpreter), environment
    return sys.executable, environment


def _ask(info: language_pb2.ProgramInfo, question: str) -> list[Any]:
    interpreter, environment = _interpreter(info)
    said = subprocess.run(
        [interpreter, "-c", question], env=environment, capture_output=True, text=True, check=True, cwd=_EXECUTOR.parent
    )
    answer: list[Any] = json.loads(said.stdout)
    return answer


def main() -> None:
    """Serves until the engine ends this process."""
    server = grpc.server(
        futures.ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", 400 * 1024 * 1024)]
    )
    add_LanguageRuntimeServicer_to_server(LanguageHost(sys.argv[-1]), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    # Set even where a shell without job control made us ignore SIGINT: else every command ends 5 s later.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os._exit(0))
    print(port, flush=True)
    # A killed engine sends no signal; without it there is nothing to do, and the program must not go on.
    engine = os.getppid()
    while os.getppid() == engine:
        server.wait_for_termination(timeout=1)
    if os.getpgrp() == os.getpid():  # as the engine starts plugins: a group of this process and its children
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    main()

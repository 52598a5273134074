"""The locally built plugins know every resource and function by the name that the Python SDK uses."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import util
from pathlib import Path

import grpc  # type: ignore[import-untyped]  # its stubs are a package that nothing else needs
import pytest
from google.protobuf import empty_pb2  # type: ignore[import-untyped]  # likewise
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from rehearsal.toolchain import ensure
from rehearsal.toolchain.engine import PLUGINS

# What the program uses must be there; of Databricks' newer classes the provider inside knows nothing.
NEEDED = {
    "databricks": {
        "Notebook",
        "Directory",
        "WorkspaceFile",
        "Permissions",
        "Job",
        "getCurrentUser",
        "getGroup",
        "getUser",
    },
    "azuredevops": set(),
}


@pytest.fixture(params=PLUGINS)
def name(request: pytest.FixtureRequest) -> str:
    """Of a plugin."""
    return str(request.param)


@pytest.fixture
def known(name: str) -> Iterator[set[str]]:
    """The tokens that the plugin knows."""
    parts = {part.name: part for part in ensure(report=lambda line: print(line, file=sys.stderr)).plugins}
    process = subprocess.Popen([str(parts[f"pulumi-resource-{name}"].path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        with grpc.insecure_channel(
            f"127.0.0.1:{process.stdout.readline().strip()}", options=[("grpc.max_receive_message_length", -1)]
        ) as channel:
            stub = provider_pb2_grpc.ResourceProviderStub(channel)
            mapping = json.loads(stub.GetMapping(provider_pb2.GetMappingRequest(key="terraform", provider=name)).data)
            info = stub.GetPluginInfo(empty_pb2.Empty())
        assert info.version == parts[f"pulumi-resource-{name}"].version
        yield {entry["tok"] for kind in ("resources", "dataSources") for entry in mapping[kind].values()}
    finally:
        process.kill()
        process.communicate()


def sdk_tokens(name: str) -> set[str]:
    """Every token for which the Python SDK has a class or a function."""
    found = util.find_spec(f"pulumi_{name}")
    assert found is not None
    assert found.origin is not None
    text = "\n".join(file.read_text() for file in sorted(Path(found.origin).parent.glob("*.py")))
    return set(re.findall(rf"'({name}:index/\w+:\w+)'", text))


def test_every_name_of_a_plugin_is_the_name_that_the_sdk_uses(name: str, known: set[str]) -> None:
    assert len(known) > 100
    assert known - sdk_tokens(name) == set()


def test_what_the_program_uses_is_in_the_plugin(name: str, known: set[str]) -> None:
    classes = {token.rsplit(":", 1)[1] for token in known}
    missing = sdk_tokens(name) - known

    assert NEEDED[name] <= classes
    # The Azure DevOps provider inside is newer than the SDK: nothing may be missing.
    assert name != "azuredevops" or not missing

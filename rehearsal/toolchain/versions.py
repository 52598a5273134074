"""Which versions the engine is made of. Each number stands in one place and is read from there."""

import importlib.metadata
import re
from pathlib import Path

SOURCES = Path(__file__).parent / "go"

UPSTREAM = {
    "azuredevops": "github.com/microsoft/terraform-provider-azuredevops",
    "databricks": "github.com/databricks/terraform-provider-databricks",
}
"""The Go module of the provider inside each locally built plugin."""


def engine() -> str:
    """The engine's version: that of the installed Pulumi SDK, with which it is tested."""
    return importlib.metadata.version("pulumi")


def plugin(name: str) -> str:
    """The version of a provider plugin: that of the installed Python SDK, which asks the engine for it."""
    return importlib.metadata.version(f"pulumi-{name}")


def upstream(name: str) -> str:
    """The version of the Terraform provider inside a locally built plugin, as its go.mod pins it."""
    return required_module(SOURCES / name / "go.mod", UPSTREAM[name])


def required_module(go_mod: Path, module: str) -> str:
    """The version that a go.mod requires of a module, without its leading v.

    Raises:
        LookupError: the go.mod doesn't require it.
    """
    found = re.search(rf"^(?:require)?\s*{re.escape(module)} v(\S+)", go_mod.read_text(), re.MULTILINE)
    if not found:
        raise LookupError(f"{go_mod.name} of {go_mod.parent.name} doesn't require {module}")
    return found[1]


def required_go() -> tuple[int, int]:
    """The Go version that the modules ask for, as (major, minor)."""
    lines = [(SOURCES / each / "go.mod").read_text() for each in ("cli", *UPSTREAM)]
    found = [re.search(r"^go (\d+)\.(\d+)", text, re.MULTILINE) for text in lines]
    return max((int(each[1]), int(each[2])) for each in found if each)


def parse(version: str) -> tuple[int, int, int]:
    """The three numbers of `v3.259.0` or `3.259.0-alpha.1`.

    Raises:
        ValueError: it isn't such a version.
    """
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", version.strip())
    if not found:
        raise ValueError(f"{version!r} is not a version")
    return int(found[1]), int(found[2]), int(found[3])

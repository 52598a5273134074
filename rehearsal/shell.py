"""The environment in which plain `pulumi` and plain `git` work with the rehearsal."""

import os
import shlex
import stat
import sys
from collections.abc import Mapping
from pathlib import Path

from rehearsal.home import CHECKOUT, HOME_VARIABLE, Home
from rehearsal.toolchain import Toolchain

# What a user's environment may hold for real organisations, and what would change which stack, which backend or
# which account a command works with.
FOREIGN = ("ARM_", "AZDO_", "AZURE_DEVOPS_", "AZURE_STORAGE_", "DATABRICKS_", "PULUMI_")


def variables(home: Home, toolchain: Toolchain, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What is to be set.

    Args:
        home: the rehearsal, started at least once.
        toolchain: the engine.
        environment: what is set now.
    """
    tokens = home.credentials.users
    set_ = toolchain.environment(home.pulumi)
    set_["PATH"] = _path(
        [_wrapper(home, toolchain).parent, *toolchain.bin_directories, Path(sys.prefix) / "bin"], environment
    )
    set_ |= {
        HOME_VARIABLE: str(home.path),
        "PULUMI_BACKEND_URL": backend(home),
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(home.passphrase),
        # The stacks' secrets provider stands in their state; it is not to be written into the checkout's files.
        "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true",
        "AZDO_ORG_SERVICE_URL": home.organization_url,
        "AZDO_PERSONAL_ACCESS_TOKEN": tokens["azuredevops"]["administrator"],
        "DATABRICKS_HOST": workspace(home),
        "DATABRICKS_TOKEN": tokens["databricks"]["administrator"],
        "DATABRICKS_AUTH_TYPE": "pat",
    }
    set_ |= _git(home) | azure(home)
    if "azure" in home.services:
        from rehearsal.azure import blobs, storage_keys  # noqa: PLC0415 - as below

        # The administrator has the account's key; the pipelines have no secret.
        set_ |= {"AZURE_STORAGE_ACCOUNT": blobs.ACCOUNT, "AZURE_STORAGE_KEY": storage_keys.storage_key(home.azure)}
    # A proxy is for the outside; not every client leaves loopback alone by itself.
    for name in ("NO_PROXY", "no_proxy"):
        hosts = [each for each in environment.get(name, "").split(",") if each and each != "127.0.0.1"]
        set_[name] = ",".join([*hosts, "127.0.0.1"])
    return set_


def workspace(home: Home) -> str:
    """The workspace's URL as clients are told it: where there is Azure, by its name there."""
    if "azure" not in home.services:
        return home.workspace_host
    from rehearsal.azure import serving  # noqa: PLC0415 - what it imports is for Azure alone

    return f"https://{serving.WORKSPACE}"


def backend(home: Home) -> str:
    """The URL of the stacks' state: the same files, by Azure's interface where there is Azure."""
    if "azure" not in home.services:
        # Without the files of attributes beside the state: they alone aren't written at once, and one that is cut short
        # by a kill makes the state unreadable ("failed to load checkpoint: EOF").
        return f"{home.backend.as_uri()}?metadata=skip"
    from rehearsal.azure import blobs  # noqa: PLC0415 - as above

    return blobs.BACKEND


def azure(home: Home) -> dict[str, str]:
    """What is to be set for the names of Azure; nothing in a rehearsal without it."""
    if "azure" not in home.services:
        return {}
    from rehearsal.azure import serving  # noqa: PLC0415 - as above

    # Its settings and who is signed in are the rehearsal's own, and nobody is told about its use.
    own = {"AZURE_CONFIG_DIR": str(home.azure / "settings"), "AZURE_CORE_COLLECT_TELEMETRY": "false"}
    return serving.variables(home) | own


def foreign(set_: Mapping[str, str], environment: Mapping[str, str] = os.environ) -> list[str]:
    """The variables that must go, because they belong to a real organisation or to another Pulumi."""
    return sorted(name for name in environment if name.startswith(FOREIGN) and name not in set_)


def merged(home: Home, toolchain: Toolchain) -> dict[str, str]:
    """The whole environment for a process of the rehearsal."""
    set_ = variables(home, toolchain)
    gone = foreign(set_)
    return {name: value for name, value in os.environ.items() if name not in gone} | set_


def lines(home: Home, toolchain: Toolchain) -> str:
    """What a shell evaluates: `eval "$(make -s rehearsal-env)"`."""
    set_ = variables(home, toolchain)
    unset = [f"unset {name}" for name in foreign(set_) if name.isidentifier()]
    return "\n".join([*unset, *(f"export {name}={shlex.quote(value)}" for name, value in sorted(set_.items()))])


def _path(front: list[Path], environment: Mapping[str, str]) -> str:
    ours = [str(each) for each in front]
    rest = [each for each in environment.get("PATH", os.defpath).split(os.pathsep) if each not in ours]
    return os.pathsep.join([*ours, *rest])


def _wrapper(home: Home, toolchain: Toolchain) -> Path:
    """A `pulumi` that leaves no trace in the checkout's stack files; see `pulumi_command`."""
    wrapper = home.commands / "pulumi"
    script = Path(__file__).with_name("pulumi_command.py")
    words = [sys.executable, "-I", str(script), str(toolchain.command.path)]
    text = f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n'
    if not wrapper.exists() or wrapper.read_text() != text:
        fresh = wrapper.with_name(f"pulumi.{os.getpid()}")
        fresh.write_text(text)
        fresh.chmod(stat.S_IRWXU | stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH)
        fresh.replace(wrapper)
    return wrapper


def _git(home: Home) -> dict[str, str]:
    """Plain `git clone` of the rehearsal's repositories: a credential helper for their host, and for no other."""
    helper = f"!cd {shlex.quote(str(CHECKOUT))} && {shlex.quote(sys.executable)} -m rehearsal git-credential"
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"credential.{home.address('azuredevops')}.helper",
        "GIT_CONFIG_VALUE_0": helper,
    }

"""The official builds: a `pulumi` on the PATH, the download through the SDK, and plugins by `pulumi plugin install`."""

import os
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

from rehearsal.toolchain import cache, versions

DOWNLOADS = "https://get.pulumi.com/"
"""Where the SDK's `PulumiCommand.install` and `pulumi plugin install` fetch from."""

_DOWNLOAD = """
import sys
from pulumi.automation import PulumiCommand
from semver import VersionInfo
PulumiCommand.install(root=sys.argv[1], version=VersionInfo.parse(sys.argv[2]))
"""


def on_path() -> Path | None:
    """The `pulumi` on the PATH, where its version will do and its language host stands beside it.

    A version will do when it is of the SDK's major version and not of an older minor line. What this toolchain has
    put on the PATH itself doesn't count.
    """
    found = shutil.which("pulumi")
    if found is None:
        return None
    program = Path(found)
    if program.resolve().is_relative_to(cache.folder().resolve()):
        return None
    beside = [program.parent / "pulumi-language-python", program.resolve().parent / "pulumi-language-python"]
    return program if any(os.access(each, os.X_OK) for each in beside) and will_do(program) else None


def will_do(program: Path) -> bool:
    """Whether this command is a `pulumi` of a version that goes with the SDK."""
    try:
        found, wanted = versions.parse(version(program)), versions.parse(versions.engine())
    except (OSError, subprocess.SubprocessError, ValueError):
        return False
    return found[0] == wanted[0] and found[1] >= wanted[1]


def version(program: Path) -> str:
    """What `pulumi version` says, without its v."""
    environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    said = subprocess.run(
        [str(program), "version"], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    return said.stdout.strip().removeprefix("v")


def reachable(seconds: float = 10.0) -> bool:
    """Whether Pulumi's downloads are reached, found out within so many seconds."""
    answers: list[bool] = []

    def ask() -> None:
        try:
            with urllib.request.urlopen(DOWNLOADS, timeout=seconds):
                answers.append(True)
        except urllib.error.HTTPError:
            answers.append(True)
        except OSError:
            answers.append(False)

    # In a thread, because the time limit of urlopen doesn't hold for the look-up of the name.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return bool(answers and answers[0])


def download(target: Path) -> None:
    """Fetches the official CLI with its language hosts.

    Raises:
        OSError, subprocess.SubprocessError: it didn't come.
    """
    command = [sys.executable, "-c", _DOWNLOAD, str(target), versions.engine()]
    subprocess.run(command, capture_output=True, text=True, timeout=900, check=True)


def install_plugin(program: Path, name: str, target: Path) -> None:
    """Fetches an official plugin; it then stands at `plugin_file(target, name)`.

    Raises:
        OSError, subprocess.SubprocessError: it didn't come.
    """
    environment = {**os.environ, "PULUMI_HOME": str(target), "PULUMI_SKIP_UPDATE_CHECK": "true"}
    command = [str(program), "plugin", "install", "resource", name, versions.plugin(name)]
    subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900, check=True)


def plugin_file(home: Path, name: str) -> Path:
    """Where the engine keeps a provider plugin below a PULUMI_HOME."""
    return home / "plugins" / f"resource-{name}-v{versions.plugin(name)}" / f"pulumi-resource-{name}"

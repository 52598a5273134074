"""A Chromium for the tests of the pages: the machine's own, or Debian's where it may be installed."""

import os
import shutil
import subprocess
from pathlib import Path

import filelock

from rehearsal.toolchain import cache
from rehearsal.toolchain.cache import Report
from rehearsal.toolchain.engine import ToolchainError

VARIABLE = "CHROMIUM"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_PLACES = (Path("/usr/bin/chromium"), Path("/opt/google/chrome/chrome"))


class BrowserError(ToolchainError):
    """There is no Chromium; the message says how to get one."""


def located() -> Path | None:
    """The program: what CHROMIUM names, else the first on PATH, else where Debian and Google put it.

    Raises:
        BrowserError: CHROMIUM names none.
    """
    named = os.environ.get(VARIABLE)
    if named:
        found = shutil.which(named)
        if found is None:
            raise BrowserError(f"{VARIABLE} is {named}, and there is no such program")
        return Path(found)
    on_path = next((found for name in _NAMES if (found := shutil.which(name))), None)
    if on_path:
        return Path(on_path)
    return next((place for place in _PLACES if os.access(place, os.X_OK)), None)


def ensure(report: Report = print) -> Path:
    """The program; installed by apt-get where there is none, the machine is Debian or like it, and we are root.

    Args:
        report: gets a line when something is installed, which takes a minute.

    Raises:
        BrowserError: there is none, and it can't be installed from here.
    """
    found = located()
    if found is not None:
        return found
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        wish = "as root: apt-get install chromium" if apt else "install Chromium or Google Chrome"
        raise BrowserError(f"there is no Chromium; {wish}, or name one: {VARIABLE}=/path/to/chromium")
    cache.folder().mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(cache.folder() / "browser.lock"):  # apt-get refuses to run twice at a time
        installed = located()
        if installed is None:
            report("installing Debian's chromium")
            _install(apt)
            installed = located()
    if installed is None:
        raise BrowserError(f"apt-get installed chromium, and it isn't found; name it: {VARIABLE}=/path/to/chromium")
    return installed


def _install(apt: str) -> None:
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in ([apt, "update", "-qq"], [apt, "install", "-qq", "--yes", "--no-install-recommends", "chromium"]):
        done = subprocess.run(command, env=quiet, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BrowserError(f"`{' '.join(command)}` failed: {done.stderr.strip() or done.stdout.strip()}")

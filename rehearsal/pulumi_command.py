"""Runs `pulumi` and then takes out of the project's stack files what only the rehearsal's state needs there.

Whatever command reads a stack's configuration writes the passphrase provider's `encryptionsalt` into
Pulumi.STACK.yaml, also where the provider comes from the state (pkg/v3/cmd/pulumi/config/io.go of v3.259.0,
`getAndSaveSecretsManager`). In a real organisation that line belongs into git; the rehearsal's would lock the next
user out of the stack. A file that holds an encrypted value keeps it: it couldn't be read otherwise.

    python -I pulumi_command.py PULUMI ARGUMENT...
"""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import yaml

_SALT = b"encryptionsalt:"


def main() -> int:
    """Runs the command; gives its exit code."""
    before = {file: file.read_bytes() for file in _stack_files()}

    def tidy() -> None:
        for file in _stack_files():
            restore(file, before.get(file, b""))

    code = run(sys.argv[1:], meanwhile=tidy)
    tidy()
    return code


def run(
    command: list[str],
    *,
    environment: dict[str, str] | None = None,
    folder: Path | None = None,
    meanwhile: Callable[[], None] | None = None,
) -> int:
    """Runs a command that is left to handle Ctrl-C itself, and passes a request to end on to it.

    Args:
        command: the program and its arguments.
        environment: of the process; by default this one's.
        folder: its current folder; by default this process's.
        meanwhile: called again and again: the engine writes the salt at the start, and the program, which looks at
            what isn't committed, should not find it.

    Returns:
        The exit code, as a shell words it.
    """
    # A terminal's Ctrl-C reaches both processes. Pulumi then ends what it is doing; we wait for it to do so.
    interrupted = signal.signal(signal.SIGINT, lambda *_: None)
    process = subprocess.Popen(command, env=environment, cwd=folder)
    terminated = signal.signal(signal.SIGTERM, lambda *_: process.send_signal(signal.SIGINT))
    try:
        while True:
            try:
                code = process.wait(0.2 if meanwhile else None)
                break
            except subprocess.TimeoutExpired:
                if meanwhile:
                    meanwhile()
    finally:
        signal.signal(signal.SIGINT, interrupted)
        signal.signal(signal.SIGTERM, terminated)
    return code if code >= 0 else 128 - code


def restore(file: Path, before: bytes) -> None:
    """Takes the salt out of a stack file again, if it wasn't there before and nothing in the file needs it.

    Args:
        file: the stack file.
        before: what it held; empty, if it didn't exist.
    """
    after = file.read_bytes()
    if _SALT in before or _SALT not in after or b"secure:" in after:
        return
    without = b"".join(line for line in after.splitlines(keepends=True) if not line.startswith(_SALT))
    if not without.strip():
        file.unlink()
    else:
        # Byte for byte as it was, if only the engine's way of writing YAML made the difference.
        _replace(file, before if _same(without, before) else without)


def _replace(file: Path, body: bytes) -> None:
    """At once, so that nobody reads half a file."""
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    fresh.write_bytes(body)
    fresh.chmod(file.stat().st_mode)
    fresh.replace(file)


def _same(one: bytes, other: bytes) -> bool:
    return bool(yaml.safe_load(one) == yaml.safe_load(other))


def _stack_files() -> list[Path]:
    """The stack files of the project to which the current folder belongs, or the one that --cwd names."""
    options = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    options.add_argument("-C", "--cwd", default=".")
    here = Path(options.parse_known_args(sys.argv[2:])[0].cwd).absolute()
    for folder in (here, *here.parents):
        if (folder / "Pulumi.yaml").exists():
            return sorted(folder.glob("Pulumi.*.yaml"))
    return []


if __name__ == "__main__":
    sys.exit(main())

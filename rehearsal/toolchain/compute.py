"""What the rehearsal's jobs run on, for people: Java, Spark, Delta."""

import importlib.metadata

from rehearsal.toolchain import jars, java
from rehearsal.toolchain.cache import Report


def ensure(report: Report = print) -> str:
    """Brings what is missing, and says what there is.

    Args:
        report: gets a line about each step that takes time.

    Raises:
        ToolchainError: there is no usable Java, or the jars can't be had.
    """
    runtime = java.find()
    return _describe(runtime, [str(file) for file in jars.ensure(report, runtime)])


def located() -> str | None:
    """What there is, or None where jars are missing.

    Raises:
        ToolchainError: there is no usable Java.
    """
    runtime = java.find()
    found = jars.located()
    return None if found is None else _describe(runtime, [str(file) for file in found])


def _describe(runtime: java.Java, files: list[str]) -> str:
    spark = f"Spark {importlib.metadata.version('pyspark')} with Delta {jars.DELTA[0].version}"
    lines = [f"Java {runtime.version} of {runtime.origin}", str(runtime.program), spark, *files]
    return "\n".join(line if index in (0, 2) else f"    {line}" for index, line in enumerate(lines))

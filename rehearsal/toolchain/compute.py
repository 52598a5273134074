"""What the rehearsal's jobs run on, for people: Java, Spark, Delta."""

import importlib.metadata
from pathlib import Path

from rehearsal.toolchain import class_data, jars, java
from rehearsal.toolchain.cache import Report


def ensure(report: Report = print) -> str:
    """Brings what is missing, and says what there is.

    Args:
        report: gets a line about each step that takes time.

    Raises:
        ToolchainError: there is no usable Java, or the jars can't be had.
    """
    runtime = java.find()
    files = jars.ensure(report, runtime)
    try:
        files.append(class_data.ensure(report, runtime, class_data.class_path(files)))
    except class_data.ClassDataError as error:
        report(f"Spark will take twice as long to start: {error}")
    return _describe(runtime, files)


def located() -> str | None:
    """What there is, or None where jars are missing.

    Raises:
        ToolchainError: there is no usable Java.
    """
    runtime = java.find()
    found = jars.located()
    if found is None:
        return None
    kept = class_data.located(runtime, class_data.class_path(found))
    return _describe(runtime, [*found, *([kept] if kept else [])])


def _describe(runtime: java.Java, files: list[Path]) -> str:
    spark = f"Spark {importlib.metadata.version('pyspark')} with Delta {jars.DELTA[0].version}"
    lines = [f"Java {runtime.version} of {runtime.origin}", str(runtime.program), spark, *map(str, files)]
    return "\n".join(line if index in (0, 2) else f"    {line}" for index, line in enumerate(lines))

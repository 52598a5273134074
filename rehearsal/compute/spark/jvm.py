"""Spark's Java process, started without Spark's launcher.

The launcher is a second Java process, and it asks for the module `jdk.incubator.vector`, which small runtimes lack.
What it would start is `PythonGatewayServer`: it offers py4j, writes where and with which secret into a file, and ends
when its standard input does, so that it never outlives the process that started it. See `pyspark/java_gateway.py`.
"""

import os
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from rehearsal.toolchain import class_data, jars
from rehearsal.toolchain import java as java_runtime

READY_WITHIN = 120.0
"""Seconds that Java may take to start, on a machine that does other work."""

# What Spark reaches by reflection; as org.apache.spark.launcher.JavaModuleOptions of 4.0 lists it.
_OPENED = (
    "java.lang",
    "java.lang.invoke",
    "java.lang.reflect",
    "java.io",
    "java.net",
    "java.nio",
    "java.util",
    "java.util.concurrent",
    "java.util.concurrent.atomic",
    "sun.nio.ch",
    "sun.nio.cs",
    "sun.security.action",
    "sun.util.calendar",
    "jdk.internal.ref",
)


class SparkError(Exception):
    """Spark could not be started or reached; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Jvm:
    """A running Java process with Spark in it.

    Args:
        process: the process; closing its standard input ends it.
        port: of its py4j gateway, on the loopback address.
        secret: what the gateway asks for.
    """

    process: "subprocess.Popen[bytes]"
    port: int
    secret: str

    def stop(self, seconds: float = 20.0) -> None:
        """Ends it: asks first, kills it after some seconds."""
        if self.process.stdin:
            self.process.stdin.close()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start(
    settings: dict[str, str],
    *,
    memory: str,
    scratch: Path,
    log: IO[bytes],
    environment: dict[str, str] | None = None,
    options: Sequence[str] = (),
) -> Jvm:
    """Starts it and waits until it takes connections.

    Args:
        settings: Spark's; they are seen in the list of processes, so no secret may be among them.
        memory: the heap's limit as Java takes it, for example `1g`.
        scratch: an existing folder for temporary files.
        log: gets what it writes to standard output and error.
        environment: variables besides those of this process.
        options: of Java, besides those that it gets anyway.

    Raises:
        SparkError: it ended or took too long.
        ToolchainError: there is no Java, or no jars.
    """
    java = java_runtime.find()
    path = class_data.class_path(jars.ensure(lambda line: print(line, file=sys.stderr), java))
    kept = class_data.located(java, path)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        told = Path(folder) / "gateway"
        command = [str(java.program), *_options(memory, scratch), *(f"-D{k}={v}" for k, v in settings.items())]
        command += [f"-XX:SharedArchiveFile={kept}"] if kept else []
        command += [*options, "-cp", path, "org.apache.spark.api.python.PythonGatewayServer"]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            process_group=0,  # Ctrl-C is for the process that started it
            env={
                **os.environ,
                # Python functions run with the interpreter that started Spark, and its packages.
                "PYSPARK_PYTHON": sys.executable,
                "SPARK_HOME": str(jars.spark_jars().parent),
                "SPARK_LOCAL_IP": "127.0.0.1",
                "_PYSPARK_DRIVER_CONN_INFO_PATH": str(told),
                **(environment or {}),
            },
        )
        started = time.monotonic()
        while not told.exists():
            if process.poll() is not None:
                raise SparkError(f"Java ended with {process.returncode} before Spark was there; see {_name(log)}")
            if time.monotonic() - started > READY_WITHIN:
                process.kill()
                process.wait()
                raise SparkError(f"Spark was not there after {READY_WITHIN:.0f} s; see {_name(log)}")
            time.sleep(0.02)
        # It is moved to its place when it is complete: the port and the secret's length, 4 bytes each, and the secret.
        content = told.read_bytes()
        port, length = struct.unpack("!ii", content[:8])
        return Jvm(process=process, port=port, secret=content[8 : 8 + length].decode())


def _options(memory: str, scratch: Path) -> list[str]:
    options = [f"--add-opens=java.base/{each}=ALL-UNNAMED" for each in _OPENED]
    options += [
        f"-Xmx{memory}",
        # The second compiler costs more than it gains in processes that live for minutes.
        "-XX:TieredStopAtLevel=1",
        # With one compiler Java reserves 48 MB for its code. Spark needs more: methods were thrown out and compiled
        # again and again, which took a third of the time.
        "-XX:ReservedCodeCacheSize=240m",
        # Classes up to this size are loaded without a full collection in between.
        "-XX:MetaspaceSize=256m",
        "-XX:+UseSerialGC",
        "-Xshare:auto",
        "-XX:+IgnoreUnrecognizedVMOptions",
        "-Djdk.reflect.useDirectMethodHandle=false",  # Spark's launcher sets it, too
        "-Dio.netty.tryReflectionSetAccessible=true",
        f"-Djava.io.tmpdir={scratch}",
        f"-Dlog4j2.configurationFile={Path(__file__).with_name('log4j2.properties')}",
    ]
    return options


def _name(log: IO[bytes]) -> str:
    return str(getattr(log, "name", "its output"))

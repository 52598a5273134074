"""A cluster: a process with one Spark, which other processes attach to.

`python -m rehearsal.compute.spark.cluster DIR --data DATA` writes `DIR/cluster.json` when it is ready and ends when
nobody has used it for a while, on SIGTERM, or when its Java ends. `session.attach` is the other side.
"""

import argparse
import json
import os
import secrets
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from py4j.clientserver import (  # type: ignore[import-untyped] # published without types
    ClientServer,
    JavaParameters,
    PythonParameters,
)
from py4j.protocol import Py4JError  # type: ignore[import-untyped] # likewise

from rehearsal.compute.spark import jvm, leases, settings
from rehearsal.compute.spark.jvm import Jvm, SparkError
from rehearsal.toolchain import ToolchainError

_LOOK_EVERY = 0.5  # seconds between two looks at the leases


def main(arguments: list[str] | None = None) -> int:
    """Runs a cluster until it is idle, told to end, or its Java has ended."""
    parser = argparse.ArgumentParser(prog="python -m rehearsal.compute.spark.cluster", description=main.__doc__)
    parser.add_argument("directory", type=Path, help="the cluster's own folder")
    parser.add_argument("--data", type=Path, required=True, help="the folder of the cloud's storage")
    parser.add_argument("--memory", default="1g", help="the limit of Java's heap")
    parser.add_argument("--idle", type=float, default=600.0, help="seconds without a user after which it ends")
    parser.add_argument("--small-data", action="store_true", help="compile no code: for a few thousand rows")
    options = parser.parse_args(arguments)
    told = threading.Event()
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, lambda *_: told.set())
    try:
        return run(
            options.directory.absolute(),
            options.data.absolute(),
            options.memory,
            options.idle,
            told,
            small_data=options.small_data,
        )
    except (SparkError, ToolchainError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def run(
    directory: Path, data: Path, memory: str, idle: float, told: threading.Event, *, small_data: bool = False
) -> int:
    """Starts Spark, serves, cleans up; gives the exit code.

    Args:
        directory: the cluster's own folder.
        data: the folder of the cloud's storage.
        memory: the limit of Java's heap, as Java takes it.
        idle: seconds without a lease after which it ends.
        told: ends it when it is set.
        small_data: whether to set what pays with a few thousand rows, `settings.SMALL_DATA`.
    """
    directory.mkdir(parents=True, exist_ok=True)
    settings.prepare(data)
    ready = directory / "cluster.json"
    ready.unlink(missing_ok=True)
    for left in directory.glob("scratch-*"):  # by a cluster that was killed
        shutil.rmtree(left, ignore_errors=True)
    token = secrets.token_urlsafe(32)
    with (
        tempfile.TemporaryDirectory(dir=directory, prefix="scratch-", ignore_cleanup_errors=True) as scratch,
        (directory / "cluster.log").open("ab") as log,
    ):
        chosen = settings.spark(data, Path(scratch), partitions=settings.cores(), default_scheme="dbfs")
        chosen |= settings.connect() | (settings.SMALL_DATA if small_data else {})
        # The documented variable: settings would be seen in the list of processes.
        variables = {"SPARK_CONNECT_AUTHENTICATE_TOKEN": token}
        java = jvm.start(chosen, memory=memory, scratch=Path(scratch), log=log, environment=variables)
        try:
            gateway = _gateway(java)
            gateway.jvm.org.apache.spark.sql.classic.SparkSession.builder().getOrCreate()
            _tell(ready, java, _service(gateway).localPort(), token)
            return _serve(directory, java, gateway, idle, told)
        finally:
            ready.unlink(missing_ok=True)
            java.stop()


def _serve(directory: Path, java: Jvm, gateway: Any, idle: float, told: threading.Event) -> int:
    used = time.monotonic()
    while not told.wait(_LOOK_EVERY):
        if java.process.poll() is not None:
            raise SparkError(f"Java has ended with {java.process.returncode}; see {directory / 'cluster.log'}")
        for lease in leases.ended(directory):
            _end(gateway, lease)
        if leases.any_held(directory):
            used = time.monotonic()
        elif time.monotonic() - used > idle:
            break
    return 0


def _end(gateway: Any, lease: leases.Lease) -> None:
    """Ends what a session still runs; its process is gone."""
    try:
        if lease.kind == "classic":
            spark = gateway.jvm.org.apache.spark.SparkContext.getOrCreate()
            spark.cancelJobsWithTag(f"spark-session-{lease.session}")
        else:
            key = gateway.jvm.org.apache.spark.sql.connect.service.SessionKey(lease.user, lease.session)
            _service(gateway).sessionManager().closeSession(key, False)
    except Py4JError as error:  # the others' sessions go on
        print(f"error: what {lease} ran could not be ended: {error}", file=sys.stderr)


def _gateway(java: Jvm) -> Any:
    return ClientServer(
        java_parameters=JavaParameters(port=java.port, auth_token=java.secret, auto_convert=True),
        python_parameters=PythonParameters(port=0, eager_load=False),
    )


def _service(gateway: Any) -> Any:
    holder = getattr(gateway.jvm, "org.apache.spark.sql.connect.service.SparkConnectService$")
    return getattr(holder, "MODULE$")


def _tell(file: Path, java: Jvm, port: int, token: str) -> None:
    content = {
        "pid": os.getpid(),
        # By this name, a client sends the token without TLS: https://github.com/apache/spark/blob/v4.0.1/python/pyspark/sql/connect/client/core.py
        "connect": f"sc://localhost:{port}/;token={token}",
        "gateway_port": java.port,
        "gateway_secret": java.secret,
    }
    fresh = file.with_suffix(".fresh")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        json.dump(content, stream)
    fresh.rename(file)


if __name__ == "__main__":
    sys.exit(main())

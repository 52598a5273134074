"""Sessions: attached to a cluster, or with a Spark of one's own for unit tests."""

import atexit
import json
import logging
import os
import shutil
import signal
import sys
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import pyspark.sql
import pyspark.util
from pyspark import SparkConf, SparkContext
from pyspark.java_gateway import launch_gateway

from rehearsal.compute.spark import jvm, leases, settings
from rehearsal.compute.spark.jvm import Jvm, SparkError

Kind: TypeAlias = Literal["classic", "serverless"]

_spark_connect = pyspark.util.local_connect_and_auth

# pyspark writes Java's stack trace of each failed query to standard error, and raises the error besides.
logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL + 1)


def attach(directory: Path, *, kind: Kind) -> pyspark.sql.SparkSession:
    """A session of its own on a running cluster, held until this process ends.

    Args:
        directory: the cluster's folder.
        kind: `classic` like on a job cluster, with `sparkContext`; `serverless` by Spark Connect, without.

    Raises:
        SparkError: no cluster is ready there.
    """
    try:
        cluster = json.loads((directory / "cluster.json").read_text())
    except FileNotFoundError:
        raise SparkError(f"there is no running cluster in {directory}") from None
    if kind == "serverless":
        return _attach_serverless(directory, cluster)
    spark, session = _classic(cluster["gateway_port"], cluster["gateway_secret"])
    leases.take(directory, leases.Lease(kind=kind, session=session))
    return spark


def _attach_serverless(directory: Path, cluster: dict[str, Any]) -> pyspark.sql.SparkSession:
    session, user = str(uuid.uuid4()), f"process-{os.getpid()}"
    # Before there is a session: one that is never made is ended for nothing.
    leases.take(directory, leases.Lease(kind="serverless", session=session, user=user))
    url = f"{cluster['connect']};session_id={session};user_id={user}"
    return pyspark.sql.SparkSession.builder.remote(url).getOrCreate()


def _classic(port: int, secret: str) -> tuple[pyspark.sql.SparkSession, str]:
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    pyspark.util.local_connect_and_auth = _connect
    # The variables are how pyspark is told of a gateway that is there; children must not get the secret.
    told = {"PYSPARK_GATEWAY_PORT": str(port), "PYSPARK_GATEWAY_SECRET": secret}
    os.environ.update(told)
    try:
        gateway = launch_gateway()  # type: ignore[no-untyped-call] # pyspark's own
    finally:
        for name in told:
            del os.environ[name]
    java = gateway.jvm
    base = java.org.apache.spark.sql.classic.SparkSession.builder().getOrCreate()
    context = java.org.apache.spark.api.java.JavaSparkContext(base.sparkContext())
    # pyspark's own way with Ctrl-C cancels the jobs of all sessions.
    before = signal.getsignal(signal.SIGINT)
    sc = SparkContext(gateway=gateway, jsc=context, conf=SparkConf(_jconf=base.sparkContext().conf()))
    signal.signal(signal.SIGINT, before)
    own = base.newSession()
    return pyspark.sql.SparkSession(sc, own), own.sessionUUID()


def _connect(port: str | int | None, auth_secret: str) -> tuple[Any, ...]:
    """pyspark's own way to fetch rows, but leaving no socket to the garbage collector, of which Python warns."""
    file, made = _spark_connect(port, auth_secret)
    made.close()  # in effect when the file is closed, too
    return file, made


def local(data: Path, options: Sequence[str] = ()) -> pyspark.sql.SparkSession:
    """A classic session with a Spark of its own in a child process, for unit tests; it ends with this process.

    Args:
        data: the folder of the cloud's storage; `spark.log` in it gets what Spark says.
        options: of Java, besides those that it gets anyway.

    Raises:
        SparkError: Spark could not be started.
        ToolchainError: there is no Java, or no jars.
    """
    data = data.absolute()
    settings.prepare(data)
    scratch = Path(tempfile.mkdtemp(prefix="rehearsal-spark-"))
    # Tests write files with Python and read them with Spark, by the same path.
    chosen = settings.spark(data, scratch, partitions=1, default_scheme="file") | settings.SMALL_DATA
    with (data / "spark.log").open("ab") as log:
        java = jvm.start(chosen, memory="1g", scratch=scratch, log=log, options=options)
    atexit.register(_end, java, scratch)
    return _classic(java.port, java.secret)[0]


def _end(java: Jvm, scratch: Path) -> None:
    if SparkContext._active_spark_context is not None:  # else its server of accumulators misses Java, and says so
        SparkContext._active_spark_context.stop()
    java.stop()
    shutil.rmtree(scratch, ignore_errors=True)

"""Clusters: processes that others attach to, which end what a dead process ran, and leave nothing behind."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

CHECKOUT = Path(__file__).parents[4]
PATIENCE = 120.0


def wait_for(condition: Callable[[], Any]) -> Any:
    """What the condition gives as soon as it is something; fails after a while."""
    started = time.monotonic()
    while time.monotonic() - started < PATIENCE:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {PATIENCE:.0f} s")


@dataclass
class Cluster:
    """A cluster, and sessions on it, each in a process of its own."""

    directory: Path
    data: Path
    process: "subprocess.Popen[bytes]"

    @classmethod
    def start(cls, directory: Path, data: Path, *, idle: float = 300) -> "Cluster":
        command = [sys.executable, "-m", "rehearsal.compute.spark.cluster", str(directory), "--data", str(data)]
        process = subprocess.Popen([*command, "--idle", str(idle)], cwd=CHECKOUT)
        wait_for(lambda: (directory / "cluster.json").exists() or process.poll() is not None)
        assert process.poll() is None, (directory / "cluster.log").read_text()
        return cls(directory, data, process)

    @property
    def java(self) -> psutil.Process:
        """Its Java."""
        (child,) = psutil.Process(self.process.pid).children()
        return child

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)

    def client(self, kind: str, code: str) -> "subprocess.Popen[str]":
        """A process that runs code with `spark` attached."""
        start = "from pathlib import Path; from rehearsal.compute.spark.session import attach; "
        attach = f"spark = attach(Path({str(self.directory)!r}), kind={kind!r})\n"
        command = [sys.executable, "-W", "ignore", "-c", start + attach + code]
        return subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, kind: str, code: str) -> list[str]:
        """The lines that the code prints."""
        client = self.client(kind, code)
        said, _ = client.communicate(timeout=PATIENCE)
        assert client.returncode == 0
        return said.splitlines()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Iterator[Cluster]:
    started = Cluster.start(tmp_path_factory.mktemp("cluster"), data)
    yield started
    started.stop()


def test_its_secrets_are_readable_by_the_user_alone_and_in_no_list_of_processes(cluster: Cluster) -> None:
    file = cluster.directory / "cluster.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    told = json.loads(file.read_text())
    assert told["pid"] == cluster.process.pid
    token = told["connect"].partition("token=")[2]
    assert len(token) > 30
    arguments = " ".join(cluster.java.cmdline() + psutil.Process(cluster.process.pid).cmdline())
    assert token not in arguments
    assert told["gateway_secret"] not in arguments
    listening = {each.laddr.ip for each in cluster.java.net_connections() if each.status == psutil.CONN_LISTEN}
    assert {address.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}


def test_nobody_gets_in_without_the_token(cluster: Cluster) -> None:
    port = json.loads((cluster.directory / "cluster.json").read_text())["connect"].split(":")[2].split("/")[0]
    code = (
        "from pyspark.sql import SparkSession\n"
        f"SparkSession.builder.remote('sc://localhost:{port}/;token=guessed').getOrCreate().range(1).count()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode
    assert "UNAUTHENTICATED" in done.stderr


def test_sessions_of_both_kinds_share_tables_and_nothing_else(cluster: Cluster) -> None:
    classic = cluster.run(
        "classic",
        "spark.sql('CREATE SCHEMA IF NOT EXISTS test.shared')\n"
        "spark.range(3).write.mode('overwrite').saveAsTable('test.shared.t')\n"
        "spark.range(3).createOrReplaceTempView('own')\n"
        "spark.conf.set('spark.sql.session.timeZone', 'Europe/Vienna')\n"
        "spark.sql('USE CATALOG test')\n"
        "print(spark.sparkContext.parallelize([1, 2]).map(lambda x: x + 1).sum())\n"
        "spark.range(1).write.mode('overwrite').csv('/Volumes/main/default/v/x')\n",
    )
    assert classic == ["5"]
    serverless = cluster.run(
        "serverless",
        "print(spark.table('test.shared.t').count())\n"
        "print(spark.catalog.tableExists('own'), spark.conf.get('spark.sql.session.timeZone'))\n"
        "print(spark.catalog.currentCatalog())\n"
        "print(spark.read.csv('/Volumes/main/default/v/x').select('_metadata.file_path').first()[0].rpartition('/')[0])\n"
        "try: spark.sparkContext\n"
        "except Exception as error: print(type(error).__name__)\n",
    )
    assert serverless == ["3", "False UTC", "main", "dbfs:/Volumes/main/default/v/x", "PySparkAttributeError"]


@pytest.mark.parametrize("kind", ["classic", "serverless"])
def test_what_a_killed_process_ran_is_ended(cluster: Cluster, kind: str) -> None:
    long = "spark.range(0, 10**14, 1, 2).selectExpr('sum(hash(id))').collect()"
    victim = cluster.client(kind, long)
    lease = cluster.directory / "leases" / str(victim.pid)
    # The observer says when there are jobs, waits until it is told, and ends when there are none.
    observer = cluster.client("classic", OBSERVER)
    assert observer.stdout
    assert observer.stdout.readline() == "busy\n"
    assert lease.exists()
    victim.kill()
    victim.communicate()
    said, _ = observer.communicate("\n", timeout=PATIENCE)
    assert said == "quiet\n"
    wait_for(lambda: not lease.exists())


OBSERVER = """
import time
tracker = spark.sparkContext.statusTracker()
while not tracker.getActiveJobsIds(): time.sleep(0.1)
print('busy', flush=True)
input()
while tracker.getActiveJobsIds(): time.sleep(0.1)
print('quiet', flush=True)
"""


def test_a_later_cluster_finds_the_tables_and_dies_completely_when_killed(
    cluster: Cluster, data: Path, tmp_path: Path
) -> None:
    cluster.run("serverless", "spark.sql('CREATE TABLE IF NOT EXISTS production.default.kept AS SELECT 42 AS x')")
    other = Cluster.start(tmp_path / "other", data)
    assert other.run("serverless", "print(spark.table('production.default.kept').first().x)") == ["42"]
    java = other.java
    os.kill(other.process.pid, signal.SIGKILL)
    other.process.wait()
    java.wait(PATIENCE)


def test_an_idle_cluster_ends_with_its_java_and_without_its_files(data: Path, tmp_path: Path) -> None:
    idle = Cluster.start(tmp_path, data, idle=1)
    java = idle.java
    # A process that holds a lease keeps it, working or not.
    assert idle.run("serverless", "import time; time.sleep(4); print(spark.range(3).count())") == ["3"]
    assert idle.process.wait(PATIENCE) == 0
    assert not java.is_running()
    assert {file.name for file in tmp_path.iterdir()} == {"cluster.log", "leases"}


def test_an_attachment_to_no_cluster_says_so(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from rehearsal.compute.spark.session import attach;"
        f" attach(Path({str(tmp_path)!r}), kind='classic')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert "there is no running cluster in" in done.stderr

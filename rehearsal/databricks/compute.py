"""Where and with which programs the stand-in runs jobs."""

import sys
from dataclasses import dataclass
from pathlib import Path

MARKER = "REHEARSAL_COMPUTE"
"""An environment variable of every process that a stand-in starts for runs; its value is the folder of the runs."""


@dataclass(frozen=True, kw_only=True)
class Compute:
    """The folders, programs and limits of runs.

    Args:
        runs: one folder for each run, one in it for each attempt of a task.
        data: the "cloud storage": catalogs, volumes, dbfs.
        clusters: one folder for each cluster.
        mail: one file for each mail that was sent.
        runner: the program that runs a notebook; it gets the folder of the attempt as its last argument.
        cluster: the program that is a cluster; it gets its folder and options. Empty: the tasks need none.
        memory: of a cluster's Java heap.
        processes: tasks that run at once; the others are queued.
        idle_seconds: how long the shared cluster of the serverless tasks outlives the last of them.
        start_seconds: how long a cluster may take to start.
        grace_seconds: between the polite and the hard end of a process.
        shell: whether notebooks may run `%sh`.
        retry_seconds: between two attempts to deliver a notification.
    """

    runs: Path
    data: Path
    clusters: Path
    mail: Path
    runner: tuple[str, ...] = (sys.executable, "-m", "rehearsal.compute.notebook")
    cluster: tuple[str, ...] = (sys.executable, "-m", "rehearsal.compute.spark.cluster")
    memory: str = "1g"
    processes: int = 2
    idle_seconds: float = 300
    start_seconds: float = 180
    grace_seconds: float = 3
    shell: bool = False
    retry_seconds: float = 1

    @classmethod
    def below(cls, folder: Path) -> "Compute":
        """With all folders in one."""
        return cls(runs=folder / "runs", data=folder / "data", clusters=folder / "clusters", mail=folder / "mail")

    @property
    def folders(self) -> tuple[Path, ...]:
        return (self.runs, self.data, self.clusters, self.mail)

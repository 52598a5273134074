"""What these measurements run in: the sample week in a volume, and Spark processes as the rehearsal starts them."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import CommandError

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "notebooks"
DATA_OF_TESTS = ROOT / "tests" / "release"
VOLUME = "/Volumes/main/benchmark/landing"
START_SECONDS = 180

WRITE_LANDING = """
import sys
from pathlib import Path
from bike_sharing_data import LocalFiles, write
from rehearsal.compute.spark import session
data, rows = Path(sys.argv[1]), int(sys.argv[2])
write(session.local(data), str(data / "volumes/main/benchmark/landing"), rows=rows, seed=1, files=LocalFiles())
"""


class World:
    """One folder for all: the storage that the Spark processes share, and theirs.

    Args:
        path: an empty folder.
        rows: trips of the sample week.
    """

    def __init__(self, path: Path, rows: int) -> None:
        self.path, self.rows = path, rows
        self.data = path / "data"
        self.environment = dict(os.environ) | {
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT, NOTEBOOKS, DATA_OF_TESTS))),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def write_landing(self) -> float:
        """Makes the week's files; gives the seconds, with the start of a Spark."""
        started = time.monotonic()
        self.python("-c", WRITE_LANDING, str(self.data), str(self.rows))
        return time.monotonic() - started

    def python(self, *arguments: str) -> str:
        """Runs Python to its end; gives what it printed.

        Raises:
            benchmarks.measure.CommandError: it failed.
        """
        done = subprocess.run(
            [sys.executable, *arguments],
            env=self.environment,
            cwd=self.path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise CommandError(f"exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    @contextlib.contextmanager
    def cluster(self, name: str) -> Iterator[tuple[Path, int]]:
        """A running cluster: its folder and process id. It ends with the block."""
        folder = self.path / name
        command = [sys.executable, "-m", "rehearsal.compute.spark.cluster", str(folder), "--data", str(self.data)]
        process = subprocess.Popen(command, env=self.environment, cwd=ROOT, stdin=subprocess.DEVNULL)
        try:
            limit = time.monotonic() + START_SECONDS
            while not (folder / "cluster.json").exists():
                if process.poll() is not None or time.monotonic() > limit:
                    raise CommandError(f"the cluster {name} didn't start: see {folder / 'cluster.log'}")
                time.sleep(0.1)
            yield folder, process.pid
        finally:
            process.terminate()
            process.wait()

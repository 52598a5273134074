"""The figures of the benchmark are those of all processes of a command."""

import os
import sys
from pathlib import Path

import pytest

from benchmarks.floor import Floor
from benchmarks.measure import CommandError, Cost, run

# A process that only waits for another, which is the one that works.
PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]], check=True)"
MEBIBYTES = 80


def measured(work: str) -> Cost:
    return run([sys.executable, "-c", PARENT, work], Path.cwd(), os.environ)


def test_the_processor_time_of_a_process_below_the_command_is_counted() -> None:
    cost = measured("import time\nwhile time.process_time() < 0.5: pass")
    assert cost.cpu >= 0.5
    assert cost.wall >= 0.5


def test_the_memory_of_a_process_below_the_command_is_counted() -> None:
    # `bytes` of something else than zeros, so that the pages are really there.
    cost = measured(f"import time; held = b'x' * {MEBIBYTES * 1024 * 1024}; time.sleep(1)")
    assert MEBIBYTES < cost.memory < 2 * MEBIBYTES


def test_a_command_that_fails_is_told_with_what_it_printed() -> None:
    with pytest.raises(CommandError, match=r"exit code 3\n.*no such stack"):
        run([sys.executable, "-c", "print('no such stack'); raise SystemExit(3)"], Path.cwd(), os.environ)


@pytest.mark.parametrize(("unlimited", "seconds"), [(30.0, 40.0), (50.0, 50.0)])
def test_the_floor_is_what_takes_longer_the_limit_or_the_engine(unlimited: float, seconds: float) -> None:
    floor = Floor(requests=525, unlimited=unlimited, without_checkpoints=20.0, start=5.0)
    assert floor.seconds == seconds

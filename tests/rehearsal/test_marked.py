import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rehearsal.marked import end, having

VARIABLE = "TEST_OF_MARKED"


@pytest.fixture
def restless(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that becomes a new program as often as it can: most of its time it has no environment to be read."""
    script = tmp_path / "restless.sh"
    script.write_text('exec sh "$0"\n')
    process = subprocess.Popen(["sh", str(script)], env={**os.environ, VARIABLE: str(tmp_path)})
    yield process
    process.kill()
    process.wait()


def test_a_process_that_starts_a_program_just_now_is_found_by_its_mark(
    restless: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    found = [[process.pid for process in having(VARIABLE, str(tmp_path).__eq__)] for _ in range(200)]
    assert found == [[restless.pid]] * 200


def test_a_process_that_was_ended_is_named_and_gone(restless: subprocess.Popen[bytes], tmp_path: Path) -> None:
    assert end(VARIABLE, str(tmp_path).__eq__) == [f"pid ({restless.pid}) (sh)"]
    assert having(VARIABLE, str(tmp_path).__eq__) == []
    assert restless.poll() is not None


def test_processes_of_another_mark_are_left_alone(restless: subprocess.Popen[bytes]) -> None:
    assert having(VARIABLE, "another".__eq__) == []
    assert end(VARIABLE, "another".__eq__) == []
    assert restless.poll() is None

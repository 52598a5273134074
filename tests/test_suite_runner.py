"""What runs a release's suites in the workspace: it succeeds when tests have passed, and for nothing else."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

RUNNING = Path(__file__).parent / "release" / "running.py"
# As the notebook of a suite, with dbutils that keep nothing.
NOTEBOOK = """
import sys
from types import SimpleNamespace
sys.path.insert(0, sys.argv[1])
import running
fs = SimpleNamespace(mkdirs=lambda path: True, put=lambda path, text, overwrite: True)
told = running.Parameters(catalog="", schema="bikes", volume="/results", run_id="1", options={})
try:
    running.run("small", told, spark=None, dbutils=SimpleNamespace(fs=fs))
except running.SuiteFailed as error:
    sys.exit(str(error).splitlines()[0])
"""
SKIPPED = "import pytest\n\n@pytest.mark.skip\ndef test_a(): pass\n"
PASSED = "def test_b(): pass\n"


@pytest.mark.parametrize(
    ("tests", "said"),
    [
        (PASSED, ""),
        (SKIPPED + PASSED, ""),
        (SKIPPED, "small: 0 tests passed, 1 were skipped, none failed; pytest ended with OK"),
        ("", "small: 0 tests passed, 0 were skipped, none failed; pytest ended with NO_TESTS_COLLECTED"),
        (PASSED + "def test_c(): assert False\n", "small: 1 of 2 tests failed: test_c"),
    ],
)
def test_a_suite_fails_unless_tests_passed_and_none_failed(tmp_path: Path, tests: str, said: str) -> None:
    shutil.copy(RUNNING, tmp_path)
    (tmp_path / "suite_small").mkdir()
    (tmp_path / "suite_small" / "test_it.py").write_text(tests)
    done = subprocess.run(
        [sys.executable, "-c", NOTEBOOK, str(tmp_path)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr.strip()) == (int(bool(said)), said)

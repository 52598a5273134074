"""Notebooks in a folder of the test's own."""

from pathlib import Path

import pytest

from tests.rehearsal.compute.notebook.tasks import Runs


@pytest.fixture
def run(tmp_path: Path) -> Runs:
    return Runs(tmp_path)

"""An agent for tests."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# Microsoft's client keeps what a service told it in the home directory, from the moment of its import on.
os.environ.setdefault("AZURE_DEVOPS_CACHE_DIR", tempfile.mkdtemp(prefix="azure-devops-cache-"))

from rehearsal.service import Background

from .fake_service import FakeService
from .jobs import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """An agent that runs jobs of pipelines against a small service."""
    service = FakeService()
    with Background(service.app) as url:
        made = Bench(service, url, tmp_path, dict(os.environ))
        yield made
        made.close()

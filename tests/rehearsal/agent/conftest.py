import os
from collections.abc import Iterator
from pathlib import Path

import pytest

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

"""The workspace that `deploy` and `drift` are tried on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rehearsal.databricks import create_app
from rehearsal.service import Background
from tests.delivery.pretended import TOKENS, Site


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    app = create_app(tmp_path / "state", control_token="control", credentials=TOKENS)
    with Background(app) as address:
        yield address


@pytest.fixture
def site(url: str, tmp_path: Path) -> Iterator[Site]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield Site(url, tmp_path, monkeypatch)

"""What the rehearsal's agent finds where an agent keeps its tools."""

from pathlib import Path

import pytest

from delivery import venv
from rehearsal import pipelines


def test_the_agents_environments_are_those_of_its_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("AGENT_TOOLSDIRECTORY", raising=False)
    of_user = venv.cache_folder() / "of-the-user"
    of_user.parent.mkdir(parents=True)
    of_user.touch()
    for _ in range(2):  # it is there the second time
        monkeypatch.setenv("AGENT_TOOLSDIRECTORY", str(pipelines.tools()))
        assert (venv.cache_folder() / of_user.name).exists()

"""The engine, and systems deployed with it. Deploying takes the providers' waits: tests that only look share one."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rehearsal.toolchain import Toolchain, ensure
from tests.engine.system import System


@pytest.fixture(scope="session")
def toolchain() -> Toolchain:
    """The engine; it is built where it isn't there, and a test without it fails."""
    return ensure(report=lambda line: print(line, file=sys.stderr))


@pytest.fixture
def make_system(toolchain: Toolchain, tmp_path: Path) -> Iterator[Callable[[], System]]:
    """Makes systems on which nothing is deployed yet."""
    made: list[System] = []

    def make() -> System:
        home = tmp_path / f"system-{len(made)}"
        home.mkdir()
        made.append(System(home, toolchain))
        return made[-1]

    yield make
    for system in made:
        system.close()


@pytest.fixture
def system(make_system: Callable[[], System]) -> System:
    """A system on which nothing is deployed yet."""
    return make_system()


@pytest.fixture(scope="module")
def deployed(toolchain: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system with both stacks deployed, shared by the tests of a module."""
    home = tmp_path_factory.mktemp("system")
    system = System(home, toolchain)
    try:
        for stack in ("test", "prod"):
            outcome = system.project.up(stack)
            assert outcome, outcome.text
        yield system
    finally:
        system.close()

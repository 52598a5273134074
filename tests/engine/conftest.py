"""The engine, and systems deployed with it. Deploying takes the providers' waits: see `tests.engine.shelf`."""

import sys
from collections.abc import Iterator

import pytest

from rehearsal.toolchain import Toolchain, ensure
from tests.engine.shelf import Shelf
from tests.engine.system import System


@pytest.fixture(scope="session")
def toolchain() -> Toolchain:
    """The engine; it is built where it isn't there, and a test without it fails."""
    return ensure(report=lambda line: print(line, file=sys.stderr))


@pytest.fixture(scope="session")
def shelf(toolchain: Toolchain, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Shelf:
    """Systems to begin with, shared by the workers of this run."""
    base = tmp_path_factory.getbasetemp()
    run = base if worker_id == "master" else base.parent
    return Shelf(run / "systems", tmp_path_factory.mktemp("scratch"), toolchain)


@pytest.fixture
def system(shelf: Shelf) -> Iterator[System]:
    """A system on which nothing is deployed yet."""
    with shelf.system("nothing") as system:
        yield system


@pytest.fixture(scope="module")
def deployed(shelf: Shelf) -> Iterator[System]:
    """A system with both stacks deployed, shared by the tests of a module."""
    with shelf.system("prod") as system:
        yield system

"""Systems as they stood at some moment, so that what takes a minute is done once for all tests that begin with it.

Bringing up both stacks is mostly the providers' own waiting. What it leaves is a few files: the state of the services,
of the stacks, and the project. A test gets a copy of them, with services of its own on other ports, and does with it
what it likes. The workers of a test run share the shelf.
"""

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal, TypeAlias

from filelock import FileLock

from rehearsal.service import listen
from rehearsal.toolchain import Toolchain
from tests.engine.releases import small
from tests.engine.system import Address, Name, StandIn, System

Moment: TypeAlias = Literal["nothing", "test", "prod", "small"]

# What leads to each moment, and from which one.
WAYS: dict[Moment, tuple[Moment | None, Callable[[System], object]]] = {
    "nothing": (None, lambda _: None),
    "test": ("nothing", lambda system: system.bring_up("test")),
    "prod": ("test", lambda system: system.bring_up("prod")),
    "small": ("prod", small),
}
NAMES: tuple[Name, ...] = ("azure", "workspace")
# What stands for a service's address in files that are kept.
PLACES: dict[Name, str] = {name: f"127.0.0.1:<{name}>" for name in NAMES}


class Shelf:
    """The moments: `nothing` is deployed; the stack `test` is up; `prod`, too; both have a `small` release instead.

    Args:
        place: a folder that all workers of a test run know; made if it is missing.
        scratch: an existing folder for the systems.
        toolchain: the engine.
    """

    def __init__(self, place: Path, scratch: Path, toolchain: Toolchain) -> None:
        self._place = place
        self._scratch = scratch
        self._toolchain = toolchain
        place.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def system(self, moment: Moment) -> Iterator[System]:
        """A system as it was at this moment; it ends with the context.

        Raises:
            AssertionError: bringing one to this moment has failed.
        """
        kept = self._kept(moment)
        with self._home() as home:
            shutil.copytree(kept / "home", home, symlinks=True, dirs_exist_ok=True)
            tokens = json.loads((kept / "tokens.json").read_text())
            with listen() as azure, listen() as workspace:
                ports = {"azure": azure.getsockname()[1], "workspace": workspace.getsockname()[1]}
            _replace(home, {place: f"127.0.0.1:{ports[name]}" for name, place in PLACES.items()})
            addresses = {name: Address(ports[name], tokens[name]) for name in NAMES}
            with _ended(System(home, self._toolchain, addresses)) as system:
                yield system

    def requests(self, moment: Moment) -> list[tuple[Name, str, str]]:
        """What led to this moment from the one before: service, method and path of each request."""
        return [
            (name, method, path)
            for name, method, path in json.loads((self._kept(moment) / "requests.json").read_text())
        ]

    def _kept(self, moment: Moment) -> Path:
        kept = self._place / moment
        with FileLock(self._place / f"{moment}.lock"):
            if not kept.exists():
                with tempfile.TemporaryDirectory(dir=self._place) as folder:
                    making = Path(folder, moment)
                    self._make(moment, making)
                    making.rename(kept)  # as a whole or not at all
        return kept

    def _make(self, moment: Moment, kept: Path) -> None:
        before, way = WAYS[moment]
        with self.system(before) if before else self._first() as system:
            way(system)
            services = {name: _service(system, name) for name in NAMES}
            requests = [(name, each["method"], each["path"]) for name in NAMES for each in services[name].requests()]
            _copy(system.home, kept / "home")
        _replace(kept / "home", {f"127.0.0.1:{services[name].port}": place for name, place in PLACES.items()})
        (kept / "tokens.json").write_text(json.dumps({name: services[name].tokens for name in NAMES}))
        (kept / "requests.json").write_text(json.dumps(requests))

    @contextmanager
    def _first(self) -> Iterator[System]:
        with self._home() as home, _ended(System(home, self._toolchain)) as system:
            yield system

    @contextmanager
    def _home(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(dir=self._scratch, ignore_cleanup_errors=True) as home:
            yield Path(home)


@contextmanager
def _ended(system: System) -> Iterator[System]:
    try:
        yield system
    finally:
        system.close()


def _service(system: System, name: Name) -> StandIn:
    return {"azure": system.azure, "workspace": system.workspace}[name]


def _copy(source: Path, target: Path) -> None:
    """Copies a system whose services run: of a database also what stands in its log alone."""
    shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("*.sqlite*"))
    for path in source.rglob("*.sqlite"):
        with closing(sqlite3.connect(path)) as old, closing(sqlite3.connect(target / path.relative_to(source))) as new:
            old.backup(new)


def _replace(home: Path, texts: Mapping[str, str]) -> None:
    """Replaces texts in the documents of the services, the states of the stacks, and the checkout."""
    for path in home.rglob("*"):
        if path.is_symlink() or not path.is_file():
            continue
        if path.suffix == ".sqlite":
            with closing(sqlite3.connect(path)) as database, database:
                for old, new in texts.items():
                    database.execute("UPDATE documents SET body = replace(body, ?, ?)", (old, new))
            continue
        content = changed = path.read_bytes()
        for old, new in texts.items():
            changed = changed.replace(old.encode(), new.encode())
        if changed != content:
            path.write_bytes(changed)

"""The cache of built programs: whole or absent, built once."""

import multiprocessing
import os
import time
from pathlib import Path

import pytest

from rehearsal.toolchain import cache


def ignore(_: str) -> None:
    """Reports to nobody."""


def build(target: Path) -> None:
    (target / "program").write_bytes(b"a program")


def test_a_part_is_built_once_and_then_found(tmp_path: Path) -> None:
    cache.provide(tmp_path / "part", build, ignore)

    def again(_: Path) -> None:
        raise AssertionError("built twice")

    assert (cache.provide(tmp_path / "part", again, ignore) / "program").read_bytes() == b"a program"


@pytest.mark.parametrize(
    "damage",
    [
        lambda part: (part / "program").write_bytes(b"a pro"),
        lambda part: (part / "program").write_bytes(b"A PROGRAM"),
        lambda part: (part / "program").unlink(),
        lambda part: (part / "manifest.json").unlink(),
        lambda part: (part / "manifest.json").write_text('{"program": {"si'),
        lambda part: (part / "manifest.json").write_text("[]"),
    ],
    ids=["cut short", "changed", "program missing", "manifest missing", "manifest cut short", "manifest foreign"],
)
def test_a_damaged_part_is_noticed_and_built_anew(tmp_path: Path, damage: object) -> None:
    part = cache.provide(tmp_path / "part", build, ignore)
    damage(part)  # type: ignore[operator]  # a lambda of the list above
    told: list[str] = []

    cache.provide(part, build, told.append)

    assert (part / "program").read_bytes() == b"a program"
    assert any("damaged" in line for line in told)


def test_what_nobody_has_used_for_a_month_goes_when_another_of_its_kind_is_built(tmp_path: Path) -> None:
    unused, used, of_another_kind = (
        cache.provide(tmp_path / name, build, ignore) for name in ("spark-1", "spark-2", "engine-1")
    )
    for part in (unused, used, of_another_kind):
        os.utime(part / "manifest.json", (0, 0))
    assert cache.whole(used, thorough=False)
    cache.provide(tmp_path / "spark-3", build, ignore)
    assert sorted(each.name for each in tmp_path.iterdir() if each.is_dir()) == ["engine-1", "spark-2", "spark-3"]


def test_a_build_that_fails_leaves_nothing_that_could_be_taken_for_the_part(tmp_path: Path) -> None:
    def fail(target: Path) -> None:
        build(target)
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        cache.provide(tmp_path / "part", fail, ignore)

    assert not (tmp_path / "part").exists()
    assert cache.provide(tmp_path / "part", build, ignore).exists()


def slow_build(target: Path) -> None:
    with (target.parent / "builds").open("a") as builds:
        builds.write("x")
    time.sleep(0.5)
    build(target)


def provide_slowly(folder: Path) -> None:
    cache.provide(folder / "part", slow_build, ignore)


def test_two_processes_at_once_build_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=provide_slowly, args=(tmp_path,)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()

    assert [process.exitcode for process in both] == [0, 0]
    assert (tmp_path / "builds").read_text() == "x"


def test_building_a_part_may_ask_for_another(tmp_path: Path) -> None:
    def outer(target: Path) -> None:
        inner = cache.provide(tmp_path / "inner", build, ignore)
        (target / "program").write_bytes((inner / "program").read_bytes())

    assert cache.whole(cache.provide(tmp_path / "outer", outer, ignore), thorough=True)

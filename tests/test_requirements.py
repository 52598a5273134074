"""What is locked can be installed by any pip, whatever is published after it."""

import re
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
_PINNED = re.compile(r"^([a-z][^\\\n]*)", re.MULTILINE)


def _applies(needed: Requirement, extras: set[str] | frozenset[str] = frozenset()) -> bool:
    return needed.marker is None or any(needed.marker.evaluate({"extra": name}) for name in ("", *extras))


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_a_package_that_is_asked_for_with_an_extra_is_pinned_with_it(lock: str) -> None:
    """Else pip looks for the newest version with the extra, and refuses it for having no hash."""
    listed = map(Requirement, _PINNED.findall((ROOT / lock).read_text(encoding="utf-8")))
    pinned = {each.name.lower(): each for each in listed if _applies(each)}
    assert pinned
    asked = {
        (needed.name.lower(), extra)
        for each in pinned.values()
        for needed in map(Requirement, requires(each.name) or [])
        if _applies(needed, each.extras)
        for extra in needed.extras
    }
    assert asked
    assert {(name, extra) for name, extra in asked if extra not in pinned[name].extras} == set()

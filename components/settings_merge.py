"""Settings that are put together from several places, and still know where each of them was written.

Merging is that of JSON merge patches (RFC 7396): mappings are merged key by key, everything else replaces what was
there, and a null takes it away.
"""

from collections.abc import Iterator, Mapping
from typing import Any

# Exactly one of several keys may stand in these: merged with another they would say two things at once.
WHOLE = ("runAs",)


class Placed(dict[Any, Any]):
    """A mapping that knows the path at which each of its keys was written, such as `jobOverrides.daily.tags`."""

    def __init__(self, values: Mapping[Any, Any], places: Mapping[Any, str]) -> None:
        super().__init__(values)
        self.places = dict(places)


def placed(value: Any, path: str) -> Any:
    """The value with the places of all mappings in it, where `path` is its own."""
    if not isinstance(value, Mapping):
        return value
    places = {key: f"{path}.{key}" for key in value}
    return Placed({key: placed(item, places[key]) for key, item in value.items()}, places)


def merged(base: Placed, patch: Placed) -> Placed:
    """The base with the patch over it. Neither is changed."""
    result = Placed(base, base.places)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
            continue
        under = result.get(key)
        if not isinstance(value, Placed):
            result[key], result.places[key] = value, patch.places[key]
        elif isinstance(under, Placed) and key not in WHOLE:
            result[key] = merged(under, value)
        else:
            result[key], result.places[key] = merged(Placed({}, {}), value), patch.places[key]
    return result


def needless(base: Placed, patch: Placed) -> Iterator[str]:
    """The places of the nulls in a patch that take nothing away."""
    for key, value in patch.items():
        under = base.get(key)
        if value is None and key not in base:
            yield patch.places[key]
        elif isinstance(value, Placed):
            yield from needless(under if isinstance(under, Placed) else Placed({}, {}), value)


def covered(base: Placed, patch: Placed) -> Iterator[tuple[str, Any, str]]:
    """Where a mapping in the patch hides something else in the base: that place, what is there, the mapping's place."""
    for key, value in patch.items():
        under = base.get(key)
        if isinstance(value, Placed) and isinstance(under, Placed):
            yield from covered(under, value)
        elif isinstance(value, Placed) and under is not None:
            yield base.places[key], under, patch.places[key]

"""Values of expressions and how one becomes another.

The rules are those of "Type casting" in https://learn.microsoft.com/azure/devops/pipelines/process/expressions.
Where the page is silent or wrong, the service decides: text becomes a number with decimals and thousands too, and a
version may lack its third part. The kinds of values: None, bool, Decimal, str, Version, datetime (only
`pipeline.startTime` is one), lists and objects.
"""

import re
from collections.abc import Iterator
from collections.abc import Mapping as MappingLike
from collections.abc import Sequence as SequenceLike
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal, localcontext

from rehearsal.agent.language.errors import ExpressionError
from rehearsal.agent.language.nodes import LARGEST_NUMBER, Mapping, Scalar, Sequence

_NUMBER = re.compile(r"\s*[-+]?([0-9][0-9,]*(\.[0-9]*)?|\.[0-9]+)\s*\Z")
_INT32 = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Version:
    """Two to four parts. A part that isn't there counts less than 0, as in .NET: 1.2 is less than 1.2.0."""

    parts: tuple[int, ...]

    def __str__(self) -> str:
        return ".".join(map(str, self.parts))

    @classmethod
    def parse(cls, text: str) -> "Version | None":
        """The version that a text is, or None."""
        parts = text.split(".")
        if not 2 <= len(parts) <= 4 or not all(re.fullmatch("[0-9]{1,10}", part) for part in parts):
            return None
        numbers = tuple(map(int, parts))
        return cls(numbers) if max(numbers) <= _INT32 else None


def parse_number(text: str) -> Decimal | None:
    """The number that a text is, or None. Nothing is 0; decimal point, sign, commas and blanks around are allowed."""
    if not text:
        return Decimal(0)
    if not _NUMBER.match(text):
        return None
    number = Decimal(text.strip().replace(",", ""))
    return number if abs(number) <= LARGEST_NUMBER else None


def unwrap(value: object) -> object:
    """The value of a node: a scalar's own value, a list or an object as it is."""
    return value.value if isinstance(value, Scalar) else value


def is_list(value: object) -> bool:
    """Whether a value is an array."""
    return isinstance(value, Sequence) or (isinstance(value, SequenceLike) and not isinstance(value, str))


def is_object(value: object) -> bool:
    """Whether a value is an object: keys and values."""
    return isinstance(value, Mapping | MappingLike)


def elements(value: object) -> list[object]:
    """The elements of an array, or the values of an object."""
    if isinstance(value, Sequence):
        return [unwrap(item) for item in value.items]
    if isinstance(value, Mapping):
        return [unwrap(item) for _, item in value.pairs]
    if isinstance(value, MappingLike):
        return [unwrap(item) for item in value.values()]
    return [unwrap(item) for item in value] if isinstance(value, SequenceLike) and not isinstance(value, str) else []


def members(value: object) -> Iterator[tuple[str, object]]:
    """The keys and values of an object in their order."""
    if isinstance(value, Mapping):
        yield from ((key.text, unwrap(item)) for key, item in value.pairs)
    elif isinstance(value, MappingLike):
        yield from ((str(key), unwrap(item)) for key, item in value.items())


def kind(value: object) -> str:
    """The name of a value's kind, as errors of the service use it."""
    names = {bool: "Boolean", Decimal: "Number", str: "String", Version: "Version", datetime: "DateTime"}
    if value is None:
        return "Null"
    if type(value) in names:
        return names[type(value)]
    return "Array" if is_list(value) else "Object"


def to_boolean(value: object) -> bool:
    """Nothing, 0 and the empty text are false; everything else is true, empty lists and objects included."""
    return bool(value) if isinstance(value, bool | Decimal | str) else value is not None


def try_text(value: object) -> str | None:
    """A value as text, or None for lists and objects. Booleans are True and False; numbers end without zeros."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return _number_text(value)
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S") + _offset(value)
    return None if is_list(value) or is_object(value) else str(value)


def _number_text(value: Decimal) -> str:
    with localcontext(prec=60):
        text = format(value.quantize(Decimal("1e-7"), rounding=ROUND_HALF_UP), "f").rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def _offset(value: datetime) -> str:
    offset = value.strftime("%z") or "+0000"
    return f"{offset[:3]}:{offset[3:5]}"


def try_number(value: object) -> Decimal | None:
    """A value as number, or None where that can't be."""
    if value is None or isinstance(value, bool):
        return Decimal(1 if value else 0)
    if isinstance(value, str):
        return parse_number(value)
    return value if isinstance(value, Decimal) else None


def _try_version(value: object) -> Version | None:
    if isinstance(value, Version):
        return value
    if isinstance(value, str):
        return Version.parse(value)
    return Version.parse(_number_text(value)) if isinstance(value, Decimal) else None


def _try_time(value: object) -> datetime | None:
    return value if isinstance(value, datetime) else None


def _failed(value: object, target: str) -> ExpressionError:
    shown = kind(value) if is_list(value) or is_object(value) else f"'{value}'"
    return ExpressionError(f"Unable to convert from {kind(value)} to {target}. Value: {shown}")


def to_text(value: object) -> str:
    """A value as text. Raises ExpressionError for lists and objects."""
    text = try_text(value)
    if text is None:
        raise _failed(value, "String")
    return text


def to_number(value: object) -> Decimal:
    """A value as number. Raises ExpressionError where that can't be."""
    number = try_number(value)
    if number is None:
        raise _failed(value, "Number")
    return number


def equal(left: object, right: object) -> bool:
    """`eq`: the right value becomes the left one's kind; False if it can't. Text ignores case."""
    if left is None:
        return right is None or right == ""
    if isinstance(left, bool):
        return left == to_boolean(right)
    if isinstance(left, Decimal):
        return left == try_number(right)
    if isinstance(left, str):
        text = try_text(right)
        return text is not None and _fold(left) == _fold(text)
    if isinstance(left, Version):
        return left == _try_version(right)
    return left == right if isinstance(left, datetime) else left is right


def _fold(text: str) -> str:
    """For comparisons that ignore case as .NET's OrdinalIgnoreCase: upper case, one character at a time."""
    return "".join(upper if len(upper := char.upper()) == 1 else char for char in text)


def compare(left: object, right: object) -> int:
    """`lt` and its relatives: less than 0, 0, or more. Raises ExpressionError if the right value can't be converted."""
    if isinstance(left, bool):
        return int(left) - int(to_boolean(right))
    if isinstance(left, str):
        one, other = _fold(left), _fold(to_text(right))
        return (one > other) - (one < other)
    if isinstance(left, Version):
        version = _try_version(right)
        if version is None:
            raise _failed(right, "Version")
        return (left.parts > version.parts) - (left.parts < version.parts)
    if isinstance(left, datetime):
        time = _try_time(right)
        if time is None:
            raise _failed(right, "DateTime")
        return (left > time) - (left < time)
    number, second = to_number(left), to_number(right)
    return (number > second) - (number < second)


def contains(text: str, part: str) -> bool:
    """Whether a text has a part, whatever the case."""
    return _fold(part) in _fold(text)


def starts(text: str, part: str) -> bool:
    """Whether a text begins with a part, whatever the case."""
    return _fold(text).startswith(_fold(part))


def ends(text: str, part: str) -> bool:
    """Whether a text ends with a part, whatever the case."""
    return _fold(text).endswith(_fold(part))

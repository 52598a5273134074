"""The functions of expressions that need nothing but their arguments.

https://learn.microsoft.com/azure/devops/pipelines/process/expressions#functions. Where the page and the service differ,
the service is followed: `in` and `notIn` take two arguments at least, `iif` takes three and evaluates all of them,
`length` counts the members of objects too.
"""

import json
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from rehearsal.agent.language import values
from rehearsal.agent.language.errors import ExpressionError
from rehearsal.agent.language.syntax import Arity

Argument = Callable[[], object]  # evaluated when it is called: some functions don't need all
Function = Callable[[list[Argument]], object]


def _all(arguments: list[Argument]) -> bool:
    return all(values.to_boolean(argument()) for argument in arguments)


def _any(arguments: list[Argument]) -> bool:
    return any(values.to_boolean(argument()) for argument in arguments)


def _in(arguments: list[Argument]) -> bool:
    left = arguments[0]()
    return any(values.equal(left, argument()) for argument in arguments[1:])


def _coalesce(arguments: list[Argument]) -> object:
    for argument in arguments:
        value = argument()
        if value is not None and value != "":
            return value
    return None


def _contains_value(arguments: list[Argument]) -> bool:
    collection, wanted = arguments[0](), arguments[1]()
    return any(values.equal(wanted, item) for item in values.elements(collection))


def _iif(arguments: list[Argument]) -> object:
    condition, chosen, other = (argument() for argument in arguments)
    return chosen if values.to_boolean(condition) else other


def _join(arguments: list[Argument]) -> str:
    separator, collection = values.to_text(arguments[0]()), arguments[1]()
    if values.is_list(collection):
        return separator.join(values.try_text(item) or "" for item in values.elements(collection))
    return values.to_text(collection)


def _length(arguments: list[Argument]) -> Decimal:
    value = arguments[0]()
    if values.is_list(value) or values.is_object(value):
        return Decimal(len(values.elements(value)))
    return Decimal(len(values.to_text(value)))


def _replace(arguments: list[Argument]) -> str:
    text, old, new = (values.to_text(argument()) for argument in arguments)
    return text.replace(old, new) if old else text


def _split(arguments: list[Argument]) -> list[object]:
    text, separator = (values.to_text(argument()) for argument in arguments)
    return [*text.split(separator)] if separator else [text]


def _xor(arguments: list[Argument]) -> bool:
    left, right = (values.to_boolean(argument()) for argument in arguments)
    return left != right


def _compared(decide: Callable[[int], bool]) -> Function:
    return lambda arguments: decide(values.compare(arguments[0](), arguments[1]()))


def _of_texts(function: Callable[..., object]) -> Function:
    return lambda arguments: function(*(values.to_text(argument()) for argument in arguments))


def to_json(value: object, level: int = 0) -> str:
    """`convertToJson`: indented by two blanks, numbers and booleans without quotes."""
    inner = "\n" + "  " * (level + 1)
    outer = "\n" + "  " * level
    if values.is_list(value):
        items = [inner + to_json(item, level + 1) for item in values.elements(value)]
        return f"[{','.join(items)}{outer}]" if items else "[]"
    if values.is_object(value):
        pairs = [f"{inner}{_quoted(key)}: {to_json(item, level + 1)}" for key, item in values.members(value)]
        return f"{{{','.join(pairs)}{outer}}}" if pairs else "{}"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = values.to_text(value)
    return text if isinstance(value, Decimal) else _quoted(text)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def format_text(template: str, arguments: list[Argument]) -> str:
    """`format`: `{0}` and so on, `{{` and `}}` for braces, `{0:yyyyMMdd}` for dates.

    Raises ExpressionError for braces that don't fit, an argument that isn't there, and a list or object as argument.
    """
    parts: list[str] = []
    index = 0
    while index < len(template):
        char, following = template[index], template[index + 1 : index + 2]
        if char in "{}" and following == char:
            parts.append(char)
            index += 2
        elif char == "{":
            number, specifier, index = _placeholder(template, index)
            if number >= len(arguments):
                message = "The following format string references more arguments than were supplied"
                raise ExpressionError(f"{message}: '{template}'")
            value = arguments[number]()
            parts.append(format_time(value, specifier) if specifier else values.to_text(value))
        elif char == "}":
            raise _invalid_format(template)
        else:
            parts.append(char)
            index += 1
    return "".join(parts)


def _invalid_format(template: str) -> ExpressionError:
    return ExpressionError(f"The following format string is invalid: '{template}'")


def _placeholder(template: str, start: int) -> tuple[int, str, int]:
    """Argument, specifier and where the template goes on, of the placeholder that begins at `start`."""
    index = start + 1
    while template[index : index + 1].isascii() and template[index : index + 1].isdigit():
        index += 1
    digits = template[start + 1 : index]
    if not digits or len(digits) > 3 or int(digits) > 255:  # the service reads one byte
        raise _invalid_format(template)
    if template[index : index + 1] == "}":
        return int(digits), "", index + 1
    if template[index : index + 1] != ":":
        raise _invalid_format(template)
    specifier = ""
    index += 1
    while index < len(template):
        if template[index] != "}":
            specifier += template[index]
        elif template[index + 1 : index + 2] == "}":
            specifier += "}"
            index += 1
        else:
            return int(digits), specifier, index + 1
        index += 1
    raise _invalid_format(template)


_TIME = {
    "yyyy": "%Y", "yy": "%y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S",
}  # fmt: skip
_SHORT_TIME = {"M": "%m", "d": "%d", "H": "%H", "m": "%M", "s": "%S"}  # as above without the 0 at the beginning


def format_time(value: object, specifiers: str) -> str:
    """A date in the service's date format, e.g. `yyyyMMdd`. Raises ExpressionError for other formats and values."""
    if not isinstance(value, datetime):
        raise ExpressionError(
            f"The format specifiers '{specifiers}' are not valid for objects of type '{values.kind(value)}'"
        )
    result = ""
    index = 0
    while index < len(specifiers):
        char = specifiers[index]
        if char == "\\" and index + 1 < len(specifiers):
            result += specifiers[index + 1]
            index += 2
            continue
        end = index
        while end < len(specifiers) and specifiers[end] == char:
            end += 1
        run = specifiers[index:end]
        if run in _TIME:
            result += value.strftime(_TIME[run]).zfill(len(run))
        elif run in _SHORT_TIME:
            result += str(int(value.strftime(_SHORT_TIME[run])))
        elif char == "f" and len(run) <= 7:
            result += f"{value.microsecond:06}0"[: len(run)]
        elif run in {"zzz", "K"}:
            offset = value.strftime("%z") or "+0000"
            result += f"{offset[:3]}:{offset[3:5]}"
        elif char == " ":
            result += run
        else:
            raise ExpressionError(f"The format specifiers '{specifiers}' are not valid for objects of type 'DateTime'")
        index = end
    return result


GENERAL: dict[str, tuple[Arity, Function]] = {
    "and": (Arity(2, None), _all),
    "coalesce": (Arity(2, None), _coalesce),
    "contains": (Arity(2, 2), _of_texts(values.contains)),
    "containsvalue": (Arity(2, 2), _contains_value),
    "converttojson": (Arity(1, 1), lambda arguments: to_json(arguments[0]())),
    "endswith": (Arity(2, 2), _of_texts(values.ends)),
    "eq": (Arity(2, 2), lambda arguments: values.equal(arguments[0](), arguments[1]())),
    "format": (Arity(1, None), lambda arguments: format_text(values.to_text(arguments[0]()), arguments[1:])),
    "ge": (Arity(2, 2), _compared(lambda order: order >= 0)),
    "gt": (Arity(2, 2), _compared(lambda order: order > 0)),
    "iif": (Arity(3, 3), _iif),
    "in": (Arity(2, None), _in),
    "join": (Arity(2, 2), _join),
    "le": (Arity(2, 2), _compared(lambda order: order <= 0)),
    "length": (Arity(1, 1), _length),
    "lower": (Arity(1, 1), _of_texts(str.lower)),
    "lt": (Arity(2, 2), _compared(lambda order: order < 0)),
    "ne": (Arity(2, 2), lambda arguments: not values.equal(arguments[0](), arguments[1]())),
    "not": (Arity(1, 1), lambda arguments: not values.to_boolean(arguments[0]())),
    "notin": (Arity(2, None), lambda arguments: not _in(arguments)),
    "or": (Arity(2, None), _any),
    "replace": (Arity(3, 3), _replace),
    "split": (Arity(2, 2), _split),
    "startswith": (Arity(2, 2), _of_texts(values.starts)),
    "trim": (Arity(1, 1), _of_texts(str.strip)),
    "upper": (Arity(1, 1), _of_texts(str.upper)),
    "xor": (Arity(2, 2), _xor),
}

"""Typed reading of nested configuration that collects every mistake instead of stopping at the first.

A reader always returns a value of the promised type; where the configuration is wrong it notes a problem and returns
the default, so that the rest can be read and reported too. The caller raises once, at the end.
"""

import difflib
import json
import re
import shlex
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from components.settings_merge import Placed

NAMESPACE = "databricks-cicd"


class Encrypted:
    """Stands for a value that is encrypted in the stack file. No setting is a secret, and none is ever shown."""

    def __repr__(self) -> str:
        return "[secret]"


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One mistake: the key, the value found, what is allowed, and what to do."""

    key: str
    found: str
    allowed: str
    remedy: str

    def __str__(self) -> str:
        lines = [self.key]
        for title, text in (("found", self.found), ("allowed", self.allowed), ("remedy", self.remedy)):
            head = f"     {title + ':':<9}"
            lines.append(head + text.strip("\n").replace("\n", "\n" + " " * len(head)))
        return "\n".join(lines)


class SettingsError(Exception):
    """The stack's settings have mistakes: all of them are in `problems` and in the message."""

    def __init__(self, stack: str, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = "a mistake" if len(self.problems) == 1 else f"{len(self.problems)} mistakes"
        blocks = (f"{number:>2}. {problem}" for number, problem in enumerate(self.problems, 1))
        message = f"The settings of stack '{stack}' have {count}. Nothing was created or changed.\n\n"
        message += "\n\n".join(blocks)
        # Half a surrogate pair can stand in a value and couldn't be printed.
        super().__init__(message.encode("utf-8", "backslashreplace").decode())


def matches(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    """A check that the whole string matches."""
    return lambda text: pattern.fullmatch(text) is not None


def describe(value: object) -> str:
    """The value as a reader of the stack file would recognise it, with its type where that could be the mistake."""
    if value is None:
        return "nothing (the key is there without a value)"
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    if isinstance(value, Encrypted):
        return "an encrypted value (not shown)"
    text = json.dumps(value, ensure_ascii=False, default=repr)
    text = text if len(text) <= 200 else text[:200] + "..."
    if isinstance(value, Mapping):
        return f"{text} (a mapping)"
    return f"{text} (a list)" if isinstance(value, list) else text


def as_text(value: object) -> str:
    """What somebody may have meant who wrote a number or true where a text belongs."""
    return value if isinstance(value, str) else json.dumps(value, default=repr)


def did_you_mean(found: str, known: Iterable[str]) -> str | None:
    """The known word that `found` was most likely meant to be."""
    by_lower = {word.lower(): word for word in known}
    abbreviated = [word for word in by_lower if len(found) >= 3 and word.startswith(found.lower())]
    close = abbreviated or difflib.get_close_matches(found.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[close[0]] if close else None


def one_of(options: Iterable[str]) -> str:
    """The options as a phrase."""
    return "one of " + ", ".join(options)


class Problems:
    """The mistakes of one stack's settings, and the words for their remedies.

    Args:
        stack: its short name.
        of_project: the settings that come from Pulumi.yaml. To set a part of one for the stack would replace the whole.
    """

    def __init__(self, stack: str, of_project: Collection[str] = ()) -> None:
        self.stack = stack
        self.of_project = of_project
        self.found: list[Problem] = []

    def add(self, key: str, *, found: object, allowed: str, remedy: str) -> None:
        """Note a mistake. `found` is the value itself, or a ready phrase where it is a `Phrase`."""
        words = str(found) if isinstance(found, Phrase) else describe(found)
        if all((each.key, each.found) != (key, words) for each in self.found):  # of a default each job would tell
            self.found.append(Problem(key=key, found=words, allowed=allowed, remedy=remedy))

    def file(self, path: str) -> str:
        """The file in which `path` stands, or should stand."""
        return "Pulumi.yaml" if path.partition(".")[0] in self.of_project else f"Pulumi.{self.stack}.yaml"

    def how_to_set(self, path: str, example: object) -> str:
        """The command or the YAML that sets `path`, with an example of a value."""
        head, _, rest = path.partition(".")
        of_project = head in self.of_project
        is_yaml = isinstance(example, Mapping | list) or (
            isinstance(example, str) and _looks_like_another_type(example)
        )
        if is_yaml or of_project:
            nested: object = example
            for part in reversed(rest.split(".") if rest else []):
                nested = {part: nested}
            config = {head: {"default": nested}} if of_project else {f"{NAMESPACE}:{head}": nested}
            text = yaml.safe_dump({"config": config}, sort_keys=False, allow_unicode=True)
            return f"write in {self.file(path)}, for example:\n{text}"
        value = json.dumps(example) if isinstance(example, bool) else shlex.quote(str(example))
        return f"pulumi config set --stack {self.stack} --path '{NAMESPACE}:{path}' {value}"

    def how_to_remove(self, path: str) -> str:
        """The command that takes `path` out of the stack file; in words where it stands in Pulumi.yaml."""
        if path.partition(".")[0] in self.of_project:
            return f"take {path} out of Pulumi.yaml"
        return f"pulumi config rm --stack {self.stack} --path '{NAMESPACE}:{path}'"


def _looks_like_another_type(text: str) -> bool:
    """Whether `pulumi config set --path` would store the text as a number or as true or false."""
    return text in ("true", "false") or re.fullmatch(r"-?\d+", text) is not None


class Phrase(str):
    """Words for "found" that are shown as they stand."""

    __slots__ = ()


class Section:
    """A mapping in the configuration. Ask it for its keys; `close` then reports those that nobody asked for."""

    def __init__(self, problems: Problems, path: str, value: object, remedy: str) -> None:
        self.problems = problems
        self.path = path
        self.asked: list[str] = []
        self.values: Mapping[Any, Any] = {}
        self._places: Mapping[Any, str] = value.places if isinstance(value, Placed) else {}
        self.is_mapping = isinstance(value, Mapping)
        if isinstance(value, Mapping):
            self.values = value
        elif isinstance(value, Encrypted):
            remedy = f"{problems.how_to_remove(path)}\nand set it without --secret (credentials: environment variables)"
            problems.add(f"{NAMESPACE}:{path}", found=value, allowed="readable values", remedy=remedy)
        else:
            problems.add(f"{NAMESPACE}:{path}", found=value, allowed="a mapping of keys", remedy=remedy)

    def key(self, name: str) -> str:
        """The full key of `name`, as Pulumi writes it."""
        return f"{NAMESPACE}:{self.at(name)}"

    def at(self, name: str) -> str:
        """The path of `name` below the namespace, where it was written. An item of a list is `name[0]`."""
        for key, rest in ((name, ""), (name.partition("[")[0], name[len(name.partition("[")[0]) :])):
            if key in self._places:
                return self._places[key] + rest
        return f"{self.path}.{name}" if self.path else name

    def has(self, name: str) -> bool:
        """Whether the key is there at all."""
        self.asked.append(name)
        return name in self.values

    def refuse(
        self, name: str, *, allowed: str, example: object = None, found: object = None, remedy: str = ""
    ) -> None:
        """Note that the value of `name` is wrong. Give an example of a right one, or the remedy in words."""
        if not self.is_mapping:
            return  # that is the mistake, and has been noted
        value = self.values.get(name) if found is None else found
        self.problems.add(self.key(name), found=value, allowed=allowed, remedy=remedy or self._set(name, example))

    def _set(self, name: str, example: object) -> str:
        return self.problems.how_to_set(self.at(name), example)

    def missing(self, name: str, *, allowed: str, example: object) -> None:
        """Note that a required key isn't there."""
        if not self.is_mapping:
            return  # that is the mistake, and has been noted
        self.problems.add(
            self.key(name),
            found=Phrase("nothing (the key is missing)"),
            allowed=allowed,
            remedy=self._set(name, example),
        )

    def text(
        self,
        name: str,
        *,
        default: str | None = None,
        allowed: str,
        example: str,
        check: Callable[[str], bool] = bool,
    ) -> str:
        """A string that passes `check`. Without a default the key is required."""
        if not self.has(name):
            if default is None:
                self.missing(name, allowed=allowed, example=example)
            return default or ""
        value = self.values[name]
        if isinstance(value, str) and is_printable(value) and check(value):
            return value
        self.refuse(name, allowed=allowed, example=example)
        return default or ""

    def optional(self, name: str, *, allowed: str, example: str, check: Callable[[str], bool] = bool) -> str | None:
        """A string that may be left out."""
        return self.text(name, allowed=allowed, example=example, check=check) or None if self.has(name) else None

    def choice(
        self, name: str, options: Sequence[str], *, default: str | None = None, example: str | None = None
    ) -> str:
        """One of a few words."""
        if not self.has(name):
            if default is None:
                self.missing(name, allowed=one_of(options), example=example or options[0])
            return default or options[0]
        value = self.values[name]
        if isinstance(value, str) and value in options:
            return value
        guess = did_you_mean(value, options) if isinstance(value, str) else None
        self.refuse(name, allowed=one_of(options), example=guess or example or default or options[0])
        return default or options[0]

    def number(self, name: str, *, default: int, least: int, most: int, unit: str = "") -> int:
        """A whole number within bounds."""
        if not self.has(name):
            return default
        value = self.values[name]
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        of_unit = f" of {unit}" if unit else ""
        self.refuse(name, allowed=f"a whole number{of_unit} from {least} to {most}", example=default)
        return default

    def flag(self, name: str, *, default: bool) -> bool:
        """true or false."""
        if not self.has(name):
            return default
        value = self.values[name]
        if isinstance(value, bool):
            return value
        self.refuse(name, allowed="true or false", example=default)
        return default

    def items(self, name: str, *, allowed: str, example: list[Any]) -> list[Any]:
        """A list of anything; [] where the key is missing."""
        if not self.has(name):
            return []
        value = self.values[name]
        if isinstance(value, list):
            return value
        self.refuse(name, allowed=allowed, example=example)
        return []

    def texts(
        self, name: str, *, allowed: str, example: list[str], check: Callable[[str], bool] = bool, fold: bool = False
    ) -> tuple[str, ...]:
        """A list of strings of which each passes `check` and none stands twice (`fold`: also not in other case)."""
        taken: dict[str, str] = {}
        for index, value in enumerate(self.items(name, allowed=allowed, example=example)):
            at = f"{name}[{index}]"
            if not (isinstance(value, str) and is_printable(value) and check(value)):
                self.refuse(at, found=describe_item(value), allowed=allowed, example=example[0])
                continue
            same = taken.setdefault(value.casefold() if fold else value, at)
            if same != at:
                found = Phrase(f"{describe(value)}, which already stands at {self.at(same)}")
                self.refuse(at, found=found, allowed="each only once", remedy=self.problems.how_to_remove(self.at(at)))
        return tuple(value for value in self.values.get(name, ()) if isinstance(value, str)) if taken else ()

    def section(self, name: str, example: Mapping[str, Any]) -> "Section":
        """A mapping; an empty one where the key is missing."""
        value = self.values[name] if self.has(name) else {}
        return Section(self.problems, self.at(name), value, self._set(name, example))

    def sections(self, name: str, *, allowed: str, example: list[Any]) -> list["Section"]:
        """A list of mappings."""
        return [
            Section(self.problems, f"{self.at(name)}[{index}]", value, self._set(name, example))
            for index, value in enumerate(self.items(name, allowed=allowed, example=example))
        ]

    def close(self) -> None:
        """Report the keys that nobody asked for."""
        for name in self.values:
            if name not in self.asked:
                self._unknown(name)

    def _unknown(self, name: object) -> None:
        known = list(dict.fromkeys(self.asked))
        shown = str(name)
        guess = did_you_mean(shown, known)
        value = describe(self.values[name])
        if guess is not None:
            remedy = f"did you mean '{guess}'? Rename the key in {self.problems.file(self.at(shown))}"
        elif not self.path and "." in shown and shown.partition(".")[0] in known:
            # `pulumi config set gate.timeoutHours 72` without --path makes one key with a dot in it.
            remedy = (
                f"pulumi config rm --stack {self.problems.stack} '{NAMESPACE}:{shown}'\n"
                f"and set it with --path: {self.problems.how_to_set(shown, self.values[name])}"
            )
        else:
            remedy = self.problems.how_to_remove(self.at(shown))
        found = Phrase(f"an unknown key '{shown}' with the value {value}")
        self.problems.add(self.key(shown), found=found, allowed=one_of(known), remedy=remedy)


def describe_item(value: object) -> Phrase:
    """`describe`, ready for a problem of a list's item (where the item itself may be None)."""
    return Phrase(describe(value))


def is_printable(text: str) -> bool:
    """No control characters but line ends and tabs, and no half of a surrogate pair."""
    return not re.search(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]", text)

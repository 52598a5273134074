"""The syntax of expressions: text becomes a tree.

https://learn.microsoft.com/azure/devops/pipelines/process/expressions: literals, names with `.name` and `[index]`, `*`,
function calls; no operators and no parentheses but those of a call. Errors have the service's words and offsets.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from rehearsal.agent.language.errors import ExpressionError
from rehearsal.agent.language.values import Version, parse_number

MAX_DEPTH = 50  # levels of calls, the innermost value included; beyond it the service refuses
_PUNCTUATION = "()[],*"
_NUMBER = re.compile(r"-?([0-9]+\.?[0-9]*|\.[0-9]+)\Z")
_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+(\.[0-9]+)?\Z")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


@dataclass(frozen=True, slots=True)
class Literal:
    """A value that stands in the expression."""

    value: object


@dataclass(frozen=True, slots=True)
class Name:
    """A context such as `variables`, or a variable of `each`."""

    name: str


@dataclass(frozen=True, slots=True)
class Index:
    """`target[key]` and `target.key`; with `key` None the filter `*`."""

    target: "Tree"
    key: "Tree | None"


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its arguments."""

    function: str
    arguments: "tuple[Tree, ...]"


Tree: TypeAlias = Literal | Name | Index | Call


@dataclass(frozen=True, slots=True)
class Arity:
    """How many arguments a function takes; `most` None means any number."""

    least: int
    most: int | None


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What may be named in a place: contexts, and functions with the number of their arguments. Lower case."""

    names: frozenset[str]
    functions: Mapping[str, Arity]


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # punctuation itself, "literal", "name", "property", "unreadable" or "end"
    text: str
    offset: int
    value: object = None


def parse(expression: str, vocabulary: Vocabulary) -> Tree:
    """Reads an expression.

    Raises ExpressionError with an offset for what can't be read, and for a function or context that isn't in the
    vocabulary of this place. An unknown name is told only when the rest can be read, as by the service.
    """
    expression = expression.strip()
    if not expression:
        raise ExpressionError("An expression was expected")
    parser = _Parser(expression, vocabulary)
    tree = parser.operand(1)
    parser.expect("end")
    if parser.unknown:
        raise parser.unknown[0]
    return tree


def _tokens(text: str) -> Iterator[_Token]:
    index, previous = 0, ""
    while index < len(text):
        char = text[index]
        if char.isspace():
            index += 1
            continue
        start = index
        if char == "." and previous in {")", "]", "*", "name", "property"}:
            yield _Token(".", char, start + 1)
            index, previous = index + 1, "."
            continue
        if char in _PUNCTUATION:
            yield _Token(char, char, start + 1)
            index, previous = index + 1, char
            continue
        if char == "'":
            token = _string(text, start)
            index = start + len(token.text)
        else:
            stop = "" if char.isdigit() or char in "-." else "."  # the dots of a number belong to it
            while index < len(text) and not text[index].isspace() and text[index] not in _PUNCTUATION + stop:
                index += 1
            token = _word(text[start:index], start + 1, after_dot=previous == ".")
        yield token
        previous = token.kind
    yield _Token("end", "", len(text) + 1)


def _string(text: str, start: int) -> _Token:
    index, parts = start + 1, []
    while (end := text.find("'", index)) >= 0:
        parts.append(text[index:end])
        if text[end + 1 : end + 2] != "'":
            return _Token("literal", text[start : end + 1], start + 1, "'".join(parts))
        index = end + 2
    return _Token("unreadable", text[start:], start + 1)


def _word(word: str, offset: int, *, after_dot: bool) -> _Token:
    if after_dot:
        return _Token("property" if _NAME.match(word) else "unreadable", word, offset)
    if word[0].isdigit() or word[0] in "-.":
        number = parse_number(word) if _NUMBER.match(word) else None
        value = Version.parse(word) if _VERSION.match(word) else number
        return _Token("unreadable" if value is None else "literal", word, offset, value)
    if word.lower() in {"true", "false"}:
        return _Token("literal", word, offset, word.lower() == "true")
    return _Token("name", word, offset)


class _Parser:
    """A primary and what follows it; there is nothing else in this language."""

    def __init__(self, expression: str, vocabulary: Vocabulary) -> None:
        self._expression = expression
        self._vocabulary = vocabulary
        self._pairs = pairwise([*_tokens(expression), _Token("end", "", len(expression) + 1)])
        self._token, self._next = next(self._pairs)
        self.unknown: list[ExpressionError] = []

    def _fail(self, message: str, token: _Token) -> ExpressionError:
        return ExpressionError(message, self._expression, token.offset)

    def _advance(self) -> _Token:
        token = self._token
        self._token, self._next = next(self._pairs, (self._next, self._next))
        return token

    def expect(self, kind: str) -> None:
        if self._token.kind != kind:
            raise self._fail(f"Unexpected symbol: '{self._token.text}'", self._token)
        self._advance()

    def operand(self, depth: int) -> Tree:
        if depth > MAX_DEPTH:
            raise ExpressionError(f"Exceeded max expression depth {MAX_DEPTH}")
        token = self._advance()
        if token.kind == "end":
            raise self._fail("An expression was expected", token)
        if token.kind == "unreadable":
            raise self._fail(f"Unrecognized value: '{token.text}'", token)
        if token.kind == "literal":
            return Literal(token.value)
        if token.kind != "name":
            raise self._fail(f"Unexpected symbol: '{token.text}'", token)
        return self._postfix(self._call(token, depth) if self._token.kind == "(" else self._name(token), depth)

    def _name(self, token: _Token) -> Tree:
        name = token.text.lower()
        if name in self._vocabulary.functions:
            self.unknown.append(self._fail(f"Expected '(' to follow a function: '{token.text}'", token))
        elif name not in self._vocabulary.names:
            self.unknown.append(self._fail(f"Unrecognized value: '{token.text}'", token))
        return Name(name)

    def _call(self, token: _Token, depth: int) -> Tree:
        self._advance()
        arity = self._vocabulary.functions.get(token.text.lower())
        if arity is None:
            self.unknown.append(self._fail(f"Unrecognized value: '{token.text}'", token))
            arity = Arity(0, None)
        arguments: list[Tree] = []
        while self._token.kind != ")" or (arguments and len(arguments) < arity.least):
            if self._token.kind == "end":
                raise self._fail(f"Unclosed function: '{token.text}'", token)
            if arguments:
                if arity.most is not None and len(arguments) >= arity.most:
                    raise self._fail(f"Unexpected symbol: '{self._token.text}'", self._token)
                self.expect(",")
                if self._token.kind == "end":
                    raise self._fail(f"Unclosed function: '{token.text}'", token)
            elif arity.most == 0:
                raise self._fail(f"Unexpected symbol: '{self._token.text}'", self._token)
            arguments.append(self.operand(depth + 1))
        if len(arguments) < arity.least:
            raise self._fail(f"Unexpected symbol: '{self._token.text}'", self._token)
        self._advance()
        return Call(token.text.lower(), tuple(arguments))

    def _postfix(self, target: Tree, depth: int) -> Tree:
        while self._token.kind in {".", "["}:
            opening = self._advance()
            token = self._token
            if opening.kind == "[":
                target = Index(target, self._index(depth))
                if self._token.kind == "end":
                    raise self._fail("Unclosed indexer: '['", opening)
                self.expect("]")
            elif token.kind == "end":
                message = "Expected a property name to follow the dereference operator '.': '.'"
                raise self._fail(message, opening)
            elif token.kind in {"property", "*"}:
                self._advance()
                target = Index(target, Literal(token.text) if token.kind == "property" else None)
            else:
                raise self._fail(f"Unexpected symbol: '{token.text}'", token)
        return target

    def _index(self, depth: int) -> Tree | None:
        if self._token.kind == "*":
            self._advance()
            return None
        return self.operand(depth + 1)

"""Runs the Python cells of a notebook, all in one namespace, which is the module `__main__`.

Errors show the cells' own lines and none of the runner's frames.
"""

import __future__

import ast
import linecache
import sys
import traceback
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rehearsal.compute.notebook.errors import UnsupportedError

_OWN = str(Path(__file__).parent)
_SPARK_NAMES = frozenset({"spark", "sc"})


class Python:
    """The namespace.

    Args:
        names: what every notebook finds in it.
        attach: called once, before the first code that names `spark` or `sc` or imports `pyspark`; gives further names.
            Code of packages that makes its own session without the notebook naming one isn't seen.
        show: shows the value of a cell's last expression.
    """

    def __init__(
        self, names: dict[str, Any], attach: Callable[[], dict[str, Any]], show: Callable[[Any], None]
    ) -> None:
        self._names = names
        self._attach = attach
        self._show = show
        self._flags = 0
        self._module = types.ModuleType("__main__")
        self.clear()

    def clear(self) -> None:
        """A namespace as at the beginning. Modules that are imported already stay so."""
        self._module.__dict__.clear()
        self._module.__dict__.update(__name__="__main__", __builtins__=__builtins__, __doc__=None, **self._names)
        self._flags = 0
        sys.modules["__main__"] = self._module

    def add(self, names: dict[str, Any]) -> None:
        """Puts further names into the namespace, for good."""
        self._names.update(names)
        self._module.__dict__.update(names)

    def run(self, source: str, name: str) -> None:
        """Runs a cell and shows the value of its last expression.

        Args:
            source: the cell.
            name: how errors call it.

        Raises:
            UnsupportedError: it has `await` outside of a function.
            BaseException: whatever the cell raises.
        """
        lines = source.splitlines(keepends=True)
        # Without a time of change the cache keeps the lines for good: see linecache.checkcache.
        linecache.cache[name] = (len(source), None, lines, name)
        tree = ast.parse(source, name)
        if not tree.body:
            return
        last = tree.body[-1]
        shown = isinstance(last, ast.Expr) and not source.rstrip().endswith(";")
        if shown:
            tree.body.pop()
        codes = [self._compile(tree, name, "exec")]
        if shown and isinstance(last, ast.Expr):
            codes.append(self._compile(ast.Expression(last.value), name, "eval"))
        if any(_names_spark(code) for code in codes):
            self.add(self._attach())
        exec(codes[0], self._module.__dict__)  # noqa: S102 - to run code is what it is for
        if len(codes) > 1:
            value = eval(codes[1], self._module.__dict__)  # noqa: S307 - likewise
            if value is not None:
                self._module.__dict__["_"] = value
                self._show(value)

    def _compile(self, tree: ast.Module | ast.Expression, name: str, mode: str) -> types.CodeType:
        try:
            code: types.CodeType = compile(tree, name, mode, flags=self._flags, dont_inherit=True)
        except SyntaxError as error:
            if "await" in error.msg or "asynchronous" in error.msg:
                raise UnsupportedError("the rehearsal does not know `await` outside of a function") from error
            raise
        for feature in __future__.all_feature_names:
            # What a cell imports from __future__ holds for later cells too.
            self._flags |= code.co_flags & getattr(__future__, feature).compiler_flag
        return code


def _names_spark(code: types.CodeType) -> bool:
    return any(name in _SPARK_NAMES or name.partition(".")[0] == "pyspark" for name in _all_names(code))


def _all_names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _all_names(constant)


def one_line(error: BaseException, redact: Callable[[str], str] = str) -> str:
    """The error in a line, without where it happened: its class and the first line of what it says."""
    # A secret may have several lines, so it goes first.
    lines = redact(str(error)).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def trace(error: BaseException) -> str:
    """The error as Python prints it, with the frames of the notebook and of what it calls."""
    found = traceback.TracebackException.from_exception(error)
    _without_own(found)
    return "".join(found.format())


def _without_own(found: traceback.TracebackException) -> None:
    found.stack = traceback.StackSummary.from_list([frame for frame in found.stack if not _is_own(frame.filename)])
    for other in (found.__cause__, found.__context__, *(found.exceptions or ())):
        if other is not None:
            _without_own(other)


def _is_own(filename: str) -> bool:
    return filename.startswith(_OWN)

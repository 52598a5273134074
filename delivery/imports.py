"""Whether the program in an artifact finds what it imports.

A release that lacks a module of the repository fails when it is deployed: after the merge, for everybody. So such a
commit is refused when it is packaged, which is in the pull request.
"""

import ast
from collections.abc import Collection, Iterator, Mapping

from delivery.console import Mistake


def lacking(program: Mapping[str, bytes], commit: Collection[str]) -> list[Mistake]:
    """The imports of modules that the commit has and the artifact hasn't, and files that aren't valid Python.

    Args:
        program: the contents of the artifact's Python files that run the deployment, by path.
        commit: the paths of all files of the commit.
    """
    mistakes = []
    for path, content in program.items():
        try:
            tree = ast.parse(content)
        except (SyntaxError, ValueError) as error:
            mistakes.append(Mistake(key=path, found=f"not valid Python ({error})", remedy="correct it"))
            continue
        for name in sorted(set(_imported(tree))):
            files = [f"{name.replace('.', '/')}{end}" for end in (".py", "/__init__.py")]
            found = [file for file in files if file in commit]
            if found and not any(file in program for file in found):
                remedy = "move it into components/, or to the top of the project"
                told = f"it imports {name}, and {found[0]} is not in the artifact"
                mistakes.append(Mistake(key=path, found=told, remedy=remedy))
    return mistakes


def _imported(tree: ast.AST) -> Iterator[str]:
    """Names that may be modules: of `from a import b` both `a` and `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)

"""What a command's module and the command line agree upon."""

import argparse
from collections.abc import Callable
from typing import Protocol, TypeAlias

Command: TypeAlias = Callable[[argparse.Namespace], int]
"""Takes the options, and gives the exit code."""


class Add(Protocol):
    """Adds a command to the command line; its own options are added to what this gives."""

    def __call__(self, name: str, command: Command, help_text: str, text: str, codes: str) -> argparse.ArgumentParser:
        """Adds.

        Args:
            name: as it is typed.
            command: what it does.
            help_text: a few words, for the list of commands.
            text: what it does, for its own help.
            codes: the exit codes, one a line.
        """
        ...

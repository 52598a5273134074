"""Refuses an old Python in words. To be imported first: the other modules would fail in it with a stack trace."""

import sys

OLDEST = (3, 11)

if sys.version_info < OLDEST:
    sys.stderr.write(f"error: {sys.executable} is too old: use Python 3.11 or newer (in a pipeline UsePythonVersion)\n")
    sys.exit(2)

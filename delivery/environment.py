"""The environment as a command sees it. Nothing but the standard library: `venv` and `verify` need it too."""

import re
from collections.abc import Mapping

_MACRO = re.compile(r"\$\(([^()$]+)\)")


def cleaned(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables, without those whose value is their own unresolved macro.

    A step of a pipeline hands a variable on as `DATABRICKS_TOKEN: $(DATABRICKS_TOKEN)`. Where the pipeline has no such
    variable, Azure leaves the text as it stands
    (https://learn.microsoft.com/azure/devops/pipelines/process/variables#understand-variable-syntax), and a client
    would sign in with that text. So such a variable counts as absent. An empty one stays: an empty passphrase is one.
    """
    return {name: value for name, value in environment.items() if not _is_own_macro(name, value)}


def _is_own_macro(name: str, value: str) -> bool:
    # The agent turns the dots and spaces of a variable's name into underscores, and all letters into capitals.
    macro = _MACRO.fullmatch(value.strip())
    return macro is not None and re.sub(r"[. ]", "_", macro[1].strip()).upper() == name.upper()

"""Debug messages of the SDK go only to whom they help: with four for each resource, the program waits for them."""

import os
from collections.abc import Mapping

import pulumi

VARIABLE = "DATABRICKS_CICD_DEBUG"


def drop_debug_messages(environment: Mapping[str, str] = os.environ) -> None:
    """Drops the SDK's debug messages, unless the variable DATABRICKS_CICD_DEBUG is set.

    Each is a call of the engine that holds up the event loop until it is answered, and the engine shows none of them
    without `--debug`. It doesn't tell the program whether that was given, hence a variable: to see them, run
    `DATABRICKS_CICD_DEBUG=true pulumi up --debug`. Messages of all other levels and those of the providers stay.

    Args:
        environment: the process's variables.

    Source: https://www.pulumi.com/docs/iac/concepts/logging/
    """
    if not environment.get(VARIABLE):
        pulumi.log.debug = _drop


def _drop(msg: str, *_: object, **__: object) -> None:
    """Takes the arguments of `pulumi.log.debug`."""

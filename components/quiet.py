"""What the SDK tells the engine beside the resources is left out where it costs time and helps nobody."""

import os
from collections.abc import Mapping

import pulumi
from pulumi.runtime import resource
from pulumi.runtime.proto import source_pb2

VARIABLE = "DATABRICKS_CICD_DEBUG"


def be_quiet(environment: Mapping[str, str] = os.environ) -> None:
    """Drops the SDK's debug messages and stack traces, unless the variable DATABRICKS_CICD_DEBUG is set.

    Each debug message, four for each resource, is a call of the engine that holds up the event loop until it is
    answered, and the engine shows none of them without `--debug`. It doesn't tell the program whether that was given,
    hence a variable: to see them, run `DATABRICKS_CICD_DEBUG=true pulumi up --debug`. Messages of all other levels and
    those of the providers stay.

    The stack trace of each resource, down to the files of Python itself, would be nearly half of the state, which the
    engine writes anew after each step. It would also bring the paths of this machine into it.

    Args:
        environment: the process's variables.

    Sources: https://www.pulumi.com/docs/iac/concepts/logging/,
    https://github.com/pulumi/pulumi/blob/v3.259.0/sdk/python/lib/pulumi/runtime/resource.py
    """
    if not environment.get(VARIABLE):
        pulumi.log.debug = _drop
        resource._get_stack_trace = source_pb2.StackTrace


def _drop(msg: str, *_: object, **__: object) -> None:
    """Takes the arguments of `pulumi.log.debug`."""

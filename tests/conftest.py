"""What holds for all tests: nothing of the developer's own environment reaches them."""

import os

# Addresses and credentials of real organisations; and git's variables, which are set while a git hook runs the tests.
FOREIGN = ("AZDO_", "ARM_", "DATABRICKS_", "GIT_", "PULUMI_")


def pytest_configure() -> None:
    """Forgets such variables before the first fixture runs; those that a test needs it sets itself."""
    for name in list(os.environ):
        if name.startswith(FOREIGN):
            del os.environ[name]

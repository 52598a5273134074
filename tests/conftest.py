"""What holds for all tests: nothing of the developer's own environment reaches them."""

import os
import tempfile

import pytest

# Addresses and credentials of real organisations; and git's variables, which are set while a git hook runs the tests.
FOREIGN = ("AZDO_", "ARM_", "DATABRICKS_", "GIT_", "PULUMI_")


# The files that take minutes: begun last they would keep one worker busy while the others have nothing to do.
LONG = (
    "tests/tour/",
    "tests/rehearsal/test_jobs_of_the_release.py",
    "tests/engine/",
    "tests/rehearsal/databricks/test_runs_on_spark.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the tests of long files first; the order of all others stays."""
    items.sort(key=lambda item: next((at for at, path in enumerate(LONG) if item.nodeid.startswith(path)), len(LONG)))


def pytest_configure(config: pytest.Config) -> None:
    """Forgets such variables before the first fixture runs; those that a test needs it sets itself.

    Microsoft's client keeps on disk which addresses it found at a URL. A stand-in's port is another one's next time:
    what an earlier run left there would be asked for in this one, so each process begins with an empty folder.
    """
    for name in list(os.environ):
        if name.startswith(FOREIGN):
            del os.environ[name]
    cache = tempfile.TemporaryDirectory(prefix="azure-devops-client-")
    config.add_cleanup(cache.cleanup)
    os.environ["AZURE_DEVOPS_CACHE_DIR"] = cache.name

"""The SDKs as the program imports them: the very classes of the plain packages, without their long start."""

import subprocess
import sys

import pytest

from components.sdk import databricks
from tests.components.conftest import ROOT


def python(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_name_gives_the_class_of_the_plain_package_and_the_package_is_not_run() -> None:
    # The plain package and ours can't be in one process under the same name, so the classes are compared by what they
    # are: defined in the same module of the same file, with the same inputs.
    code = """
import inspect, sys
{imported}
for name in ("Notebook", "WorkspaceFile", "Directory", "Permissions", "Job", "Provider", "JobTaskArgs",
             "PermissionsAccessControlArgs", "JobTaskNotebookTaskArgs", "get_current_user"):
    found = getattr(databricks, name)
    print(name, found.__module__, found.__qualname__, inspect.getsourcefile(found), type(found).__name__)
print("modules", sum(name.startswith("pulumi_databricks.") for name in sys.modules))
"""
    ours = python(code.format(imported="from components.sdk import databricks")).splitlines()
    plain = python(code.format(imported="import pulumi_databricks as databricks")).splitlines()

    assert ours[:-1] == plain[:-1]
    assert len(ours) == 11
    assert int(ours[-1].split()[1]) < 20 < int(plain[-1].split()[1])


def test_the_functions_that_return_outputs_are_found_beside_the_others_and_neither_package_is_run() -> None:
    code = """
import sys
from components.sdk import azuredevops
print(azuredevops.get_git_repository_output.__module__, azuredevops.GitInitializationArgs.__module__)
print(sum(name.startswith("pulumi_azuredevops.") for name in sys.modules) < 10)
"""
    assert python(code).split() == ["pulumi_azuredevops.get_git_repository", "pulumi_azuredevops._inputs", "True"]


def test_the_search_for_garbage_goes_on_after_an_import_and_leaves_the_types_out() -> None:
    code = """
import gc
from components.sdk import databricks
databricks.Notebook
print(gc.isenabled(), gc.get_freeze_count() > 50_000)
"""
    assert python(code) == "True True\n"


def test_a_plain_import_after_ours_gives_the_same_classes() -> None:
    code = """
from components.sdk import databricks
import pulumi_databricks as plain
from pulumi_databricks import Notebook
from pulumi_databricks.notebook import Notebook as defined
print(plain is databricks, Notebook is databricks.Notebook is defined)
"""
    assert python(code) == "True True\n"


def test_a_function_stays_a_function_when_it_is_asked_for_again() -> None:
    assert callable(databricks.get_current_user)
    assert callable(databricks.get_current_user)


@pytest.mark.parametrize("name", ["Notebok", "no_such_thing", "_private", "__path_of_something__"])
def test_an_unknown_name_is_an_attribute_error(name: str) -> None:
    with pytest.raises(AttributeError, match=name):
        getattr(databricks, name)

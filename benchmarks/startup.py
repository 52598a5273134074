"""What the program takes to start: its own modules, the SDKs, and every class of them that it uses at each start."""

import sys

from benchmarks.measure import Cost, run
from tests.engine.system import ROOT

# The classes are named because the program imports the module of each at its first use.
PROGRAM = """
from components import control_plane, deployment_gate, folder_permissions, jobs, naming, notebooks, passing_faults
from components import providers, quiet, settings, workspace_folder
from components.sdk import azuredevops, databricks
for name in ("Provider", "Project", "ProjectPipelineSettings", "Git", "GitInitializationArgs", "Environment",
             "PipelineAuthorization", "Group", "GroupMembership", "CheckApproval", "CheckBranchControl",
             "CheckExclusiveLock", "get_projects", "get_identity_users", "get_user"):
    getattr(azuredevops, name)
for name in ("Provider", "Directory", "Notebook", "WorkspaceFile", "Permissions", "PermissionsAccessControlArgs",
             "get_current_user"):
    getattr(databricks, name)
"""
PLAIN = "import pulumi, pulumi_azuredevops, pulumi_databricks"
"""All that is loaded is loaded here at once."""


def program() -> Cost:
    """The start of the product's program."""
    return _start(PROGRAM)


def plain() -> Cost:
    """The imports alone, as everybody writes them."""
    return _start(PLAIN)


def _start(code: str) -> Cost:
    return run([sys.executable, "-c", code], ROOT, {"PYTHONPATH": str(ROOT)})

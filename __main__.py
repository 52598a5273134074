"""CI/CD of Databricks notebooks with Azure DevOps: settings, components, exports."""

import pulumi

from components import naming, quiet, settings
from components.control_plane import guards_are_left, own_control_plane, read_control_plane
from components.deployment_gate import DeploymentGate, DeploymentGateArgs
from components.folder_permissions import FolderPermissions, FolderPermissionsArgs
from components.jobs import Jobs, JobsArgs
from components.notebooks import Notebooks, NotebooksArgs
from components.passing_faults import repeat_after_passing_faults
from components.pipeline_variables import PipelineVariables, PipelineVariablesArgs
from components.providers import connect
from components.release_commit import release_commit
from components.workspace_folder import WorkspaceFolder, WorkspaceFolderArgs

quiet.be_quiet()
config = settings.load()
repeat_after_passing_faults(config.services.organization_url, config.services.azure_devops_attempts)
options = connect(config.services)
workspace, owner = config.workspace, config.control_plane

control_plane = own_control_plane(config, owner, options) if owner else read_control_plane(config)
gate_args = DeploymentGateArgs(
    project_id=control_plane.project_id,
    environment=config.environment,
    default_branch=control_plane.default_branch,
    release_pipeline_id=control_plane.release_pipeline_id,
    gate=config.gate,
    organization_url=config.services.organization_url,
    protect=workspace.protect,
)
gate = DeploymentGate("gate", gate_args, options)
variables_args = PipelineVariablesArgs(
    project_id=control_plane.project_id,
    purpose=config.environment,
    pipelines={"release": control_plane.release_pipeline_id, "drift": control_plane.drift_pipeline_id},
    only_from=control_plane.default_branch,
)
variables = PipelineVariables("variables", variables_args, options)
folder = WorkspaceFolder("folder", WorkspaceFolderArgs(folder=workspace.folder, protect=workspace.protect), options)
files = NotebooksArgs(
    directory=folder.directory, folder=workspace.folder, notebooks=config.notebooks, tests=config.tests
)
notebooks = Notebooks("notebooks", files, options)
guards = [] if guards_are_left() else [*control_plane.owned, gate, variables]
everything = [*guards, notebooks]
if config.jobs:
    jobs_args = JobsArgs(
        environment=config.environment,
        folder=workspace.folder,
        jobs=config.jobs,
        digest=notebooks.digest,
        commit=release_commit(config.notebooks.folder),
        workspace_host=config.services.workspace_host,
        after=notebooks,
    )
    everything.append(Jobs("jobs", jobs_args, options))
rights = FolderPermissionsArgs(path=folder.path, access=workspace.access, protect=workspace.protect, after=everything)
FolderPermissions("permissions", rights, options)

exports = {
    **control_plane.exports,
    "environment_id": gate.environment_id,
    "environment_url": gate.url,
    "folder": folder.path,
    "folder_url": naming.folder_url(config.services.workspace_host, workspace.folder),
    "notebooks": notebooks.count,
    "release_digest": notebooks.digest,
}
for name, value in exports.items():
    pulumi.export(name, value)

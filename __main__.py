"""CI/CD of Databricks notebooks with Azure DevOps: settings, components, exports."""

import pulumi

from components import naming, settings
from components.control_plane import own_control_plane, read_control_plane
from components.deployment_gate import DeploymentGate, DeploymentGateArgs
from components.jobs import Jobs, JobsArgs
from components.notebooks import Notebooks, NotebooksArgs
from components.passing_faults import repeat_after_passing_faults
from components.providers import connect
from components.workspace_folder import WorkspaceFolder, WorkspaceFolderArgs

config = settings.load()
for warning in config.warnings:
    pulumi.log.warn(warning)
repeat_after_passing_faults(config.services.organization_url, config.services.azure_devops_attempts)
options = connect(config.services)
if config.control_plane:
    control_plane = own_control_plane(config, config.control_plane, options)
else:
    control_plane = read_control_plane(config)

gate = DeploymentGate(
    "gate",
    DeploymentGateArgs(
        project_id=control_plane.project_id,
        environment=config.environment,
        default_branch=control_plane.default_branch,
        release_pipeline_id=control_plane.release_pipeline_id,
        gate=config.gate,
        organization_url=config.services.organization_url,
        protect=config.workspace.protect,
    ),
    options,
)
folder = WorkspaceFolder(
    "folder",
    WorkspaceFolderArgs(
        folder=config.workspace.folder, access=config.workspace.access, protect=config.workspace.protect
    ),
    options,
)
notebooks = Notebooks(
    "notebooks",
    NotebooksArgs(
        directory=folder.directory,
        folder=config.workspace.folder,
        source=config.notebooks.folder,
        release=config.notebooks.release,
    ),
    options,
)
Jobs(
    "jobs",
    JobsArgs(
        environment=config.environment,
        folder=config.workspace.folder,
        jobs=config.jobs,
        digest=notebooks.digest,
        after=notebooks,
    ),
    options,
)

for name, value in control_plane.exports.items():
    pulumi.export(name, value)
pulumi.export("environment_id", gate.environment_id)
pulumi.export("environment_url", gate.url)
pulumi.export("folder", folder.path)
pulumi.export("folder_url", naming.folder_url(config.services.workspace_host, config.workspace.folder))
pulumi.export("notebooks", notebooks.count)
pulumi.export("release_digest", notebooks.digest)

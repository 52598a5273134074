"""What the stack `prod` declares, written down in the most obvious way, with plain imports of the SDKs.

It deploys the notebooks in the folder that the setting `notebooks` names to the workspace folder `/plain`, and takes
project and pipeline from the stack `test` of the product.
"""

from pathlib import Path
from typing import Any

import pulumi
import pulumi_azuredevops as azuredevops
import pulumi_databricks as databricks

config = pulumi.Config()
control_plane = pulumi.StackReference("control-plane", stack_name="organization/databricks-cicd/test")
project_id = control_plane.require_output("project_id")

environment = azuredevops.Environment("environment", project_id=project_id, name="plain", description="plain")
azuredevops.PipelineAuthorization(
    "release-pipeline",
    project_id=project_id,
    type="environment",
    resource_id=environment.id,
    pipeline_id=control_plane.require_output("release_pipeline_id").apply(int),
)
group = azuredevops.Group("approvers", scope=project_id, display_name="Plain approvers", description="plain")
approvers = ("avery@rehearsal.example", "ari@rehearsal.example")
users = [azuredevops.get_identity_users(name=name, search_filter="MailAddress") for name in approvers]
azuredevops.GroupMembership(
    "approvers-members",
    group=group.descriptor,
    members=[user.subject_descriptor for user in users],
    mode="overwrite",
)
target: Any = {"project_id": project_id, "target_resource_type": "environment", "target_resource_id": environment.id}
azuredevops.CheckApproval("approval", **target, approvers=[group.origin_id])
azuredevops.CheckBranchControl("branch", **target, display_name="branch", allowed_branches="refs/heads/main")
azuredevops.CheckExclusiveLock("lock", **target)

top = databricks.Directory("folder", path="/plain", delete_recursive=True)
directories = {".": top}
local = Path(config.require("notebooks"))
for path in sorted(local.rglob("*")):
    name = path.relative_to(local)
    options = pulumi.ResourceOptions(depends_on=[directories[str(name.parent)]])
    if path.is_dir():
        directories[str(name)] = databricks.Directory(f"folder-{name}", path=f"/plain/{name}", opts=options)
    else:
        databricks.Notebook(
            f"notebook-{name}",
            path=f"/plain/{name.with_suffix('')}",
            source=str(path),
            language="PYTHON",
            format="SOURCE",
            opts=options,
        )
levels = {"data-engineers": "CAN_READ", "data-analysts": "CAN_RUN"}
databricks.Permissions(
    "access",
    directory_path=top.path,
    access_controls=[
        databricks.PermissionsAccessControlArgs(group_name=name, permission_level=level)
        for name, level in levels.items()
    ],
)

"""The jobs of a stack: which notebook runs when, as whom, and who hears of it."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components import naming
from components.folder_permissions import access_controls
from components.sdk import databricks
from components.settings_model import Job

SECONDS_PER_MINUTE = 60


@dataclass(frozen=True, kw_only=True)
class JobsArgs:
    """Arguments of `Jobs`.

    Args:
        environment: in the jobs' names, since both environments may be in one workspace.
        folder: the workspace folder with the notebooks.
        jobs: the jobs by key.
        digest: of the deployed files; shown as a tag, so that a run tells which release it ran.
        after: what must be deployed before a job may name it.
    """

    environment: str
    folder: str
    jobs: Mapping[str, Job]
    digest: str
    after: pulumi.Resource


class Jobs(pulumi.ComponentResource):
    """One Databricks job for each job of the settings, on serverless compute. They can't be edited in the workspace.

    Deliberately not managed: clusters, and runs that somebody starts by hand.

    Source: https://www.pulumi.com/registry/packages/databricks/api-docs/job/
    """

    def __init__(self, name: str, args: JobsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("databricks-cicd:databricks:Jobs", name, None, opts)
        for key, job in args.jobs.items():
            self._job(key, job, args)
        self.register_outputs({})

    def _job(self, key: str, job: Job, args: JobsArgs) -> None:
        resource = databricks.Job(
            naming.logical_name("job", key),
            name=naming.job(key, args.environment),
            tasks=[
                databricks.JobTaskArgs(
                    task_key=key,
                    notebook_task=databricks.JobTaskNotebookTaskArgs(
                        notebook_path=naming.workspace_path(args.folder, job.notebook),
                        base_parameters=dict(job.parameters),
                        source="WORKSPACE",
                    ),
                    max_retries=job.retries,
                    timeout_seconds=job.timeout_minutes * SECONDS_PER_MINUTE,
                )
            ],
            timeout_seconds=job.timeout_minutes * SECONDS_PER_MINUTE,
            max_concurrent_runs=1,
            queue=databricks.JobQueueArgs(enabled=True),
            edit_mode="UI_LOCKED",
            format="MULTI_TASK",
            tags={"environment": args.environment, "release": args.digest[: naming.SHORT_DIGEST]},
            run_as=_run_as(job),
            schedule=_schedule(job),
            health=_health(job),
            email_notifications=_notifications(job),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[args.after]),
        )
        if job.access:
            databricks.Permissions(
                naming.logical_name("job", key, "permissions"),
                job_id=resource.id,
                access_controls=access_controls(job.access),
                opts=pulumi.ResourceOptions(parent=self),
            )


def _run_as(job: Job) -> databricks.JobRunAsArgs | None:
    if job.run_as is None:
        return None
    if job.run_as.kind == "user":
        return databricks.JobRunAsArgs(user_name=job.run_as.name)
    return databricks.JobRunAsArgs(service_principal_name=job.run_as.name)


def _schedule(job: Job) -> databricks.JobScheduleArgs | None:
    if job.schedule is None:
        return None
    return databricks.JobScheduleArgs(
        quartz_cron_expression=job.schedule.cron,
        timezone_id=job.schedule.time_zone,
        pause_status="PAUSED" if job.schedule.paused else "UNPAUSED",
    )


def _health(job: Job) -> databricks.JobHealthArgs | None:
    if job.warn_after_minutes is None:
        return None
    rule = databricks.JobHealthRuleArgs(
        metric="RUN_DURATION_SECONDS", op="GREATER_THAN", value=job.warn_after_minutes * SECONDS_PER_MINUTE
    )
    return databricks.JobHealthArgs(rules=[rule])


def _notifications(job: Job) -> databricks.JobEmailNotificationsArgs | None:
    if not job.notify:
        return None
    return databricks.JobEmailNotificationsArgs(
        on_failures=list(job.notify),
        on_duration_warning_threshold_exceededs=list(job.notify) if job.warn_after_minutes else None,
        no_alert_for_skipped_runs=True,
    )

"""The jobs of a stack: which notebook runs when, as whom, and who hears of it."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components import naming
from components.doubled_jobs import against_doubled_jobs
from components.folder_permissions import access_controls
from components.job_clusters import job_cluster
from components.sdk import databricks
from components.settings_model import Job, Task

SECONDS_PER_MINUTE = 60
MILLISECONDS_PER_MINUTE = 60_000


@dataclass(frozen=True, kw_only=True)
class JobsArgs:
    """Arguments of `Jobs`.

    Args:
        environment: in the jobs' names, since both environments may be in one workspace.
        folder: the workspace folder with the notebooks.
        jobs: the jobs by key.
        digest: of the deployed files; shown as a tag and in the description, so that a run tells which release it ran.
        commit: that the release comes from; shown beside it.
        workspace_host: where to look for a job that a broken connection has doubled.
        after: what must be deployed before a job may name it.
    """

    environment: str
    folder: str
    jobs: Mapping[str, Job]
    digest: str
    commit: str
    workspace_host: str
    after: pulumi.Resource


class Jobs(pulumi.ComponentResource):
    """One Databricks job for each job of the settings. They can't be edited in the workspace.

    Lists stand in an order of their own (tasks, parameters and clusters by key), so that neither the order in a stack
    file nor the one in which the service answers is a difference.

    Deliberately not managed: clusters that outlive a run, notification destinations, and runs.

    Source: https://www.pulumi.com/registry/packages/databricks/api-docs/job/
    """

    def __init__(self, name: str, args: JobsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("databricks-cicd:databricks:Jobs", name, None, opts)
        against_doubles = against_doubled_jobs(args.workspace_host)
        for key, job in args.jobs.items():
            self._job(key, job, args, against_doubles)
        self.register_outputs({})

    def _job(self, key: str, job: Job, args: JobsArgs, hooks: pulumi.ResourceHookBinding) -> None:
        resource = databricks.Job(
            naming.logical_name("job", key),
            name=naming.job(key, args.environment),
            description=_description(job, args),
            parameters=[
                databricks.JobParameterArgs(name=name, default=value) for name, value in sorted(job.parameters.items())
            ]
            or None,
            tasks=[_task(each, job.tasks[each], args.folder) for each in sorted(job.tasks)],
            job_clusters=[job_cluster(each, job.clusters[each]) for each in sorted(job.clusters)] or None,
            timeout_seconds=job.timeout_minutes * SECONDS_PER_MINUTE,
            max_concurrent_runs=job.max_concurrent_runs,
            queue=databricks.JobQueueArgs(enabled=job.queue),
            edit_mode="UI_LOCKED",
            format="MULTI_TASK",
            tags={
                **job.tags,
                "environment": args.environment,
                "release": args.digest[: naming.SHORT_DIGEST],
                "commit": args.commit,
            },
            run_as=_run_as(job),
            schedule=_schedule(job),
            health=_health(job),
            email_notifications=_emails(job),
            webhook_notifications=_webhooks(job),
            notification_settings=_what_is_told(job),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[args.after],
                hooks=hooks,
                # While it is replaced, the old one must not run by the same schedule, nor be taken for a leftover.
                delete_before_replace=True,
            ),
        )
        if job.access:
            databricks.Permissions(
                naming.logical_name("job", key, "permissions"),
                job_id=resource.id,
                access_controls=access_controls(job.access),
                opts=pulumi.ResourceOptions(parent=self),
            )


def _description(job: Job, args: JobsArgs) -> str:
    release = f"Release {args.digest}, commit {args.commit}"
    return f"{job.description.strip()}\n\n{release}" if job.description.strip() else release


def _task(key: str, task: Task, folder: str) -> databricks.JobTaskArgs:
    """The task; what it says nothing of is left to the service, whose answer is no difference then."""
    return databricks.JobTaskArgs(
        task_key=key,
        depends_ons=[databricks.JobTaskDependsOnArgs(task_key=other) for other in sorted(task.after)] or None,
        run_if=task.run_if if task.after else None,
        notebook_task=databricks.JobTaskNotebookTaskArgs(
            notebook_path=naming.workspace_path(folder, task.notebook),
            base_parameters=dict(task.parameters) or None,
            source="WORKSPACE",
        ),
        job_cluster_key=task.compute,
        max_retries=task.retries,
        min_retry_interval_millis=task.min_retry_minutes * MILLISECONDS_PER_MINUTE if task.retries else None,
        retry_on_timeout=task.retry_on_timeout or None,
        timeout_seconds=task.timeout_minutes * SECONDS_PER_MINUTE if task.timeout_minutes else None,
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


def _emails(job: Job) -> databricks.JobEmailNotificationsArgs | None:
    emails = list(job.notify.emails)
    if not emails:
        return None
    return databricks.JobEmailNotificationsArgs(
        on_failures=emails, on_duration_warning_threshold_exceededs=emails if job.warn_after_minutes else None
    )


def _webhooks(job: Job) -> databricks.JobWebhookNotificationsArgs | None:
    ids = sorted(job.notify.webhooks)
    if not ids:
        return None
    return databricks.JobWebhookNotificationsArgs(
        on_failures=[databricks.JobWebhookNotificationsOnFailureArgs(id=each) for each in ids],
        on_duration_warning_threshold_exceededs=[
            databricks.JobWebhookNotificationsOnDurationWarningThresholdExceededArgs(id=each) for each in ids
        ]
        if job.warn_after_minutes
        else None,
    )


def _what_is_told(job: Job) -> databricks.JobNotificationSettingsArgs | None:
    """A run that was skipped, because the one before still ran, is no failure that somebody has to look at."""
    if not (job.notify.emails or job.notify.webhooks):
        return None
    return databricks.JobNotificationSettingsArgs(no_alert_for_skipped_runs=True)

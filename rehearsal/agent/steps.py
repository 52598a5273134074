"""One step of a job: its condition, its attempts, and its result.

https://github.com/microsoft/azure-pipelines-agent/blob/master/src/Agent.Worker/StepsRunner.cs
"""

from rehearsal.agent.client import ServiceAwayError, ServiceRefusalError
from rehearsal.agent.context import JobContext, worse
from rehearsal.agent.feed import Record, now
from rehearsal.agent.language.conditions import Result, StepContexts, evaluate
from rehearsal.agent.language.errors import ExpressionError
from rehearsal.agent.language.plan import Step
from rehearsal.agent.language.runtime import ReadOnlyError
from rehearsal.agent.logging_commands import execute
from rehearsal.agent.step_context import StepCanceledError, StepContext, StepTimedOutError, TaskFailedError
from rehearsal.agent.tasks.running import carry_out

_MOST_RETRIES = 10
_CANCELED = "The Operation will be canceled. The next steps may not contain expected logs."


def run_step(job: JobContext, step: Step, record: Record, *, several: bool) -> None:
    """Runs a step if its condition holds, and lets its result count for the job.

    Args:
        job: the job; its status becomes that after the step.
        step: the step.
        record: its record, pending.
        several: the job checks out several repositories.
    """
    if job.cancellation.asked:
        job.set_status(worse(job.status, "Canceled"))
    if step.display_name:
        record.name = job.masker.mask(job.variables.expand(step.display_name))
    record.state, record.start_time = "inProgress", now()
    job.feed.update(record)
    job.variables.provide("System.TaskDisplayName", record.name)
    job.variables.provide("System.TaskInstanceId", record.id)
    env = {name: job.variables.expand(value) for name, value in step.env.items()}
    context = StepContext(job, step, record, env, execute)
    try:
        wanted = not job.cancellation.over and evaluate(step.condition, _known(job, job.status))
    except ExpressionError as error:
        context.error(str(error))
        _complete(context, "Failed")
        return
    if not wanted:
        context.output("Skipping step due to condition evaluation.")
        context.output(f"Evaluating: {step.condition or 'succeeded()'}")
        _complete(context, "Skipped")
        return
    context.ends_with_job = not job.cancellation.asked and not _holds_when_cancelled(job, step)
    context.section(f"Starting: {record.name}")
    _attempts(context, several=several)
    if context.result == "Failed" and step.continue_on_error:
        context.result = "SucceededWithIssues"
    context.section(f"Finishing: {record.name}")
    _complete(context, context.result)


def _known(job: JobContext, status: Result) -> StepContexts:
    return StepContexts(job.variables.values(), status)


def _holds_when_cancelled(job: JobContext, step: Step) -> bool:
    """Whether the step would run on in a job that is cancelled, like `always()`."""
    values = {**job.variables.values(), "Agent.JobStatus": "Canceled"}
    try:
        return evaluate(step.condition, StepContexts(values, "Canceled"))
    except ExpressionError:
        return False


def _attempts(context: StepContext, *, several: bool) -> None:
    settings, most = context.job.settings, min(context.step.retries_on_failure, _MOST_RETRIES)
    for attempt in range(most + 1):
        _attempt(context, several=several)
        if context.result != "Failed" or attempt == most or context.timed_out:
            return
        pause = (attempt + 1) ** 2 * settings.retry_pause
        context.warning(
            f"RetryHelper encountered task failure, will retry (attempt #: {attempt + 1} out of {most}) after "
            f"{round(pause * 1000)} ms"
        )
        context.job.cancellation.pause(pause)
        context.begin_again()


def _attempt(context: StepContext, *, several: bool) -> None:
    try:
        carry_out(context, several=several)
    except StepCanceledError as reason:
        if str(reason):
            context.error(str(reason))
        context.error(_CANCELED)
        context.complete("Canceled")
    except StepTimedOutError:
        context.timed_out = True
        context.error("The task has timed out.")
        context.complete("Failed")
    except (TaskFailedError, ReadOnlyError, ServiceRefusalError, ServiceAwayError, OSError) as error:
        context.error(str(error))
        context.complete("Failed")


def _complete(context: StepContext, result: Result) -> None:
    job, record = context.job, context.record
    record.state, record.finish_time = "completed", now()
    record.result = result[0].lower() + result[1:]
    job.feed.update(record)
    if result in ("SucceededWithIssues", "Failed", "Canceled"):
        job.set_status(worse(job.status, result))

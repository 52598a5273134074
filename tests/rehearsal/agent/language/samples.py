"""Pipelines for tests: text in, plan out."""

import textwrap
from collections.abc import Mapping
from typing import Any

from rehearsal.agent.language.compiler import compile_pipeline
from rehearsal.agent.language.errors import PipelineError
from rehearsal.agent.language.plan import CheckoutStep, Job, Pipeline, ScriptStep, Step, job_steps
from rehearsal.agent.language.sources import ReadFile


def files(texts: Mapping[str, str]) -> ReadFile:
    """A repository of these files."""
    return {path: textwrap.dedent(text) for path, text in texts.items()}.get


def compiled(text: str, templates: Mapping[str, str] | None = None, **options: Any) -> Pipeline:
    """The plan of a pipeline with its templates."""
    return compile_pipeline("azure-pipelines.yml", files({"azure-pipelines.yml": text, **(templates or {})}), **options)


def refusal(text: str, templates: Mapping[str, str] | None = None, **options: Any) -> str:
    """What is said about a pipeline that can't be compiled."""
    try:
        compiled(text, templates, **options)
    except PipelineError as error:
        return str(error)
    raise AssertionError("the pipeline compiles")


def jobs(pipeline: Pipeline) -> list[Job]:
    """All jobs in their order."""
    return [job for stage in pipeline.stages for job in stage.jobs]


def steps(pipeline: Pipeline) -> list[Step]:
    """All steps that somebody wrote: the checkout that a job begins with otherwise stands where the job does."""
    found = ((job, step) for job in jobs(pipeline) for step in job_steps(job))
    return [step for job, step in found if not (isinstance(step, CheckoutStep) and step.position == job.position)]


def scripts(pipeline: Pipeline) -> list[str]:
    """The scripts of all steps that have one."""
    return [step.script for step in steps(pipeline) if isinstance(step, ScriptStep)]


def env(pipeline: Pipeline) -> dict[str, str]:
    """The environment of the first step that somebody wrote."""
    return dict(steps(pipeline)[0].env)

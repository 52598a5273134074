"""The graph of a run as it is kept: stages with jobs with legs, and their states.

A stage is `pending`, then `checking` (permissions, approvals and other checks), `running`, `completed`. A job is
`pending`, `running`, `completed`; it has one leg, or several by its strategy. A leg is `pending`, `queued` (for an
agent), `running`, `completed`. Results are those of the service's timeline.
"""

from collections.abc import Iterable, Iterator, Mapping

from rehearsal.agent.language.conditions import Result
from rehearsal.agent.language.outcomes import JobOutcome, StageOutcome
from rehearsal.agent.language.plan import Job, Pipeline, RegularJob, Stage
from rehearsal.azuredevops.context import new_id
from rehearsal.store import Document

_RESULTS: Mapping[str, Result] = {
    "succeeded": "Succeeded",
    "succeededWithIssues": "SucceededWithIssues",
    "skipped": "Skipped",
    "failed": "Failed",
    "canceled": "Canceled",
    "abandoned": "Abandoned",
}
# What counts most for the whole comes first. That a failure counts more than a cancellation is not documented.
_WORST = ("abandoned", "failed", "canceled", "succeededWithIssues", "succeeded")


def new(plan: Pipeline, skipped: Iterable[str]) -> Document:
    """The graph of a run that has not begun. `skipped`: the stages that it is to leave out."""
    left_out = {name.casefold() for name in skipped}
    return {"stages": [new_stage(stage, left_out=stage.name.casefold() in left_out) for stage in plan.stages]}


def new_stage(stage: Stage, *, left_out: bool = False, attempt: int = 1) -> Document:
    """A stage that has not begun."""
    return {
        "name": stage.name,
        "displayName": stage.display_name,
        "id": new_id(),
        "checkpoint": new_id(),
        "attempt": attempt,
        "leftOut": left_out,
        "state": "completed" if left_out else "pending",
        "result": "skipped" if left_out else None,
        "startTime": None,
        "finishTime": None,
        "issues": [],
        "checks": [],
        "afterCancel": False,
        "previous": [],
        "jobs": [new_job(job) for job in stage.jobs],
    }


def new_job(job: Job, attempt: int = 1) -> Document:
    """A job that has not begun."""
    legs = [leg.name for leg in job.legs] if isinstance(job, RegularJob) and job.legs else [None]
    return {
        "name": job.name,
        "displayName": job.display_name,
        "id": new_id(),
        "attempt": attempt,
        "state": "pending",
        "result": None,
        "startTime": None,
        "finishTime": None,
        "issues": [],
        "legs": [new_leg(leg, attempt) for leg in legs],
    }


def new_leg(name: str | None, attempt: int) -> Document:
    """One of the jobs that a job comes to: the only one, unless a strategy makes several."""
    return {
        "leg": name,
        "id": new_id(),
        "attempt": attempt,
        "state": "pending",
        "result": None,
        "queueTime": None,
        "startTime": None,
        "finishTime": None,
        "agent": None,
        "pool": None,
        "waiting": None,
        "returned": False,
        "token": None,
        "cancel": None,
        "issues": [],
        "outputs": {},
    }


def legs(graph: Document) -> Iterator[tuple[Document, Document, Document]]:
    """Every leg of the graph with its stage and its job."""
    for stage in graph["stages"]:
        for job in stage["jobs"]:
            for leg in job["legs"]:
                yield stage, job, leg


def leg_of(graph: Document, job_id: str) -> tuple[Document, Document, Document] | None:
    """The leg with this id, with its stage and its job; None when a newer attempt has taken its place."""
    return next((found for found in legs(graph) if found[2]["id"] == job_id), None)


def named(nodes: Iterable[Document], name: str) -> Document | None:
    """The stage or job of this name, in any case."""
    return next((each for each in nodes if each["name"].casefold() == name.casefold()), None)


def worst(results: Iterable[str | None]) -> str:
    """What several results come to: skipped when there is nothing else, or the one that counts most."""
    known = set(results)
    return next((each for each in _WORST if each in known), "skipped")


def result_of(node: Document) -> Result:
    """The result of a stage or job that has ended, as conditions know it."""
    return _RESULTS[node["result"]]


def job_outcomes(stage: Document) -> dict[str, JobOutcome]:
    """What the jobs of a stage that have ended leave to others."""
    return {
        job["name"]: JobOutcome(result_of(job), outputs(job)) for job in stage["jobs"] if job["state"] == "completed"
    }


def stage_outcomes(graph: Document) -> dict[str, StageOutcome]:
    """What the stages that have ended leave to others. One that was left out isn't there at all."""
    return {
        stage["name"]: StageOutcome(result_of(stage), job_outcomes(stage))
        for stage in graph["stages"]
        if stage["state"] == "completed" and not stage["leftOut"]
    }


def outputs(job: Document) -> dict[str, str]:
    """The output variables of a job, those of all its legs together."""
    return {name: each["value"] for leg in job["legs"] for name, each in leg["outputs"].items()}


def secret_outputs(graph: Document) -> set[str]:
    """The values of output variables that no log may show."""
    return {
        each["value"]
        for _, _, leg in legs(graph)
        for each in leg["outputs"].values()
        if each["secret"]
        if each["value"]
    }

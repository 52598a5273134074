"""Runs of pipelines in Azure DevOps: find, start, follow and keep them.

The service calls a run of a pipeline a build wherever its older interface is older than YAML pipelines; both words
mean the same thing here: https://learn.microsoft.com/rest/api/azure/devops/build/builds,
https://learn.microsoft.com/rest/api/azure/devops/pipelines/runs.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from delivery.azure_devops import AzureDevOps, AzureDevOpsError
from delivery.console import UnusableError

# The program's names (components/naming.py).
BUILD_PIPELINE = "build"
RELEASE_PIPELINE = "release"
ARTIFACT = "release"
DEFAULT_BRANCH = "refs/heads/main"
NOT_FOUND = 404


@dataclass(frozen=True, kw_only=True)
class Build:
    """A run.

    Args:
        id, number: the number is what people see, such as `20261123.4`.
        pipeline, pipeline_id: whose run it is.
        branch, commit: the full name of the branch, and the commit's id.
        status: `notStarted`, `inProgress`, `cancelling`, `completed`.
        result: `succeeded`, `partiallySucceeded`, `failed`, `canceled`; None while it runs.
        url: its page.
        reason: why it was started, such as `individualCI`.
        requested_for: for whom, as people see the name.
        finished: when, as the service writes times; None while it runs.
    """

    id: int
    number: str
    pipeline: str
    pipeline_id: int
    branch: str
    commit: str
    status: str
    result: str | None
    url: str
    reason: str
    requested_for: str
    finished: str | None

    @property
    def completed(self) -> bool:
        """Whether it has ended."""
        return self.status == "completed"


@dataclass(frozen=True, kw_only=True)
class Approval:
    """An approval that a stage of a run waits for, or waited for.

    `status` is `pending`, `approved`, `rejected`, `skipped`, `canceled`, `timedOut`, `undefined` and the like; `by` are
    the display names of those who decided.
    """

    id: str
    stage: str
    status: str
    by: tuple[str, ...]


def find_pipeline(client: AzureDevOps, name: str) -> int:
    """The id of the pipeline of that name.

    Raises:
        UnusableError: there is none, or this identity doesn't see it.
    """
    found = [each for each in client.get_all("build/definitions", query={"name": name}) if each["name"] == name]
    if not found:
        remedy = "run `pulumi up` of the stack that owns the control plane, or name another project"
        raise UnusableError(f"pipeline '{name}'", f"project '{client.project}' shows none to this identity", remedy)
    return int(found[0]["id"])


def get_build(client: AzureDevOps, id_: int) -> Build | None:
    """The run with this id, or None."""
    try:
        return _build(client.get(f"build/builds/{id_}"))
    except AzureDevOpsError as error:
        if error.status == NOT_FOUND:
            return None
        raise


def builds(client: AzureDevOps, pipeline_id: int, **query: str | int) -> Iterator[Build]:
    """The runs of a pipeline, the newest first.

    Args:
        client, pipeline_id: the pipeline.
        query: what the service takes: `buildNumber`, `branchName`, `resultFilter`, `statusFilter` and the like.
    """
    asked = {"definitions": pipeline_id, "queryOrder": "queueTimeDescending", **query}
    return (_build(each) for each in client.get_all("build/builds", query=asked))


def has_artifact(client: AzureDevOps, build_id: int, name: str = ARTIFACT) -> bool:
    """Whether the run still has the artifact: they go with the run, when its retention ends."""
    return any(each["name"] == name for each in client.get(f"build/builds/{build_id}/artifacts")["value"])


def queue_run(client: AzureDevOps, pipeline_id: int, *, branch: str, pipelines: Mapping[str, str]) -> int:
    """Starts a run; gives its id.

    Args:
        client, pipeline_id: the pipeline.
        branch: whose YAML is taken, full name.
        pipelines: for each alias of a pipeline resource the number of the run to take.
    """
    resources = {
        "repositories": {"self": {"refName": branch}},
        "pipelines": {alias: {"version": number} for alias, number in pipelines.items()},
    }
    return int(client.post(f"pipelines/{pipeline_id}/runs", {"resources": resources})["id"])


def timeline(client: AzureDevOps, build_id: int) -> list[Any]:
    """The records of a run: stages, checkpoints, jobs, tasks. Empty before it has begun."""
    read = client.get(f"build/builds/{build_id}/timeline")
    return list(read["records"]) if read else []


def approvals(client: AzureDevOps, records: list[Any]) -> list[Approval]:
    """The approvals of a run, by its timeline.

    The record of an approval has the approval's id, and the stage is among the records above it. No documentation says
    so; it is how the service answers.
    """
    by_id = {record["id"]: record for record in records}
    asked = [record for record in records if record["type"] == "Checkpoint.Approval"]
    if not asked:
        return []
    query = {"approvalIds": ",".join(record["id"] for record in asked), "$expand": "steps"}
    known = {each["id"]: each for each in client.get("pipelines/approvals", query=query)["value"]}
    return [
        Approval(
            id=record["id"],
            stage=_stage_of(record, by_id),
            status=known[record["id"]]["status"],
            by=tuple(
                step["actualApprover"]["displayName"]
                for step in known[record["id"]].get("steps", [])
                if step.get("actualApprover")
            ),
        )
        for record in asked
        if record["id"] in known
    ]


def stages(records: list[Any]) -> list[Any]:
    """The records of a run's stages, in their order."""
    found = [record for record in records if record["type"] == "Stage"]
    return sorted(found, key=lambda record: record.get("order") or 0)


def page_of(client: AzureDevOps, build_id: int) -> str:
    """The address of a run's page."""
    return f"{client.organization_url}/{quote(client.project)}/_build/results?buildId={build_id}"


def _stage_of(record: Any, by_id: Mapping[str, Any]) -> str:
    while record["type"] != "Stage":
        record = by_id.get(record.get("parentId"))
        if record is None:
            return ""
    return str(record["name"])


def _build(read: Any) -> Build:
    links = read.get("_links", {})
    return Build(
        id=int(read["id"]),
        number=str(read["buildNumber"]),
        pipeline=str(read["definition"].get("name", "")),
        pipeline_id=int(read["definition"]["id"]),
        branch=str(read.get("sourceBranch", "")),
        commit=str(read.get("sourceVersion", "")),
        status=str(read["status"]),
        result=read.get("result"),
        url=str(links.get("web", {}).get("href", "")),
        reason=str(read.get("reason", "")),
        requested_for=str((read.get("requestedFor") or {}).get("displayName", "")),
        finished=read.get("finishTime"),
    )

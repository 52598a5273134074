"""The settings as the rest of the program sees them: plain, frozen, checked.

`components.settings.parse` makes these from a stack's configuration; nothing else does. Times carry their unit in
the name. Defaults stand in the `settings_*.py` modules beside this one, where the values are read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from release_files import Release

PrincipalKind = Literal["group", "user", "service_principal"]


@dataclass(frozen=True, kw_only=True)
class Services:
    """Where the two services are and how they may be asked.

    `organization_url` has no trailing slash, `organization` is the name in it. `workspace_host` starts with https://
    (http:// on loopback alone) and has no path.
    """

    organization_url: str
    organization: str
    workspace_host: str
    databricks_requests_per_second: int
    azure_devops_attempts: int


@dataclass(frozen=True, kw_only=True)
class Project:
    """The Azure DevOps project. With `adopt` an existing one is looked up and never changed."""

    name: str
    description: str
    visibility: Literal["private", "public"]
    adopt: bool


@dataclass(frozen=True, kw_only=True)
class Repository:
    """The git repository. `default_branch` is the short name, such as `main`."""

    name: str
    default_branch: str
    adopt: bool


@dataclass(frozen=True, kw_only=True)
class RequiredReviewers:
    """Who must review a pull request that touches `paths` (patterns of Azure Repos, such as `/pipelines/*`)."""

    paths: tuple[str, ...]
    reviewers: tuple[str, ...]
    minimum: int
    message: str


@dataclass(frozen=True, kw_only=True)
class Review:
    """What a pull request into the default branch must satisfy."""

    minimum_reviewers: int
    requester_vote_counts: bool
    reset_votes_on_push: bool
    resolve_comments: bool
    merge_types: tuple[Literal["squash", "rebase", "rebaseMerge", "merge"], ...]
    linked_work_item: Literal["off", "optional", "required"]
    required_reviewers: tuple[RequiredReviewers, ...]


@dataclass(frozen=True, kw_only=True)
class Agents:
    """What runs the pipelines: a Microsoft-hosted image, or an agent pool of one's own. One of the two is set."""

    image: str | None
    pool: str | None


@dataclass(frozen=True, kw_only=True)
class ControlPlane:
    """The shared things in Azure DevOps, in the one stack that owns them."""

    project: Project
    repository: Repository
    review: Review
    agents: Agents


@dataclass(frozen=True, kw_only=True)
class BusinessHours:
    """When a deployment may start. `days` in the order of the week, `start` and `end` as HH:MM, a Windows time zone."""

    days: tuple[str, ...]
    start: str
    end: str
    time_zone: str


@dataclass(frozen=True, kw_only=True)
class Gate:
    """The checks on the environment. Without `approvers` nobody is asked: continuous deployment.

    An approver with an @ is a user's principal name, any other is the name of an Azure DevOps group.
    """

    approvers: tuple[str, ...]
    minimum_approvals: int
    requester_may_approve: bool
    timeout_hours: int
    instructions: str
    exclusive_lock: bool
    only_from_default_branch: bool
    business_hours: BusinessHours | None


@dataclass(frozen=True, kw_only=True)
class Principal:
    """Somebody in the workspace: a group by name, a user by user name, a service principal by application id."""

    kind: PrincipalKind
    name: str


@dataclass(frozen=True, kw_only=True)
class Access:
    """One line of a list of permissions."""

    principal: Principal
    level: str


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """The shared folder that is deployed to: absolute, without the alias /Workspace and without a slash at the end."""

    folder: str
    access: tuple[Access, ...]
    protect: bool
    allow_shared: bool


@dataclass(frozen=True, kw_only=True)
class Notebooks:
    """What is deployed. `folder` is relative to the project's root; `release` is what was found in it."""

    folder: str
    ignore: tuple[str, ...]
    release: Release


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """When a job runs: a Quartz cron expression in an IANA time zone."""

    cron: str
    time_zone: str
    paused: bool


@dataclass(frozen=True, kw_only=True)
class Task:
    """A notebook in a job, by its path below the workspace folder, without extension.

    `after` are the keys of the tasks that end before, `run_if` is how they must have ended. `compute` is the name of
    one of the job's clusters, None for serverless. The job's time limit ends a task without one of its own.
    """

    notebook: str
    after: tuple[str, ...]
    run_if: str
    retries: int
    min_retry_minutes: int
    retry_on_timeout: bool
    timeout_minutes: int | None
    parameters: Mapping[str, str]
    compute: str | None


@dataclass(frozen=True, kw_only=True)
class Autoscale:
    """Between how many workers a cluster chooses by itself."""

    least: int
    most: int


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A cluster that lives as long as a run. Without workers it is a single node; else one of the two is set."""

    spark_version: str
    node_type: str
    workers: int | None
    autoscale: Autoscale | None
    policy: str | None
    spark_conf: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Notify:
    """Who hears of failures and of runs that take long: e-mail addresses, ids of notification destinations."""

    emails: tuple[str, ...]
    webhooks: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job: tasks by key, in the order of the settings. `clusters` are those that its tasks use."""

    description: str
    parameters: Mapping[str, str]
    tasks: Mapping[str, Task]
    clusters: Mapping[str, Cluster]
    schedule: Schedule | None
    timeout_minutes: int
    warn_after_minutes: int | None
    max_concurrent_runs: int
    queue: bool
    run_as: Principal | None
    notify: Notify
    tags: Mapping[str, str]
    access: tuple[Access, ...]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that a stack sets. Exactly one of `control_plane` and `control_plane_stack` is there.

    `tests` are delivered beside the notebooks, below `tests`; never to production. `warnings` are sentences that are
    shown; the program goes on.
    """

    environment: Literal["test", "production"]
    services: Services
    control_plane: ControlPlane | None
    control_plane_stack: str | None
    gate: Gate
    workspace: Workspace
    notebooks: Notebooks
    tests: Notebooks | None
    jobs: Mapping[str, Job]
    warnings: tuple[str, ...]

"""A broken connection must not double a Databricks job: what a cut-off create has left is found and deleted.

Databricks' client repeats a POST after a broken connection by itself, and names of jobs need not be unique: a create
that was done before the connection broke makes two jobs, of which the state knows the second. So before each create
the workspace is asked for the jobs of that name, and their ids are noted. After it, after its failure, or in the next
`up` after a killed one, a job that has come since then is the cut-off create's if the same identity has made it and its
description, which names the release and the commit, is that of the create. It is deleted with a warning. Whatever
differs is somebody else's and is left alone, with a warning, too.

A look that fails, because the sign-in does or the service doesn't answer, fails no `up`: without a look nothing is
deleted. Whether the service's list shows a job at once is not documented.

Sources: https://docs.databricks.com/api/workspace/jobs/list,
https://github.com/databricks/databricks-sdk-go/blob/v0.51.0/httpclient/api_client.go (`isRetriable`),
https://www.pulumi.com/docs/iac/concepts/resources/options/hooks/
"""

import logging
import threading
from typing import TYPE_CHECKING, Any

import pulumi

from components.errors import words_of
from components.hook_threads import in_thread
from components.unfinished import Unfinished

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.jobs import BaseJob

READ_SECONDS, ALTOGETHER_SECONDS = 60, 120

# The provider's words (common/resource.go) where no job is known to it. When it could make one and not read it back,
# it says "cannot read job"; the hook is called then as well, and the state will hold that job.
CREATE_FAILED = "cannot create job"


def against_doubled_jobs(workspace_host: str) -> pulumi.ResourceHookBinding:
    """The hooks for a `databricks.Job`. They take its name and description from its inputs.

    Args:
        workspace_host: the workspace's URL. The sign-in is that of the provider, from the same variables.
    """
    doubles = _Doubles(_Workspace(workspace_host), Unfinished(workspace_host))
    look = pulumi.ResourceHook("look-before-job", doubles.before_create)
    clear_up = pulumi.ResourceHook("clear-up-after-job", doubles.afterwards)
    on_error = pulumi.ErrorHook("clear-up-after-failed-job", doubles.after_failure)
    return pulumi.ResourceHookBinding(
        before_create=[look],
        after_create=[clear_up],
        # A job that was made and could not be read back is updated by the next `up`; no hook has seen its id before.
        after_update=[clear_up],
        on_error=[on_error],
    )


class _Workspace:
    """Databricks' client, made when it is first asked for: importing it takes a second, and most `up`s make no job."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._lock = threading.Lock()
        self._client: WorkspaceClient | None = None
        self._refusal: Exception | None = None
        self._user_name: str | None = None

    def jobs(self, name: str) -> "dict[str, BaseJob]":
        """The jobs of exactly this name, by id. The service's filter is for any case."""
        there = self._signed_in().jobs.list(name=name)
        return {str(each.job_id): each for each in there if each.settings and each.settings.name == name}

    def is_own(self, job: "BaseJob") -> bool:
        """Whether the identity that is signed in has made the job.

        A user's name is documented to stand there; of a service principal its application id is taken, which is its
        user name. Should the service say it differently, no such job is deleted.
        """
        if self._user_name is None:
            self._user_name = self._signed_in().current_user.me().user_name
        return job.creator_user_name is not None and job.creator_user_name == self._user_name

    def delete(self, job: str, name: str) -> None:
        """Deletes the job; it may be gone already.

        Of a job that isn't there the service says to those who aren't administrators that they have no right to it.
        So does the answer to a delete that the client has repeated. The list tells what it is.
        """
        from databricks.sdk.errors.base import DatabricksError  # noqa: PLC0415 - as below

        try:
            self._signed_in().jobs.delete(int(job))
        except DatabricksError:
            if job in self.jobs(name):
                raise

    def _signed_in(self) -> "WorkspaceClient":
        with self._lock:
            if self._refusal:
                raise self._refusal
            if self._client is None:
                try:
                    self._client = self._sign_in()
                except Exception as error:
                    self._refusal = error  # signing in by a command can take seconds, and there may be many jobs
                    raise
            return self._client

    def _sign_in(self) -> "WorkspaceClient":
        from databricks.sdk import WorkspaceClient  # noqa: PLC0415 - a second that few runs need
        from databricks.sdk.core import Config  # noqa: PLC0415 - as above

        # Its warnings, such as that a workspace says nothing about itself, would stand in the output of `pulumi up`.
        logging.getLogger("databricks.sdk").setLevel(logging.ERROR)
        return WorkspaceClient(
            config=Config(host=self._host, http_timeout_seconds=READ_SECONDS, retry_timeout_seconds=ALTOGETHER_SECONDS)
        )


class _Doubles:
    """The hooks' functions. Those of `_Workspace` and `Unfinished` block, so they run in threads."""

    def __init__(self, workspace: _Workspace, unfinished: Unfinished) -> None:
        self._workspace = workspace
        self._unfinished = unfinished
        self._warned = False

    async def before_create(self, args: pulumi.ResourceHookArgs) -> None:
        try:
            await in_thread(self._begin, args.urn, dict(args.new_inputs or {}))
        except Exception as error:  # noqa: BLE001 - the provider may be able to do what this look is not
            if not self._warned:
                self._warned = True
                pulumi.log.warn(
                    f"whether a broken connection doubles a job can't be seen, and none is deleted: {words_of(error)}"
                )

    async def afterwards(self, args: pulumi.ResourceHookArgs) -> None:
        await self._clear_up_after(args.urn, args.name, made=args.id)

    async def after_failure(self, args: pulumi.ErrorHookArgs) -> bool:
        """Never asks for a repetition: the client has repeated what passes."""
        if CREATE_FAILED in args.errors[0]:
            await self._clear_up_after(args.urn, args.name)
        return False

    async def _clear_up_after(self, urn: str, name: str, made: str = "") -> None:
        if not self._unfinished.begun(urn):
            return
        try:
            await in_thread(self._clear_up, urn, made)
        except Exception as error:  # noqa: BLE001 - how the create has ended is what the user must see
            pulumi.log.warn(
                f"whether a broken connection has doubled {name} can't be seen: {words_of(error)}. "
                "Look in the workspace for a second job of that name"
            )
            return
        if made:
            self._unfinished.created(urn, made)

    def _begin(self, urn: str, inputs: dict[str, Any]) -> None:
        if self._unfinished.noted(urn):
            self._clear_up(urn)
        like = {"name": inputs["name"], "description": inputs["description"]}
        self._unfinished.begin(urn, set(self._workspace.jobs(like["name"])), like)

    def _clear_up(self, urn: str, made: str = "") -> None:
        """Deletes what a create of this job has left beside the one that the state knows."""
        like = self._unfinished.like(urn)
        there = self._workspace.jobs(like["name"])
        for found in sorted(self._unfinished.leftovers(urn, set(there)) - {made}):
            job = there[found]
            description = job.settings.description if job.settings else None
            if self._workspace.is_own(job) and description == like["description"]:
                pulumi.log.warn(f"deleting the job {like['name']!r} ({found}), which an interrupted create has left")
                self._workspace.delete(found, like["name"])
            else:
                pulumi.log.warn(
                    f"a second job {like['name']!r} ({found}) of {job.creator_user_name or 'nobody known'} has come "
                    "meanwhile; it is not this program's and is left alone"
                )

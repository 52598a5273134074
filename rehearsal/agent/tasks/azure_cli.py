"""`AzureCLI@2` with Bash: a script that runs signed in to Azure with a service connection, by the machine's own `az`.

https://github.com/microsoft/azure-pipelines-tasks/blob/master/Tasks/AzureCLIV2/azureclitask.ts. Of the connections
those with workload identity federation are had, which hold no secret.
"""

import shlex
import shutil
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rehearsal.agent.client import ServiceAwayError, ServiceRefusalError
from rehearsal.agent.messages import Connection
from rehearsal.agent.step_context import StepCanceledError, StepContext, StepTimedOutError, TaskFailedError
from rehearsal.agent.tasks.inputs import Inputs
from rehearsal.agent.tasks.scripts import bash_program

_FEDERATION = "WorkloadIdentityFederation"
_NO_SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
_REFRESH_MINUTES = 8  # an identity token is good for ten


@dataclass(frozen=True)
class _Session:
    """The identity that a step has with a connection.

    Args:
        step: the step.
        connection: the connection.
        config: the folder in which `az` keeps who is signed in; None: the user's own.
        visible: whether the log shows what `az login` says.
    """

    step: StepContext
    connection: Connection
    config: Path | None
    visible: bool

    @property
    def application(self) -> str:
        return self.connection.parameters.get("serviceprincipalid", "")

    @property
    def tenant(self) -> str:
        return self.connection.parameters.get("tenantid", "")

    @property
    def environment(self) -> dict[str, str]:
        return {"AZURE_CONFIG_DIR": str(self.config)} if self.config else {}

    def az(self, *arguments: str, failure: str, quiet: bool = False, beside: str = "") -> None:
        """Runs `az`.

        Raises:
            TaskFailedError: it has failed.
        """
        command = ["az", *arguments]
        code = self.step.run(command, environment=self.environment, quiet=quiet, beside=beside)
        if code:
            self.step.error(f"Error Code: [{code}]")
            raise TaskFailedError(f"Error: {failure}")

    def sign_in(self, *, beside: str = "") -> str:
        """Signs in; gives the identity token that it took.

        Raises:
            TaskFailedError: Azure DevOps or Azure refuses.
        """
        job = self.step.job
        where = f"distributedtask/hubs/{job.variable('System.HostType')}/plans/{job.variable('System.PlanId')}"
        query = {"serviceConnectionId": self.connection.id, "api-version": "7.1-preview.1"}
        try:
            answer = job.rest.call("POST", f"{where}/jobs/{job.variable('System.JobId')}/oidctoken", json={}, **query)
        except (ServiceRefusalError, ServiceAwayError) as error:
            raise TaskFailedError(str(error)) from error
        token = str(answer["oidcToken"])
        job.masker.add(token)
        # The published task has the token among the arguments, where every process of the machine can read it.
        file = job.directories.temp / f"{uuid.uuid4()}.token"
        file.touch(mode=0o600)
        file.write_text(token)
        try:
            self.az(
                *("login", "--service-principal", "--username", self.application, "--tenant", self.tenant),
                *("--allow-no-subscriptions", "--federated-token", f"@{file}"),
                *(() if self.visible else ("--output", "none")),
                failure="Azure login failed",
                quiet=bool(beside),
                beside=beside,
            )
        finally:
            file.unlink()
        return token


def run(step: StepContext, inputs: Inputs) -> None:
    """Signs in, runs the script, and signs out.

    Raises:
        TaskFailedError: there is no such connection or no `az`, a sign-in that is refused, or a script that fails.
    """
    connection = _connection(step, inputs["connectedServiceNameARM"])
    script = _script(step, inputs)
    folder = Path(step.job.variable("System.DefaultWorkingDirectory"), inputs["cwd"])
    folder.mkdir(parents=True, exist_ok=True)
    config = None if inputs.flag("useGlobalConfig") else step.job.directories.temp / ".azclitask"
    session = _Session(step, connection, config, inputs.flag("visibleAzLogin"))
    if shutil.which("az", path=step.environment().get("PATH")) is None:
        raise TaskFailedError("Azure CLI 2.x is not installed on this machine.")
    session.az("version", failure="az version failed")
    if config:
        step.output(f"Setting AZURE_CONFIG_DIR env variable to: {config}")
    if cloud := connection.data.get("environment"):
        step.output(f"Setting active cloud to: {cloud}")
        session.az("cloud", "set", "--name", cloud, failure=f"there is no cloud {cloud}")
    token = session.sign_in()
    try:
        _choose_subscription(session, skip=inputs.flag("allowNoSubscriptions"))
        environment = session.environment | {
            "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID": connection.id,
            "AZURESUBSCRIPTION_CLIENT_ID": session.application,
            "AZURESUBSCRIPTION_TENANT_ID": session.tenant,
        }
        if inputs.flag("addSpnToEnvironment"):
            names = {"servicePrincipalId": session.application, "tenantId": session.tenant, "idToken": token}
            environment |= names
        command = [bash_program(), str(script), *shlex.split(inputs["scriptArguments"])]
        strict = inputs.flag("failOnStandardError")
        with _kept_active(session, wanted=inputs.flag("keepAzSessionActive")):
            code = step.run(command, folder, environment=environment, stderr_is_error=strict)
    finally:
        _sign_out(session)
    if strict and step.wrote_errors:
        raise TaskFailedError("Script has output to stderr. Failing as failOnStdErr is set to true.")
    if code:
        raise TaskFailedError(f"Script failed with exit code: {code}")


def _connection(step: StepContext, name: str) -> Connection:
    found = next((each for each in step.job.request.connections if each.name.casefold() == name.casefold()), None)
    if found is None:
        raise TaskFailedError(f"The service connection '{name}' is not one that this job was given.")
    if found.scheme != _FEDERATION:
        raise TaskFailedError(
            f"The service connection '{name}' has the scheme {found.scheme}; the rehearsal has {_FEDERATION} alone"
        )
    return found


def _script(step: StepContext, inputs: Inputs) -> Path:
    inline = inputs.choice("scriptLocation") == "inlinescript"
    given = "inlineScript" if inline else "scriptPath"
    if not inputs[given]:
        raise TaskFailedError(f"Input required: {given}")
    if not inline:
        file = Path(step.job.variable("System.DefaultWorkingDirectory"), inputs["scriptPath"])
        if not file.is_file() or file.suffix.lower() != ".sh":
            raise TaskFailedError(
                f"Script file could not be found at specified script location: '{file}'. Please verify the script "
                "exists at the specified path. If you want to use inline script, specify input `Script Location` as "
                "`inlineScript`."
            )
        return file
    file = step.job.directories.temp / f"azureclitaskscript{uuid.uuid4()}.sh"
    file.write_text(inputs["inlineScript"])
    return file


def _choose_subscription(session: _Session, *, skip: bool) -> None:
    subscription = session.connection.data.get("subscriptionId", "")
    if skip or subscription == _NO_SUBSCRIPTION:
        session.step.output("Skipping subscription context per 'allowNoSubscriptions' input or empty GUID value")
    elif subscription:
        failure = "Error in setting up subscription"
        session.az("account", "set", "--subscription", subscription, failure=failure)


@contextmanager
def _kept_active(session: _Session, *, wanted: bool) -> Iterator[None]:
    """Signs in again and again meanwhile: `az` can't ask for a token once its identity token is too old."""
    ended = threading.Event()

    def refresh() -> None:
        while not ended.wait(_REFRESH_MINUTES * session.step.job.settings.minute):
            try:
                session.sign_in(beside="refresh")
            except TaskFailedError as error:
                session.step.warning(f"The following error occurred while trying to refresh az-cli session: {error}")
            except (StepCanceledError, StepTimedOutError):
                return

    thread = threading.Thread(target=refresh, daemon=True)
    if wanted:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        if wanted:
            thread.join()


def _sign_out(session: _Session) -> None:
    """A step that is to end at once leaves what it has to the end of its job, which removes the folder."""
    try:
        session.az("account", "clear", failure="az account clear failed", quiet=True)
    except TaskFailedError as error:
        session.step.warning(f"The following error occurred while logging out: {error}")
    except (StepCanceledError, StepTimedOutError):
        return

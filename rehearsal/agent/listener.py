"""An agent that asks the service for jobs and runs them, one at a time; and several of them in one process.

https://learn.microsoft.com/azure/devops/pipelines/agents/agents
"""

import hashlib
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import filelock

from rehearsal.agent.client import AgentClient, ServiceAwayError, ServiceRefusalError
from rehearsal.agent.context import Settings
from rehearsal.agent.directories import AgentDirectories
from rehearsal.agent.job import Machine, run_job
from rehearsal.agent.processes import end_marked

TOKEN_VARIABLE = "REHEARSAL_AGENT_TOKEN"  # noqa: S105 - the name of a variable, not a token
_PAUSE_SECONDS = 1.0
_PATIENCE_AT_THE_END = 2.0  # seconds that the service may be away when the agent is to end


def end_left_behind(home: Path) -> list[str]:
    """Ends the processes of steps that an agent with this folder has left behind, as when it was killed; names them."""
    return end_marked(_mark(home))


def _mark(home: Path) -> str:
    """What the processes of an agent are known by, beginning with it."""
    return "vsts_" + hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:32]


class AgentBusyError(Exception):
    """Another agent works in the same folder."""


class Agent:
    """One agent. It runs in a thread: `start`, then `stop`.

    Args:
        server: the service's origin.
        token: the agent's own; no step gets it.
        name: what the service and people know it by.
        home: its folder; made when it is missing.
        environment: handed on to steps, without the token.
        tools: `Agent.ToolsDirectory`; None: one below `home`.
        pool: whose jobs it takes; None: all.
        settings: see `Settings`.
        say: gets a line for each job, for people.

    Raises:
        AgentBusyError: another agent works in `home`.
    """

    def __init__(
        self,
        *,
        server: str,
        token: str,
        name: str,
        home: Path,
        environment: Mapping[str, str],
        tools: Path | None = None,
        pool: str | None = None,
        settings: Settings | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        directories = AgentDirectories(home, tools)
        self._lock = filelock.FileLock(directories.home / "agent.lock")
        try:
            self._lock.acquire(timeout=0)
        except filelock.Timeout as error:
            raise AgentBusyError(f"Another agent works in {directories.home}") from error
        base = {key: value for key, value in environment.items() if key != TOKEN_VARIABLE}
        self.name = name
        self._pool = pool
        self._say = say
        self._questions = AgentClient(server, token)
        self._client = AgentClient(server, token)
        self._machine = Machine(
            name=name,
            client=self._client,
            directories=directories,
            base=base,
            settings=settings or Settings(),
            mark=_mark(directories.home),
        )
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"agent {name}", daemon=True)

    def start(self) -> None:
        """Ends what an agent left behind that was killed, and begins to ask for jobs."""
        for left in end_left_behind(self._machine.directories.home):
            self._say(f"{self.name}: ended a process of an agent that was killed: {left}")
        self._thread.start()

    def stop(self) -> None:
        """Takes no more jobs; one that runs is ended, with its processes. Waits until that is done."""
        self.ask_to_stop()
        self._questions.hang_up()
        if self._thread.is_alive():
            self._thread.join()
        self._questions.close()
        self._client.close()
        self._lock.release()

    def ask_to_stop(self) -> None:
        """Begins to stop, without waiting."""
        self._client.patience.seconds = _PATIENCE_AT_THE_END
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                request = self._questions.next(self.name, self._pool)
            except (ServiceAwayError, ServiceRefusalError, KeyError, TypeError, ValueError) as error:
                # KeyError and its like: a job that a newer service words otherwise. It gets no heartbeat, and fails.
                if not self._stopping.is_set():
                    self._say(f"{self.name}: {error}")
                    self._stopping.wait(_PAUSE_SECONDS)
                continue
            if request is None or self._stopping.is_set():
                continue  # one that came too late gets no heartbeat, and goes to another agent
            self._say(f"{self.name}: running job {request.display_name} of run {request.run_id}")
            result = run_job(self._machine, request, self._stopping)
            self._say(f"{self.name}: job {request.display_name} of run {request.run_id} completed: {result}")

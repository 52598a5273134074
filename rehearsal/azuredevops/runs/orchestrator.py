"""The thread that carries runs on, and what wakes it and the agents that wait.

Everything that it knows is in the store: a service that was killed goes on where it was. Each run is looked at in a
transaction of its own.
"""

import asyncio
import sys
import threading
import time
import traceback

from rehearsal.azuredevops.context import Service
from rehearsal.azuredevops.errors import ServiceError
from rehearsal.azuredevops.runs import documents, machine, schedules, sources
from rehearsal.azuredevops.runs.machine import Turn
from rehearsal.store import Document
from rehearsal.worker import Worker

_POLL = 0.25  # seconds between two looks while there are runs: approvals and time limits wake nobody


class Orchestrator:
    """Carries on the runs of one organisation.

    Args:
        service: the organisation.
        agent_timeout: seconds after which an agent that says nothing is given up.
    """

    def __init__(self, service: Service, agent_timeout: float) -> None:
        self._service = service
        self._agent_timeout = agent_timeout
        self._since = time.time()
        self._lock = threading.Lock()
        self._agents: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._worker = Worker("orchestrator", self.step)
        service.wake = self._worker.wake
        self._worker.wake()

    def close(self) -> None:
        """Ends the thread. Runs stay as they are; the next service goes on with them."""
        self._worker.stop()
        self._worker.join()
        self._call_agents()

    async def wait(self, seconds: float) -> bool:
        """Returns when there may be a job for an agent, or after a time; False when the server ends."""
        event = asyncio.Event()
        me = (asyncio.get_running_loop(), event)
        with self._lock:
            self._agents.add(me)
        try:
            await asyncio.wait_for(event.wait(), seconds)
        except TimeoutError:
            pass
        except asyncio.CancelledError:
            return False  # so the agent's call ends with an answer, not with a traceback in the log
        finally:
            with self._lock:
                self._agents.discard(me)
        return not self._worker.stopping

    def _call_agents(self) -> None:
        with self._lock:
            for loop, event in self._agents:
                if not loop.is_closed():
                    loop.call_soon_threadsafe(event.set)

    def step(self) -> float:
        """One look at everything; gives the seconds until the next one is due."""
        store = self._service.store
        schedules.look(self._service)
        active = store.all("active-run")
        for each in active:
            if not self._worker.stopping:
                self._advance(each["project"], each["run"])
        if store.items("waiting-job"):
            self._call_agents()
        return _POLL if active else 1.0

    def _advance(self, project_id: str, run_id: int) -> None:
        store = self._service.store
        try:
            with store.transaction():
                project, run = store.get("project", project_id), documents.find(store, project_id, run_id)
                if project is None or run is None:
                    store.delete("active-run", f"{project_id}/{run_id:09}")
                    return
                self._turn(project, run)
        except ServiceError as error:
            # What the run was made of is gone: its repository, its commit, a variable group.
            self._give_up(project_id, run_id, error.message)
        except Exception:  # noqa: BLE001 - a mistake with one run must not hold up the others; the log has it
            traceback.print_exc(file=sys.stderr)
            self._give_up(project_id, run_id, "The rehearsal could not go on with this run; its log says why.")

    def _turn(self, project: Document, run: Document) -> None:
        store = self._service.store
        plan = sources.plan_of(self._service, project, run)
        known = documents.graph_of(store, project["id"], run["id"])
        before = (dict(run), repr(known))
        turn = Turn(
            service=self._service,
            project=project,
            run=run,
            plan=plan,
            known=known,
            alive_since=self._since,
            agent_timeout=self._agent_timeout,
        )
        machine.advance(turn)
        if repr(known) != before[1]:
            documents.keep_graph(store, project["id"], run["id"], known)
        if run != before[0]:
            documents.keep(store, project["id"], run)

    def _give_up(self, project_id: str, run_id: int, why: str) -> None:
        """Ends a run that can't go on."""
        store = self._service.store
        with store.transaction():
            project, run = store.get("project", project_id), documents.find(store, project_id, run_id)
            if project is None or run is None:
                return
            known = documents.graph_of(store, project_id, run_id)
            machine.abandon(self._service, known)
            documents.keep_graph(store, project_id, run_id, known)
            machine.finish(self._service, project, run, "failed", why)

"""Starting and stopping the services as processes of their own."""

import contextlib
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import filelock
import httpx
import psutil

from rehearsal import service as serving
from rehearsal.home import CHECKOUT, HOME_VARIABLE, Home, Process, Service

HEALTHY_WITHIN = 60.0
"""Seconds that a service may take to answer, on a machine that does other work."""


class ServiceError(Exception):
    """A service could not be started; the message says why."""


def start(home: Home, ports: dict[Service, int] | None = None) -> dict[Service, bool]:
    """Starts the services that don't run, and waits until all answer.

    Args:
        home: the rehearsal.
        ports: ports to take; without, those of the last time, else free ones.

    Returns:
        Which of them had to be started.

    Raises:
        ServiceError: a port is taken, or a service ended or didn't answer.
    """
    home.credentials  # noqa: B018 - makes them before two processes could
    with _alone(home):
        started = {service: _start(home, service, (ports or {}).get(service)) for service in home.services}
    for service in home.services:
        _wait_until_healthy(home, service)
    return started


def stop(home: Home) -> list[Process]:
    """Stops the agent and the services that run, and what they started; gives which."""
    if not home.path.exists():
        return []
    names: tuple[Process, ...] = ("agent", *home.services)
    with _alone(home):
        running = [(name, process) for name in names if (process := find(home, name))]
        for _, process in running:
            process.terminate()
        _, alive = psutil.wait_procs([process for _, process in running], timeout=10)
        for process in alive:
            process.kill()
        psutil.wait_procs(alive, timeout=10)
        for name in names:
            home.process_file(name).unlink(missing_ok=True)
        # Who was killed could not end what it had started: steps of pipelines, and runs of jobs.
        listener = importlib.import_module("rehearsal.agent.listener")
        for folder in sorted((home.agent / "work").glob("*")):
            listener.end_left_behind(folder)
        importlib.import_module("rehearsal.databricks.processes").end_all(home.runs)
    return [name for name, _ in running]


def find(home: Home, name: Process) -> psutil.Process | None:
    """The process, if it runs and is really ours: a process id may have been given to another."""
    try:
        noted = json.loads(home.process_file(name).read_text())
        process = psutil.Process(noted["pid"])
        if process.create_time() != noted["created"] or process.status() == psutil.STATUS_ZOMBIE:
            return None
    except (OSError, ValueError, KeyError, psutil.Error):
        return None
    return process


def note(home: Home, name: Process, process: subprocess.Popen[bytes]) -> None:
    """Keeps which process it is, for `find`."""
    noted = {"pid": process.pid, "created": psutil.Process(process.pid).create_time()}
    home.process_file(name).write_text(json.dumps(noted))
    # It lives on when this process ends; Popen would warn that it does.
    process.returncode = 0


def healthy(home: Home, service: Service, seconds: float = 2.0) -> bool:
    """Whether the service answers."""
    if home.port(service) is None:
        return False
    try:
        # Without `trust_env` no proxy of the user's comes in between.
        with httpx.Client(trust_env=False, timeout=seconds) as client:
            return client.get(f"{home.address(service)}/_rehearsal/health").is_success
    except httpx.HTTPError:
        return False


def control(home: Home, service: Service, method: str, path: str) -> Any:
    """Calls a control endpoint; see `rehearsal.service`.

    Raises:
        httpx.HTTPError: the service isn't there or refuses.
    """
    headers = {"Authorization": f"Bearer {home.credentials.control}"}
    with httpx.Client(trust_env=False, timeout=60, headers=headers) as client:
        response = client.request(method, f"{home.address(service)}/_rehearsal/{path}")
    return response.raise_for_status().json()


def serve_one(home: Home, service: Service, descriptor: int) -> None:
    """Serves in this process, on a listening socket that the starting process opened."""
    credentials = home.credentials
    listener = socket.socket(fileno=descriptor)
    # The server ends in order at SIGTERM, and then raises the signal once more for whoever waits for it: us.
    signal.signal(signal.SIGTERM, _exit)
    if service == "azure":
        importlib.import_module("rehearsal.azure.serving").run(home, listener, credentials.control)
        return
    module = importlib.import_module(f"rehearsal.{service}")
    options: dict[str, Any] = {"control_token": credentials.control, "credentials": credentials.users[service]}
    if service == "azuredevops":
        options["orchestrate"] = True
    else:
        compute = importlib.import_module("rehearsal.databricks.compute").Compute
        options["compute"] = compute(runs=home.runs, data=home.data, clusters=home.clusters, mail=home.mail)
        options["authority"] = lambda: _authority(home)
    app = module.create_app(home.state(service), **options)
    try:
        serving.server(app).run(sockets=[listener])
    finally:
        app.close()  # ends what it runs


def _authority(home: Home) -> Any:
    """Whose tokens Databricks believes: Azure's, as soon as it is there."""
    port = home.port("azure")
    return importlib.import_module("rehearsal.azure").authority(port) if port else None


def _exit(*_: object) -> None:
    sys.exit(0)


@contextlib.contextmanager
def _alone(home: Home) -> Iterator[None]:
    home.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    with filelock.FileLock(home.path / "processes.lock", timeout=HEALTHY_WITHIN):
        yield


def _start(home: Home, service: Service, port: int | None) -> bool:
    if find(home, service) is not None:
        if port not in (None, 0, home.port(service)):
            raise ServiceError(f"{service} already runs on port {home.port(service)}, not {port}; stop it first")
        return False
    wanted = port if port is not None else home.port(service) or 0
    try:
        listener = serving.listen(wanted)
    except OSError as error:
        raise ServiceError(
            f"{service} can't have port {wanted} ({error.strerror}). The stacks' state holds URLs with that port: "
            "end the program that has it now, or begin anew with `make rehearsal-clean`."
        ) from error
    with listener, home.log(service).open("ab") as log:
        command = [sys.executable, "-m", "rehearsal", "serve-one", service, "--descriptor", str(listener.fileno())]
        process = subprocess.Popen(
            command,
            cwd=CHECKOUT,
            env={**os.environ, HOME_VARIABLE: str(home.path)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[listener.fileno()],
            start_new_session=True,  # Ctrl-C in the terminal is not for it
        )
        home.set_port(service, listener.getsockname()[1])
    note(home, service, process)
    return True


def _wait_until_healthy(home: Home, service: Service) -> None:
    deadline = time.monotonic() + HEALTHY_WITHIN
    while not healthy(home, service):
        if find(home, service) is None:
            raise ServiceError(f"{service} ended at once. The end of {home.log(service)}:\n{_tail(home, service)}")
        if time.monotonic() > deadline:
            raise ServiceError(f"{service} doesn't answer after {HEALTHY_WITHIN:.0f} s; see {home.log(service)}")
        time.sleep(0.1)


def _tail(home: Home, service: Service) -> str:
    return "\n".join(home.log(service).read_text(errors="replace").splitlines()[-15:])

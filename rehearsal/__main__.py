"""The rehearsal's command line: `python -m rehearsal COMMAND`. The Makefile has a target for what people need."""

import argparse
import email
import email.policy
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

import httpx

from rehearsal import doctor, pipelines, processes, provision, shell, toolchain
from rehearsal.home import SERVICES, Home, Service
from rehearsal.toolchain import compute
from rehearsal.tour import steps
from rehearsal.tour.team import TourError


class UsageError(Exception):
    """The command can't do what is asked; the message says why and what to do."""


def main(arguments: list[str] | None = None) -> int:
    """Runs a command; gives the exit code: 0, 1 after an error that has been told, 2 for wrong usage."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except (
        UsageError,
        toolchain.ToolchainError,
        processes.ServiceError,
        provision.ProvisionError,
        TourError,
    ) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m rehearsal", description="The whole system on this machine.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(command=command)
        return made

    add("toolchain", _toolchain, "find, download or build the Pulumi engine, and what Spark needs")
    add("doctor", _doctor, "say what is used, which version, where from")
    for name, command, text in (
        ("serve", _serve, "both stand-ins in the foreground, until Ctrl-C"),
        ("start", _start, "both stand-ins in the background"),
    ):
        made = add(name, command, text)
        for service in SERVICES:
            made.add_argument(
                f"--{service}-port", type=_port, help="the port; else that of the last time, or a free one"
            )
    add("stop", _stop, "end the stand-ins; they keep what they hold")
    add("status", _status, "which stand-ins run, and where")
    add("mail", _mail, "the mails that notifications of jobs have sent")
    add("reset", _reset, "the stand-ins as on their first day, and no stacks")
    add("env", _env, "lines for eval: then plain `pulumi` and `git` work with the rehearsal")
    made = add("up", _up, "engine, stand-ins and `pulumi up` of both stacks")
    made.add_argument("--project", type=Path, help="the Pulumi project's folder (the checkout)")
    made.add_argument("--azure", action="store_true", help="with Azure service connections, for pipelines to sign in")
    add("down", _stop, "the same as stop")
    made = add("tour", _tour, "from a changed notebook to production and back, by itself, on a rehearsal of its own")
    made.add_argument(
        "--folder", type=Path, help="an empty folder, which stays (a temporary one, which stays if the tour fails)"
    )
    add("clean", _clean, "end the stand-ins and remove everything that the rehearsal made")
    made = add("serve-one", _serve_one, "one stand-in on an open socket; `start` calls it")
    made.add_argument("service", choices=get_args(Service))
    made.add_argument("--descriptor", type=int, required=True)
    made = add("git-credential", _git_credential, "a credential helper for git; `env` sets it up")
    made.add_argument("action")
    return parser


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError("a port is a number from 0 (a free one) to 65535")
    return number


def _ports(options: argparse.Namespace) -> dict[Service, int]:
    given = {service: getattr(options, f"{service}_port") for service in SERVICES}
    return {service: port for service, port in given.items() if port is not None}


def _toolchain(_: argparse.Namespace) -> int:
    print(toolchain.ensure(lambda line: print(line, flush=True)).describe())
    print(compute.ensure(lambda line: print(line, flush=True)))
    return 0


def _doctor(_: argparse.Namespace) -> int:
    text, well = doctor.examine(Home())
    print(text)
    return 0 if well else 1


def _start(options: argparse.Namespace) -> int:
    home = Home()
    processes.start(home, _ports(options))
    _start_agent(home)
    return _status(options)


def _start_agent(home: Home) -> None:
    """Where there is an engine; without it the pipelines' steps could do nothing."""
    engine = toolchain.locate()
    if engine is not None:
        pipelines.start(home, engine)


def _serve(options: argparse.Namespace) -> int:
    home = Home()

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    processes.start(home, _ports(options))
    _start_agent(home)
    try:
        _status(options)
        print("Ctrl-C ends them.", flush=True)
        while all(processes.find(home, service) for service in home.services):
            time.sleep(1)
    except KeyboardInterrupt:
        return 0
    finally:
        processes.stop(home)
    raise UsageError(f"a stand-in has ended by itself; see {home.log('azuredevops').parent}")


def _stop(_: argparse.Namespace) -> int:
    stopped = processes.stop(Home())
    print(f"ended: {', '.join(stopped)}" if stopped else "no stand-in was running")
    return 0


def _status(_: argparse.Namespace) -> int:
    home = Home()
    well = True
    for service in home.services:
        process = processes.find(home, service)
        answers = processes.healthy(home, service)
        well = well and answers
        where = home.address(service) if home.port(service) else ""
        state = f"process {process.pid}" if process else "not running"
        print(
            f"{service:12} {where:24} {state}{'' if answers or not process else ', but it does not answer'}", flush=True
        )
    agent = processes.find(home, "agent")
    print(f"{'agent':12} {'':24} {f'process {agent.pid}' if agent else 'not running'}", flush=True)
    if home.mail.exists():
        print(f"{'mail':12} {home.mail}; `python -m rehearsal mail` lists it")
    return 0 if well else 1


def _mail(_: argparse.Namespace) -> int:
    """Lists the mails that notifications of jobs have sent, the oldest first."""
    files = sorted(Home().mail.glob("*.eml"))
    for file in files:
        with file.open("rb") as stream:
            message = email.message_from_binary_file(stream, policy=email.policy.default)
        print(f"{file}\n  {message['Date']}  to {message['To']}: {message['Subject']}")
    if not files:
        print("no mail was sent")
    return 0


def _reset(_: argparse.Namespace) -> int:
    home = Home()
    if not home.exists:
        raise UsageError("there is no rehearsal; `make rehearsal` makes one")
    for service in home.services:
        if processes.healthy(home, service):
            try:
                processes.control(home, service, "POST", "reset")
            except httpx.HTTPError as error:
                raise UsageError(f"{service} could not be reset: {error}") from error
        else:
            shutil.rmtree(home.state(service), ignore_errors=True)
    for folder in (home.backend, home.scratch, home.runs, home.data, home.clusters, home.mail):
        shutil.rmtree(folder, ignore_errors=True)
    print("the stand-ins are as on their first day, and there are no stacks")
    return 0


def _env(_: argparse.Namespace) -> int:
    home, engine = Home(), toolchain.locate()
    if not home.exists or home.port("azuredevops") is None:
        raise UsageError("there is no rehearsal; `make rehearsal` makes one")
    if engine is None:
        raise UsageError("there is no engine; `make toolchain` brings one")
    print(shell.lines(home, engine))
    return 0


def _up(options: argparse.Namespace) -> int:
    provision.up(Home(), (options.project or provision.project_folder()).absolute(), azure=options.azure)
    return 0


def _tour(options: argparse.Namespace) -> int:
    begun = time.monotonic()
    folder = (options.folder or Path(tempfile.mkdtemp(prefix="tour-"))).absolute()
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} isn't empty")
    tour = steps.Tour(folder, lambda line: print(line, flush=True))
    try:
        tour.whole()
    except BaseException:  # Ctrl-C too: who ends a tour that hangs wants to know where it hung
        print(f"\nWhat the tour came to, with all logs, stays in {folder}", file=sys.stderr)
        raise
    finally:
        processes.stop(tour.home)
    if options.folder is None:
        shutil.rmtree(folder)
    print(f"\nThe whole tour took {time.monotonic() - begun:.0f} s.")
    return 0


def _clean(_: argparse.Namespace) -> int:
    home = Home()
    if home.path.exists() and not home.exists and any(home.path.iterdir()):
        # REHEARSAL_HOME may name a folder by mistake.
        raise UsageError(f"{home.path} holds no rehearsal; it is left alone")
    processes.stop(home)
    if home.path.exists():
        shutil.rmtree(home.path)
        print(f"removed {home.path}")
    return 0


def _serve_one(options: argparse.Namespace) -> int:
    processes.serve_one(Home(), options.service, options.descriptor)
    return 0


def _git_credential(options: argparse.Namespace) -> int:
    """Answers git's question for a password: the user of the URL, else REHEARSAL_USER, else the administrator.

    See `git help credentials` for the lines that git writes and reads.
    """
    if options.action != "get":
        return 0
    asked = dict(line.rstrip("\n").split("=", 1) for line in sys.stdin if "=" in line)
    home = Home()
    tokens = home.credentials.users["azuredevops"]
    user = asked.get("username") or os.environ.get("REHEARSAL_USER") or "administrator"
    if user in tokens and asked.get("host") == urlsplit(home.organization_url).netloc:
        print(f"username={user}\npassword={tokens[user]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`python -m rehearsal.agent`: agents that run pipelines' jobs until they are stopped with SIGINT or SIGTERM.

The token stands in the environment variable REHEARSAL_AGENT_TOKEN and is handed on to nobody. Exit code 0: stopped;
2: wrong usage, no token, or another agent works in the same folder.
"""

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

from rehearsal.agent.listener import TOKEN_VARIABLE, Agent, AgentBusyError


def main() -> int:
    """Runs the agents; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m rehearsal.agent", description=__doc__)
    parser.add_argument("--server", required=True, help="the service's origin, e.g. http://127.0.0.1:8080")
    parser.add_argument("--name", required=True, help="of the agent; further ones are NAME-2, NAME-3")
    parser.add_argument("--work", required=True, type=Path, help="the folder that each agent gets a folder in")
    parser.add_argument("--parallel", type=int, default=2, help="how many jobs run at once (default: %(default)s)")
    parser.add_argument("--pool", help="take only jobs of this pool")
    parser.add_argument("--tools", type=Path, help="Agent.ToolsDirectory; default: one for each agent")
    arguments = parser.parse_args()
    token = os.environ.pop(TOKEN_VARIABLE, "")
    if not token:
        parser.error(f"{TOKEN_VARIABLE} is not set")
    if arguments.parallel < 1:
        parser.error("--parallel is at least 1")
    stopping = threading.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: stopping.set())
    agents: list[Agent] = []
    try:
        for number in range(1, arguments.parallel + 1):
            name = arguments.name if number == 1 else f"{arguments.name}-{number}"
            agents.append(_agent(arguments, name, token))
    except AgentBusyError as error:
        print(error, file=sys.stderr)
        return 2
    for agent in agents:
        agent.start()
    print(f"listening for jobs: {', '.join(agent.name for agent in agents)}", flush=True)
    stopping.wait()
    for agent in agents:
        agent.ask_to_stop()
    for agent in agents:
        agent.stop()
    return 0


def _agent(arguments: argparse.Namespace, name: str, token: str) -> Agent:
    return Agent(
        server=arguments.server,
        token=token,
        name=name,
        home=arguments.work / name,
        environment=os.environ,
        tools=arguments.tools,
        pool=arguments.pool,
        say=lambda line: print(line, flush=True),
    )


if __name__ == "__main__":
    sys.exit(main())

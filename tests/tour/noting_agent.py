"""The agent, which also notes in a file the access token of each job: nobody else could tell later what it was."""

import os
import sys
from pathlib import Path

from rehearsal.agent.__main__ import main
from rehearsal.agent.client import AgentClient
from rehearsal.agent.messages import JobRequest

VARIABLE = "NOTED_TOKENS"
"""Names the file; no step gets to know it."""

if __name__ == "__main__":
    noted = Path(os.environ.pop(VARIABLE))
    take = AgentClient.next

    def take_and_note(client: AgentClient, agent: str, pool: str | None) -> JobRequest | None:
        request = take(client, agent, pool)
        if request is not None:
            with noted.open("a", encoding="ascii") as file:
                file.write(f"{request.token}\n")
        return request

    AgentClient.next = take_and_note  # type: ignore[method-assign, assignment]  # it is this program's alone
    sys.exit(main())

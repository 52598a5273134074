"""Runs of pipelines: how they start, go on and end, and what agents have to do with it.

| module | what is in it |
|---|---|
| `queueing` | `queue`: starting a run |
| `triggers`, `schedules`, `filters` | what starts runs by itself |
| `sources`, `run_variables`, `resources` | what a run is made of: YAML, variables, protected resources |
| `documents`, `graph`, `timeline`, `logs`, `attachments` | what is kept of it |
| `machine`, `evaluation`, `checkpoints` | how it goes on |
| `orchestrator` | the thread that sees to that |
| `protocol`, `hand_out` | the agents |
| `rest`, `views`, `stages` | the REST interface |
"""

from rehearsal.azuredevops.runs import (
    attachments,  # noqa: F401 - publishes its locations
    logs,  # noqa: F401 - publishes its locations
    rest,  # noqa: F401 - publishes its locations
    stages,  # noqa: F401 - publishes its locations
    triggers,  # noqa: F401 - hears of events
)
from rehearsal.azuredevops.runs.documents import find, of_definition
from rehearsal.azuredevops.runs.machine import cancel
from rehearsal.azuredevops.runs.queueing import Request, queue
from rehearsal.azuredevops.runs.run_variables import predefined

__all__ = ["Request", "cancel", "find", "of_definition", "predefined", "queue"]

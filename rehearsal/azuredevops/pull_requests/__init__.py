"""Pull requests, from the first push to the merge.

| module | what is in it |
|---|---|
| `documents` | what is kept |
| `lifecycle` | what becomes of a pull request; hears of pushes and of ended builds |
| `merging` | merges, by git |
| `evaluation`, `builds` | the branch policies |
| `discussion` | threads, and the service's own notes |
| `views`, `rest`, `reviewing`, `threads`, `statuses`, `contents`, `evaluation_rest` | the REST interface |
"""

from rehearsal.azuredevops.pull_requests import (
    contents,  # noqa: F401 - publishes its locations
    evaluation_rest,  # noqa: F401 - publishes its locations
    lifecycle,  # noqa: F401 - hears of events
    rest,  # noqa: F401 - publishes its locations
    reviewing,  # noqa: F401 - publishes its locations
    statuses,  # noqa: F401 - publishes its locations
    threads,  # noqa: F401 - publishes its locations
)
from rehearsal.azuredevops.pull_requests.documents import active, evaluations, find

__all__ = ["active", "evaluations", "find"]

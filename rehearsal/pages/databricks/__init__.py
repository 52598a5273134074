"""The pages of the Databricks stand-in: the workspace, its jobs, and the releases that are recorded in it.

The real workspace is one page with its places behind a `#`, which no server sees; so these have paths of their own.
Runs stand where the real service has them, see `rehearsal.databricks.run_pages`.
"""

from collections.abc import Mapping

from starlette.types import ASGIApp

from rehearsal.databricks.users import EXPIRED_KEY, SEEDS
from rehearsal.pages.databricks import jobs, status, workspace
from rehearsal.pages.site import Person, Site


def site(api: ASGIApp, credentials: Mapping[str, str], secret: str) -> Site:
    """The pages.

    Args:
        api: the REST interface, with the pages of runs.
        credentials: tokens by user key.
        secret: see `Sessions`.
    """
    people = [
        Person(key=each.key, name=each.display_name, about=", ".join([each.name, *each.groups]))
        for each in SEEDS
        if each.kind == "user" and each.key != EXPIRED_KEY and each.key in credentials
    ]
    return Site(
        service="databricks",
        title="Databricks",
        home="/browse/",
        api=api,
        people=people,
        authorization=lambda key: f"Bearer {credentials[key]}",
        version={},
        secret=secret,
        places=[*workspace.PLACES, *jobs.PLACES, *status.PLACES],
    )

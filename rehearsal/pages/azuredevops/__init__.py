"""The pages of the Azure DevOps stand-in, at the paths of the real service where those are known."""

from collections.abc import Mapping
from pathlib import Path

from starlette.types import ASGIApp

from rehearsal.azuredevops.users import USERS
from rehearsal.pages.azuredevops import code, environments, home, pipelines, pulls, runs
from rehearsal.pages.azuredevops.addresses import basic
from rehearsal.pages.site import Person, Site

_ABOUT = {"administrator": "administers the organisation", "member": "member of every project", "stranger": "no rights"}


def site(api: ASGIApp, credentials: Mapping[str, str], secret: str, repositories: Path) -> Site:
    """The pages.

    Args:
        api: the REST interface.
        credentials: personal access tokens by user key.
        secret: see `Sessions`.
        repositories: the folder of the git repositories, for differences, which the REST interface doesn't tell.
    """
    people = [
        Person(key=each.key, name=each.display_name, about=f"{each.principal_name}, {_ABOUT[each.role]}")
        for each in USERS
        if each.key in credentials
    ]
    return Site(
        service="azuredevops",
        title="Azure DevOps",
        home="/rehearsal",
        api=api,
        people=people,
        authorization=lambda key: basic(credentials[key]),
        version={"api-version": "7.1-preview"},
        secret=secret,
        places=[
            *home.PLACES,
            *code.places(repositories),
            *pulls.places(repositories),
            *pipelines.PLACES,
            *runs.places(repositories),
            *environments.PLACES,
        ],
    )

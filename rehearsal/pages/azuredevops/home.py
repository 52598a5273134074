"""The organisation and its projects."""

from starlette.responses import RedirectResponse, Response

from rehearsal.azuredevops.context import ORGANIZATION
from rehearsal.pages.azuredevops.addresses import PROJECT, api, page
from rehearsal.pages.site import Page, Place, Visit


async def _root(_: Visit) -> Response:
    return RedirectResponse(page(), 303)


async def _projects(visit: Visit) -> Page:
    projects = await visit.api.get(api(None, "projects"))
    return Page("azuredevops/projects.html.j2", {"projects": projects})


async def _project(visit: Visit) -> Page:
    name = visit.route["project"]
    found = await visit.api.get(api(None, "projects", name))
    name = found["name"]
    repositories, definitions, environments, runs = await visit.api.gather(
        visit.api.get(api(name, "git", "repositories")),
        visit.api.either(api(name, "build", "definitions"), []),
        visit.api.either(api(name, "distributedtask", "environments"), []),
        visit.api.either(api(name, "build", "builds"), [], **{"$top": 10}),
    )
    content = {
        "project": name,
        "found": found,
        "repositories": repositories,
        "definitions": definitions,
        "environments": environments,
        "runs": runs[:10],
    }
    return Page("azuredevops/project.html.j2", content)


PLACES = [
    Place("/", _root),
    Place(f"/{ORGANIZATION}/?", _projects),
    Place(f"{PROJECT}/?", _project),
]

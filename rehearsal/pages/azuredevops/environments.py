"""Environments: what was deployed to each, and the checks that hold a deployment."""

from rehearsal.pages.azuredevops.addresses import PROJECT, api
from rehearsal.pages.azuredevops.approvals import check_shown
from rehearsal.pages.site import Page, Place, Visit


async def _list(visit: Visit) -> Page:
    project = visit.route["project"]
    found = await visit.api.get(api(project, "distributedtask", "environments"))
    records = await visit.api.gather(*(_records(visit, project, each["id"]) for each in found))
    content = {"project": project, "found": list(zip(found, records, strict=True))}
    return Page("azuredevops/environments.html.j2", content)


async def _records(visit: Visit, project: str, id_: int) -> list[dict[str, object]]:
    where = api(project, "distributedtask", "environments", id_, "environmentdeploymentrecords")
    found = await visit.api.either(where, [])
    return sorted(found, key=lambda each: -int(each["id"]))


async def _one(visit: Visit) -> Page:
    project, id_ = visit.route["project"], visit.route["environment"]
    environment = await visit.api.get(api(project, "distributedtask", "environments", id_))
    query = {"resourceType": "environment", "resourceId": id_, "$expand": "settings"}
    checks, records = await visit.api.gather(
        visit.api.either(api(project, "pipelines", "checks", "configurations"), [], **query),
        _records(visit, project, environment["id"]),
    )
    content = {
        "project": project,
        "environment": environment,
        "checks": [check_shown(each) for each in checks],
        "records": records,
    }
    return Page("azuredevops/environment.html.j2", content)


PLACES = [
    Place(f"{PROJECT}/_environments/?", _list),
    Place(rf"{PROJECT}/_environments/(?P<environment>\d+)", _one),
]

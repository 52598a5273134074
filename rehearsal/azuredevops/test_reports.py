"""What a build's tests say together: results by build, their summary, and code coverage.

https://learn.microsoft.com/rest/api/azure/devops/testresults and
https://learn.microsoft.com/rest/api/azure/devops/test/code-coverage.
"""

from xml.etree import ElementTree

from rehearsal.azuredevops import permissions, test_results
from rehearsal.azuredevops.context import Call
from rehearsal.azuredevops.errors import ServiceError, invalid
from rehearsal.azuredevops.permissions import PROJECT
from rehearsal.azuredevops.projects import project_of
from rehearsal.azuredevops.routing import Answer, location
from rehearsal.azuredevops.run_access import find_run
from rehearsal.azuredevops.runs import attachments
from rehearsal.store import Document, Store

# The service serves these below `test` and, on another host, below `testresults`; the older place is the one that its
# client for Python knows.
results_by_build = location(
    "Test", "ResultsByBuild", "{project}/_apis/{area}/{resource}", "3c191b88-615b-4be2-b7d9-5ff9141e91d4"
)
summary_by_build = location(
    "Test", "ResultSummaryByBuild", "{project}/_apis/{area}/{resource}", "000ef77b-fea2-498d-a10d-ad1a037f559f"
)
code_coverage = location(
    "Test", "CodeCoverage", "{project}/_apis/{area}/{resource}", "77560e8a-4e8c-4d59-894e-a5f264c24444"
)


def _build(call: Call) -> tuple[Document, Document]:
    project = project_of(call)
    token = permissions.project_token(project["id"])
    permissions.demand(call.store, call.user, PROJECT, token, "VIEW_TEST_RESULTS")
    return project, find_run(call, project, call.whole_number("buildId", -1))


@results_by_build.on("GET")
def get_results(call: Call) -> Answer:
    project, build = _build(call)
    wanted = [each.casefold() for each in call.query.get("outcomes", "").split(",") if each]
    found = []
    for test_run in test_results.of_build(call.store, project, build["id"]):
        for each in test_results.results_of(call.store, project, test_run):
            if wanted and each["outcome"].casefold() not in wanted:
                continue
            found.append(
                {
                    "id": each["id"],
                    "refId": each["id"],
                    "runId": test_run["id"],
                    "testCaseTitle": each.get("testCaseTitle"),
                    "automatedTestName": each.get("automatedTestName"),
                    "automatedTestStorage": each.get("automatedTestStorage"),
                    "outcome": each["outcome"],
                    "durationInMs": each["durationInMs"],
                    "priority": each.get("priority", 255),
                    "isReRun": False,
                    "tags": [],
                }
            )
    return found[: call.whole_number("$top", 10_000)]


@summary_by_build.on("GET")
def get_summary(call: Call) -> Answer:
    project, build = _build(call)
    runs = test_results.of_build(call.store, project, build["id"])
    found = [each for run in runs for each in test_results.results_of(call.store, project, run)]
    by_outcome: dict[str, Document] = {}
    for each in found:
        entry = by_outcome.setdefault(each["outcome"], {"outcome": each["outcome"], "count": 0, "duration": 0.0})
        entry |= {"count": entry["count"] + 1, "duration": entry["duration"] + each["durationInMs"]}
    return {
        "teamProject": {"id": project["id"], "name": project["name"]},
        "noConfigRunsCount": len(runs),
        "totalRunsCount": len(runs),
        "aggregatedResultsAnalysis": {
            "totalTests": len(found),
            "duration": _duration(sum(each["durationInMs"] for each in found)),
            "resultsByOutcome": {
                name.lower(): each | {"duration": _duration(each["duration"])} for name, each in by_outcome.items()
            },
        },
    }


def _duration(milliseconds: float) -> str:
    """A span of time as .NET writes it."""
    seconds, rest = divmod(round(milliseconds), 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:03}0000"


def coverage_of(store: Store, project_id: str, build_id: int) -> dict[str, tuple[int, int]]:
    """How much of the code a build's tests have run: covered and total, of `Lines` and `Branches`.

    What was published in several files counts together; what isn't known is missing.
    """
    sums: dict[str, tuple[int, int]] = {}
    for name, content in attachments.of_run(store, project_id, build_id, "coverage"):
        try:
            # The agent has read it before; since expat 2.4.1 it doesn't expand entities without end.
            root = ElementTree.fromstring(content)  # noqa: S314
            for label, attribute in (("Lines", "lines"), ("Branches", "branches")):
                covered, total = int(root.get(f"{attribute}-covered", 0)), int(root.get(f"{attribute}-valid", 0))
                before = sums.get(label, (0, 0))
                if total:
                    sums[label] = (before[0] + covered, before[1] + total)
        except (ElementTree.ParseError, ValueError) as error:
            raise ServiceError(500, f"The code coverage {name} can't be read: {error}.", "CoverageException") from None
    return sums


@code_coverage.on("GET")
def get_coverage(call: Call) -> Answer:
    """Without `flags` the summary; with them a list of modules, which a file of Cobertura's doesn't have."""
    if not call.query.get("buildid", "").isdigit():
        raise invalid("The value of buildId is not valid.")
    project, build = _build(call)
    found = coverage_of(call.store, project["id"], build["id"])
    reference = {"id": str(build["id"]), "url": call.url(project["id"], "_apis", "build", "Builds", build["id"])}
    if "flags" in call.query:
        return [{"configuration": {"id": build["id"], "uri": reference["url"]}, "state": "0", "modules": []}]
    stats = [
        {"label": label, "position": position, "total": total, "covered": covered, "isDeltaAvailable": False}
        for position, (label, (covered, total)) in enumerate(found.items(), 1)
    ]
    data = [{"buildPlatform": "", "buildFlavor": "", "coverageStats": stats}] if stats else []
    return {"coverageData": data, "build": reference, "deltaBuild": None, "status": "completed"}

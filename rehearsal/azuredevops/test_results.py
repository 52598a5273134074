"""Published test results: https://learn.microsoft.com/rest/api/azure/devops/test/runs and …/test/results.

A test run belongs to a build and holds results. `test_reports` answers what a build's page asks about all of them.
"""

from datetime import datetime

from rehearsal.azuredevops import identities, permissions
from rehearsal.azuredevops.context import Call, now
from rehearsal.azuredevops.errors import ServiceError, invalid, missing_value
from rehearsal.azuredevops.permissions import PROJECT
from rehearsal.azuredevops.projects import project_of
from rehearsal.azuredevops.routing import Answer, location
from rehearsal.azuredevops.run_access import find_run
from rehearsal.store import Document, Store

runs = location("Test", "Runs", "{project}/_apis/{area}/{resource}/{runId}", "cadb3810-d47d-4a3c-a234-fe5f3be50138")
results = location(
    "Test",
    "Results",
    "{project}/_apis/{area}/Runs/{runId}/{resource}/{testCaseResultId}",
    "4637d869-3a76-4468-8057-0bb02aa385cf",
)
statistics = location(
    "Test", "Statistics", "{project}/_apis/{area}/Runs/{runId}/{resource}", "0a42c424-d764-4a16-a2d5-5c85f87d0ae8"
)

STATES = ("Unspecified", "NotStarted", "InProgress", "Completed", "Waiting", "Aborted", "NeedsInvestigation")
OUTCOMES = (
    "Unspecified", "None", "Passed", "Failed", "Inconclusive", "Timeout", "Aborted", "Blocked", "NotExecuted",
    "Warning", "Error", "NotApplicable", "Paused", "InProgress", "NotImpacted",
)  # fmt: skip
_FIRST_RESULT = 100000  # the service numbers the results of every test run from here
_RESULT_LIMIT = 1000  # results in one answer and in one request, by the documentation

_RESULT_FIELDS = (
    "testCaseTitle", "automatedTestName", "automatedTestStorage", "automatedTestType", "automatedTestId", "comment",
    "computerName", "errorMessage", "stackTrace", "priority", "startedDate", "completedDate", "failureType", "owner",
    "customFields", "subResults", "resultGroupType",
)  # fmt: skip
_RUN_FIELDS = (
    "comment", "errorMessage", "buildPlatform", "buildFlavor", "pipelineReference", "releaseUri",
    "releaseEnvironmentUri", "controller", "tags", "type", "dueDate", "iteration",
)  # fmt: skip


def _key(project: Document, id_: int) -> str:
    return f"{project['id']}/{id_:09}"


def of_build(store: Store, project: Document, build_id: int) -> list[Document]:
    """The test runs of a build, the oldest first."""
    return [each for each in store.all("test-run", f"{project['id']}/") if each["build"] == build_id]


def results_of(store: Store, project: Document, test_run: Document) -> list[Document]:
    """The results of a test run, in the order in which they were published."""
    return store.all("test-result", f"{_key(project, test_run['id'])}/")


def counted(found: list[Document]) -> dict[str, int]:
    """How many results there are of each outcome."""
    counts: dict[str, int] = {}
    for each in found:
        counts[each["outcome"]] = counts.get(each["outcome"], 0) + 1
    return counts


def _word(given: object, known: tuple[str, ...], what: str) -> str:
    """A word in any case, as the service takes enumerations."""
    word = next((each for each in known if each.casefold() == str(given).casefold()), None)
    if word is None:
        raise invalid(f"The value '{given}' is not valid for {what}.")
    return word


def _demand(call: Call, project: Document, action: str) -> None:
    permissions.demand(call.store, call.user, PROJECT, permissions.project_token(project["id"]), action)


def _shown_run(call: Call, project: Document, test_run: Document) -> Document:
    counts = test_run["counts"]
    total = sum(counts.values())
    url = call.url(project["name"], "_apis", "test", "Runs", test_run["id"])
    owner = call.store.get("identity", test_run["owner"])
    person = identities.reference(owner, call.vssps) if owner else None
    others = sum(counts.get(each, 0) for each in ("NotApplicable", "NotExecuted"))
    return {
        **test_run["given"],
        "id": test_run["id"],
        "name": test_run["name"],
        "url": url,
        "webAccessUrl": call.url(project["name"], "_TestManagement", "Runs") + f"?runId={test_run['id']}",
        "isAutomated": test_run["isAutomated"],
        "state": test_run["state"],
        "owner": person,
        "lastUpdatedBy": person,
        "project": {"id": project["id"], "name": project["name"]},
        "build": _build(call, project, test_run["build"]),
        "createdDate": test_run["createdDate"],
        "startedDate": test_run["startedDate"],
        "completedDate": test_run["completedDate"],
        "lastUpdatedDate": test_run["lastUpdatedDate"],
        "totalTests": total,
        "passedTests": counts.get("Passed", 0),
        "incompleteTests": 0,
        "notApplicableTests": others,
        "unanalyzedTests": counts.get("Failed", 0),
        "runStatistics": _statistics(counts),
        "revision": test_run["revision"],
    }


def _statistics(counts: dict[str, int]) -> list[Document]:
    return [{"state": "Completed", "outcome": outcome, "count": count} for outcome, count in sorted(counts.items())]


def _build(call: Call, project: Document, build_id: int | None) -> Document | None:
    if build_id is None:
        return None
    run = call.store.get("run", f"{project['id']}/{build_id:09}") or {}
    url = call.url(project["id"], "_apis", "build", "Builds", build_id)
    return {"id": str(build_id), "name": str(run.get("number", "")), "url": url}


def find(call: Call, project: Document) -> Document:
    """The test run that the path names, if the user may see it.

    Raises:
        ServiceError: 404, when there is none; 403, when the user may see no test results.
    """
    _demand(call, project, "VIEW_TEST_RESULTS")
    id_ = call.number("runId")
    found = call.store.get("test-run", _key(project, id_))
    if found is None:
        raise ServiceError(404, f"Test run {id_} cannot be found.", "TestObjectNotFoundException")
    return found


@runs.on("POST")
def create(call: Call) -> Answer:
    project, body = project_of(call), call.document()
    name = str(body.get("name") or "").strip()
    if not name:
        raise missing_value("testRun.Name")
    given = str((body.get("build") or {}).get("id") or "")
    if given and not given.isdigit():
        raise invalid(f"The value '{given}' is not valid for build.id.")
    build_id = find_run(call, project, int(given))["id"] if given else None
    _demand(call, project, "PUBLISH_TEST_RESULTS")
    id_, time = call.store.next_number("test-run"), now()
    test_run = {
        "id": id_,
        "name": name,
        "build": build_id,
        "owner": call.user["id"],
        "isAutomated": bool(body.get("automated", body.get("isAutomated", False))),
        "state": _word(body.get("state") or "NotStarted", STATES, "state"),
        "createdDate": time,
        "startedDate": body.get("startDate") or time,
        "completedDate": body.get("completeDate"),
        "lastUpdatedDate": time,
        "revision": 1,
        "results": 0,
        "counts": {},
        "given": {each: body[each] for each in _RUN_FIELDS if body.get(each) is not None},
    }
    call.store.put("test-run", _key(project, id_), test_run)
    return _shown_run(call, project, test_run)


@runs.on("PATCH")
def update(call: Call) -> Answer:
    project, body = project_of(call), call.document()
    test_run = find(call, project)
    _demand(call, project, "PUBLISH_TEST_RESULTS")
    if body.get("state"):
        test_run["state"] = _word(body["state"], STATES, "state")
    if body.get("name"):
        test_run["name"] = str(body["name"])
    test_run["given"] |= {each: body[each] for each in _RUN_FIELDS if body.get(each) is not None}
    if test_run["state"] in ("Completed", "Aborted", "NeedsInvestigation"):
        test_run["completedDate"] = body.get("completedDate") or test_run["completedDate"] or now()
    _changed(call, project, test_run)
    return _shown_run(call, project, test_run)


def _changed(call: Call, project: Document, test_run: Document) -> None:
    test_run |= {"revision": test_run["revision"] + 1, "lastUpdatedDate": now()}
    call.store.put("test-run", _key(project, test_run["id"]), test_run)


@runs.on("DELETE")
def delete(call: Call) -> Answer:
    project = project_of(call)
    test_run = find(call, project)
    _demand(call, project, "DELETE_TEST_RESULTS")
    for place, _ in call.store.items("test-result", f"{_key(project, test_run['id'])}/"):
        call.store.delete("test-result", place)
    call.store.delete("test-run", _key(project, test_run["id"]))
    return None


@runs.on("GET")
def get(call: Call) -> Answer:
    project, query = project_of(call), call.query
    if "runId" in call.route:
        return _shown_run(call, project, find(call, project))
    _demand(call, project, "VIEW_TEST_RESULTS")
    found = call.store.all("test-run", f"{project['id']}/")
    if query.get("builduri"):
        found = [each for each in found if f"vstfs:///Build/Build/{each['build']}" == query["builduri"]]
    if query.get("buildids"):
        found = [each for each in found if str(each["build"]) in query["buildids"].split(",")]
    if query.get("runtitle"):
        found = [each for each in found if each["name"] == query["runtitle"]]
    if query.get("automated") or query.get("isautomated"):
        wanted = call.flag("automated") or call.flag("isautomated")
        found = [each for each in found if each["isAutomated"] is wanted]
    if query.get("minlastupdateddate"):
        begin, end = (_date(call, name) for name in ("minlastupdateddate", "maxlastupdateddate"))
        found = [each for each in found if begin <= datetime.fromisoformat(each["lastUpdatedDate"]) <= end]
    skip = call.whole_number("$skip", 0)
    return [_shown_run(call, project, each) for each in found[skip : skip + call.whole_number("$top", 100)]]


def _date(call: Call, name: str) -> datetime:
    try:
        return datetime.fromisoformat(call.query.get(name, ""))
    except ValueError:
        raise invalid(f"The value '{call.query.get(name)}' is not valid for {name}.") from None


def _shown_result(call: Call, project: Document, test_run: Document, result: Document) -> Document:
    url = call.url(project["name"], "_apis", "test", "Runs", test_run["id"], "Results", result["id"])
    return {
        **result,
        "url": url,
        "project": {"id": project["id"], "name": project["name"]},
        "testRun": {"id": str(test_run["id"]), "name": test_run["name"]},
        "build": _build(call, project, test_run["build"]),
    }


def _checked(given: object, before: Document) -> Document:
    if not isinstance(given, dict):
        raise missing_value("results")
    result = before | {each: given[each] for each in _RESULT_FIELDS if given.get(each) is not None}
    for name, words, other in (("outcome", OUTCOMES, "Unspecified"), ("state", STATES, "Completed")):
        result[name] = _word(given.get(name) or before.get(name) or other, words, name)
    duration = given.get("durationInMs", before.get("durationInMs")) or 0
    try:
        result["durationInMs"] = float(duration)
    except (TypeError, ValueError):
        raise invalid(f"The value '{duration}' is not valid for durationInMs.") from None
    return result


def _given_results(call: Call) -> list[object]:
    body = call.json()
    if not isinstance(body, list) or not body:
        raise missing_value("results")
    if len(body) > _RESULT_LIMIT:
        raise invalid(f"At most {_RESULT_LIMIT} results can be published at once.")
    return body


@results.on("POST")
def add_results(call: Call) -> Answer:
    project = project_of(call)
    test_run = find(call, project)
    _demand(call, project, "PUBLISH_TEST_RESULTS")
    made = []
    for each in _given_results(call):
        time = now()
        result = _checked(each, {"startedDate": time, "completedDate": time})
        if not result.get("testCaseTitle") and not result.get("automatedTestName"):
            raise missing_value("testCaseTitle")
        result |= {"id": _FIRST_RESULT + test_run["results"], "createdDate": time, "lastUpdatedDate": time}
        test_run["results"] += 1
        test_run["counts"][result["outcome"]] = test_run["counts"].get(result["outcome"], 0) + 1
        call.store.put("test-result", f"{_key(project, test_run['id'])}/{result['id']:09}", result)
        made.append(result)
    _changed(call, project, test_run)
    return [_shown_result(call, project, test_run, each) for each in made]


@results.on("PATCH")
def update_results(call: Call) -> Answer:
    project = project_of(call)
    test_run = find(call, project)
    _demand(call, project, "PUBLISH_TEST_RESULTS")
    made = []
    for each in _given_results(call):
        id_ = each.get("id") if isinstance(each, dict) else None
        before = _result(call, project, test_run, id_ if isinstance(id_, int) else -1)
        result = _checked(each, before) | {"lastUpdatedDate": now()}
        call.store.put("test-result", f"{_key(project, test_run['id'])}/{result['id']:09}", result)
        made.append(result)
    test_run["counts"] = counted(results_of(call.store, project, test_run))
    _changed(call, project, test_run)
    return [_shown_result(call, project, test_run, each) for each in made]


def _result(call: Call, project: Document, test_run: Document, id_: int) -> Document:
    found = call.store.get("test-result", f"{_key(project, test_run['id'])}/{id_:09}")
    if found is None:
        raise ServiceError(404, f"Test result {id_} cannot be found.", "TestObjectNotFoundException")
    return found


@results.on("GET")
def get_results(call: Call) -> Answer:
    project = project_of(call)
    test_run = find(call, project)
    if "testCaseResultId" in call.route:
        result = _result(call, project, test_run, call.number("testCaseResultId"))
        return _shown_result(call, project, test_run, result)
    found = results_of(call.store, project, test_run)
    if call.query.get("outcomes"):
        wanted = [each.casefold() for each in call.query["outcomes"].split(",")]
        found = [each for each in found if each["outcome"].casefold() in wanted]
    skip, top = call.whole_number("$skip", 0), min(call.whole_number("$top", _RESULT_LIMIT), _RESULT_LIMIT)
    return [_shown_result(call, project, test_run, each) for each in found[skip : skip + top]]


@statistics.on("GET")
def get_statistics(call: Call) -> Answer:
    project = project_of(call)
    test_run = find(call, project)
    run = {"id": str(test_run["id"]), "name": test_run["name"]}
    return {"run": run, "runStatistics": _statistics(test_run["counts"])}

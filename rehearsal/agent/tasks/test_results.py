"""`PublishTestResults@2` for JUnit files: they become test runs of the build, through the REST interface.

https://learn.microsoft.com/azure/devops/pipelines/tasks/reference/publish-test-results-v2 and
https://learn.microsoft.com/rest/api/azure/devops/test/runs, .../test/results. How JUnit's elements become results
follows https://github.com/microsoft/azure-pipelines-agent/blob/master/src/Agent.Worker/TestResults/Legacy/JunitResultReader.cs.
"""

import platform
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from rehearsal.agent import patterns
from rehearsal.agent.client import RestClient, ServiceAwayError, ServiceRefusalError
from rehearsal.agent.step_context import StepContext, TaskFailedError
from rehearsal.agent.tasks.inputs import Inputs

_BATCH = 100  # results in one call
_MOST_RUNS = 1000  # in one answer
_TITLE_LIMIT = 256


@dataclass
class _Results:
    """What a file says."""

    file: Path
    cases: list[dict[str, Any]] = field(default_factory=list)

    def count(self, outcome: str) -> int:
        return sum(case["outcome"] == outcome for case in self.cases)


def publish(step: StepContext, inputs: Inputs) -> None:
    """Publishes the test results of the files that match.

    Raises:
        TaskFailedError: tests have failed, no file was found or nothing could be published, if that is to fail.
    """
    root = Path(inputs["searchFolder"] or step.job.variable("System.DefaultWorkingDirectory"))
    files = patterns.find(inputs["testResultsFiles"], root)
    if not files:
        message = f"No test result files matching {inputs['testResultsFiles']} were found."
        if inputs.flag("failTaskOnMissingResultsFile"):
            raise TaskFailedError(message)
        step.warning(message)
        return
    found = [results for file in files if (results := _read(step, file)) is not None]
    groups = [found] if inputs.flag("mergeTestResults") else [[each] for each in found]
    try:
        for number, group in enumerate(groups, 1):
            _publish(step, inputs, group, number if len(groups) > 1 else 0)
    except (ServiceRefusalError, ServiceAwayError) as error:
        message = f"Failed to publish test results: {error}"
        if inputs.flag("failTaskOnFailureToPublishResults"):
            raise TaskFailedError(message) from error
        step.warning(message)
    failed = sum(results.count("Failed") for results in found)
    if failed and inputs.flag("failTaskOnFailedTests"):
        raise TaskFailedError("There are one or more test failures detected in result files.")


def _publish(step: StepContext, inputs: Inputs, group: list[_Results], number: int) -> None:
    cases = [case for results in group for case in results.cases]
    rest, request, mask = step.job.rest, step.job.request, step.job.masker.mask
    title = mask(inputs["testRunTitle"]) or f"JUnit_TestResults_{request.run_id}"
    # What tells this run of tests from all others: when an answer is lost, it is looked for before it is made again.
    mark = str(uuid.uuid4())
    run = rest.add(
        "test/runs",
        {
            "comment": mark,
            "name": (f"{title}_{number}" if number else title)[:_TITLE_LIMIT],
            "isAutomated": True,
            "state": "InProgress",
            "type": "NoConfigRun",
            "build": {"id": str(request.run_id)},
            "buildPlatform": mask(inputs["platform"]),
            "buildFlavor": mask(inputs["configuration"]),
            "pipelineReference": {
                "pipelineId": request.run_id,
                "stageReference": {"stageName": request.stage, "attempt": request.attempt},
                "jobReference": {"jobName": request.name, "attempt": request.attempt},
            },
        },
        partial(_made, rest, request.run_id, mark),
    )
    for start in range(0, len(cases), _BATCH):
        step.interruption()
        batch = cases[start : start + _BATCH]
        rest.add(f"test/Runs/{run['id']}/results", batch, partial(_has, rest, run["id"], start + len(batch)))
    rest.call("PATCH", f"test/runs/{run['id']}", json={"state": "Completed"})
    counts = {outcome: sum(results.count(outcome) for results in group) for outcome in ("Passed", "Failed")}
    others = len(cases) - sum(counts.values())
    step.output(f"Test results of {len(group)} file(s) published as run {run['id']}: {title}")
    step.output(f"Total tests: {len(cases)}, passed: {counts['Passed']}, failed: {counts['Failed']}, others: {others}")


def _made(rest: RestClient, build: int, mark: str) -> Any:
    """The build's run of tests with this mark, or None."""
    query = {"buildUri": f"vstfs:///Build/Build/{build}", "includeRunDetails": "true", "$top": str(_MOST_RUNS)}
    found = rest.call("GET", "test/runs", **query)["value"]
    return next((each for each in found if each.get("comment") == mark), None)


def _has(rest: RestClient, run: int, count: int) -> Any:
    """The run of tests, if it has so many results; else None."""
    found = rest.call("GET", f"test/runs/{run}")
    return found if found["totalTests"] >= count else None


def _read(step: StepContext, file: Path) -> _Results | None:
    try:
        # The file is the step's own; since expat 2.4.1 it doesn't expand entities without end.
        root = ElementTree.parse(file).getroot()  # noqa: S314
    except ElementTree.ParseError as error:
        step.warning(f"Failed to read {file}. Error: {error}.")
        return None
    if root.tag not in ("testsuites", "testsuite"):
        step.warning(f"Failed to read {file}. Error: it has no test suites.")
        return None
    return _Results(file, list(_cases(step, root, file.name)))


def _cases(step: StepContext, element: ElementTree.Element, file: str) -> Iterator[dict[str, Any]]:
    for suite in element.iter("testsuite"):
        storage = suite.get("name") or file
        for case in suite.findall("testcase"):
            yield _case(step, case, storage, suite.get("hostname"))


def _case(step: StepContext, case: ElementTree.Element, storage: str, host: str | None) -> dict[str, Any]:
    # What a test is called and what it says when it fails may hold a secret, and is shown like a log.
    mask = step.job.masker.mask
    failure = next((found for tag in ("failure", "error") if (found := case.find(tag)) is not None), None)
    skipped = case.find("skipped")
    name, parent = mask(case.get("name") or ""), mask(case.get("classname") or "")
    result: dict[str, Any] = {
        "testCaseTitle": name[:_TITLE_LIMIT],
        "automatedTestName": f"{parent}.{name}" if parent else name,
        "automatedTestStorage": mask(storage),
        "automatedTestType": "JUnit",
        "outcome": "Failed" if failure is not None else "NotExecuted" if skipped is not None else "Passed",
        "state": "Completed",
        "durationInMs": round(_seconds(case.get("time")) * 1000),
        "computerName": mask(host or platform.node()),
    }
    told = failure if failure is not None else skipped
    if told is not None:
        text = (told.text or "").strip()
        result["errorMessage"] = mask(told.get("message") or text.partition("\n")[0])
        result["stackTrace"] = mask(text)
    return result


def _seconds(text: str | None) -> float:
    try:
        return float((text or "0").replace(",", ""))
    except ValueError:
        return 0.0

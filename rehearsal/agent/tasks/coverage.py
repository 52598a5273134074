"""`PublishCodeCoverageResults@1` for Cobertura files.

https://learn.microsoft.com/azure/devops/pipelines/tasks/reference/publish-code-coverage-results-v1. (Of version 2 the
published schema of pipelines knows the name and no input.) The published task reads JaCoCo's files too and makes a
report; here each file is one attachment of the run.
"""

from pathlib import Path
from xml.etree import ElementTree

from rehearsal.agent import patterns
from rehearsal.agent.step_context import StepContext, TaskFailedError
from rehearsal.agent.tasks.inputs import Inputs


def publish(step: StepContext, inputs: Inputs) -> None:
    """Publishes the coverage files that match.

    Raises:
        TaskFailedError: a file isn't Cobertura's, or there is none and that is to fail.
    """
    root = Path(step.job.variable("System.DefaultWorkingDirectory"))
    files = patterns.find(inputs["summaryFileLocation"], root)
    if not files:
        message = "No code coverage results were found to publish."
        if inputs.flag("failIfCoverageEmpty"):
            raise TaskFailedError(message)
        step.warning(message)
        return
    for number, file in enumerate(files):
        step.interruption()
        name = file.name if number == 0 else f"{number}-{file.name}"
        step.job.client.attachment(step.job.request.id, "coverage", name, _checked(file))
        step.output(f"Code coverage of {file} was published.")


def _checked(file: Path) -> bytes:
    content = file.read_bytes()
    try:
        # The file is the step's own; since expat 2.4.1 it doesn't expand entities without end.
        root = ElementTree.fromstring(content)  # noqa: S314
    except ElementTree.ParseError as error:
        raise TaskFailedError(f"The coverage file {file} can't be read: {error}") from error
    if root.tag != "coverage" or "line-rate" not in root.attrib:
        raise TaskFailedError(f"The coverage file {file} is not Cobertura's, the only format that the rehearsal reads.")
    return content

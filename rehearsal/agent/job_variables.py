"""The variables of a job: the service's, the agent's, those of the pipeline, and the secret ones.

https://learn.microsoft.com/azure/devops/pipelines/build/variables
"""

import platform
from dataclasses import replace

from rehearsal.agent.directories import AgentDirectories, JobDirectories
from rehearsal.agent.language.errors import Position
from rehearsal.agent.language.plan import Variable
from rehearsal.agent.language.runtime import RunVariables
from rehearsal.agent.messages import JobRequest

VERSION = "4.248.0"
"""Of Azure's agent that this one does as."""

_NOWHERE = Position("", 0, 0)


def job_variables(
    request: JobRequest, agent: str, folders: AgentDirectories, directories: JobDirectories
) -> RunVariables:
    """The variables that the steps of a job begin with.

    Args:
        request: the job.
        agent: its name.
        folders: those of the agent.
        directories: those of the job.
    """
    secrets = {name.lower(): value for name, value in request.secrets.items()}
    named = {variable.name.lower() for variable in request.variables}
    added = [
        Variable(name=name, value=value, secret=True, position=_NOWHERE)
        for name, value in request.secrets.items()
        if name.lower() not in named
    ]
    given = [
        replace(each, value=secrets[each.name.lower()]) if each.secret and each.name.lower() in secrets else each
        for each in request.variables
    ]
    token = Variable(name="System.AccessToken", value=request.token, secret=True, readonly=True, position=_NOWHERE)
    return RunVariables({**request.predefined, **_own(request, agent, folders, directories)}, added, given, [token])


def _own(request: JobRequest, agent: str, folders: AgentDirectories, directories: JobDirectories) -> dict[str, str]:
    """What the agent knows: https://learn.microsoft.com/azure/devops/pipelines/build/variables#agent-variables."""
    sources, staging = str(directories.sources), str(directories.staging)
    return {
        "Agent.BuildDirectory": str(directories.workspace),
        "Agent.HomeDirectory": str(folders.home),
        "Agent.Id": "1",
        "Agent.JobName": request.display_name,
        "Agent.JobStatus": "Succeeded",
        "Agent.MachineName": platform.node(),
        "Agent.Name": agent,
        "Agent.OS": {"Darwin": "Darwin", "Windows": "Windows_NT"}.get(platform.system(), "Linux"),
        "Agent.OSArchitecture": {"aarch64": "ARM64", "arm64": "ARM64"}.get(platform.machine(), "X64"),
        "Agent.RootDirectory": str(folders.work),
        "Agent.TempDirectory": str(directories.temp),
        "Agent.ToolsDirectory": str(directories.tools),
        "Agent.Version": VERSION,
        "Agent.WorkFolder": str(folders.work),
        "Build.ArtifactStagingDirectory": staging,
        "Build.BinariesDirectory": str(directories.binaries),
        "Build.Repository.LocalPath": sources,
        "Build.SourcesDirectory": sources,
        "Build.StagingDirectory": staging,
        "Common.TestResultsDirectory": str(directories.test_results),
        "Pipeline.Workspace": str(directories.workspace),
        "System.ArtifactsDirectory": staging,
        "System.Culture": "en-US",
        "System.DefaultWorkingDirectory": sources,
        "System.WorkFolder": str(folders.work),
    }

"""The folders of an agent, as Azure's lays them out: `_work/1/s` and its neighbours, one number for each pipeline.

https://learn.microsoft.com/azure/devops/pipelines/build/variables#agent-variables and
https://github.com/microsoft/azure-pipelines-agent/blob/master/src/Agent.Worker/Build/BuildDirectoryManager.cs
"""

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_MAPPINGS = "SourceRootMapping/Mappings.json"


@dataclass(frozen=True, slots=True)
class JobDirectories:
    """The folders of one job. `workspace` is `Pipeline.Workspace`; `temp` is emptied at the beginning of each job."""

    workspace: Path
    temp: Path
    tools: Path

    @property
    def sources(self) -> Path:
        """`Build.SourcesDirectory`: what was checked out."""
        return self.workspace / "s"

    @property
    def staging(self) -> Path:
        """`Build.ArtifactStagingDirectory`: empty at the beginning of each job."""
        return self.workspace / "a"

    @property
    def binaries(self) -> Path:
        """`Build.BinariesDirectory`."""
        return self.workspace / "b"

    @property
    def test_results(self) -> Path:
        """`Common.TestResultsDirectory`: empty at the beginning of each job."""
        return self.workspace / "TestResults"


class AgentDirectories:
    """The folders of one agent, which runs one job at a time.

    Args:
        home: `Agent.HomeDirectory`; made when it is missing.
        tools: `Agent.ToolsDirectory`; None: `_work/_tool`.
    """

    def __init__(self, home: Path, tools: Path | None = None) -> None:
        self.home = home.resolve()
        self.work = self.home / "_work"
        self.temp = self.work / "_temp"
        self.tools = tools.resolve() if tools else self.work / "_tool"
        for folder in (self.work, self.tools):
            folder.mkdir(parents=True, exist_ok=True)

    def of_job(self, pipeline: str, clean: str | None) -> JobDirectories:
        """Makes the folders for a job ready.

        Args:
            pipeline: names the pipeline; the same name gets the same folder again.
            clean: `workspace: clean:` of the job: `outputs`, `resources`, `all` or None.
        """
        found = JobDirectories(self.work / self._number(pipeline), self.temp, self.tools)
        cleaned = {
            "outputs": (found.binaries,),
            "resources": (found.sources,),
            "all": (found.workspace,),
        }.get(clean or "", ())
        for folder in (*cleaned, self.temp, found.staging, found.test_results):
            remove(folder)
        for folder in (found.sources, found.staging, found.binaries, found.test_results, self.temp):
            folder.mkdir(parents=True, exist_ok=True)
        return found

    def _number(self, pipeline: str) -> str:
        file = self.work / _MAPPINGS
        numbers: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
        if pipeline not in numbers:
            numbers[pipeline] = max(numbers.values(), default=0) + 1
            file.parent.mkdir(exist_ok=True)
            fresh = file.with_suffix(".new")
            fresh.write_text(json.dumps(numbers, indent=2))
            fresh.replace(file)
        return str(numbers[pipeline])


def remove(path: Path) -> None:
    """Removes a file, a link or a folder with all that is in it, folders without right to write included."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        for folder in (path, *_folders(path)):
            folder.chmod(0o700)
        shutil.rmtree(path)


def _folders(path: Path) -> Iterable[Path]:
    return (each for each in path.rglob("*") if each.is_dir() and not each.is_symlink())

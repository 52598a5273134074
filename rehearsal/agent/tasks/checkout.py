"""`checkout`: fetches a repository into the job's folder.

https://learn.microsoft.com/azure/devops/pipelines/yaml-schema/steps-checkout and
https://github.com/microsoft/azure-pipelines-agent/blob/master/src/Agent.Plugins/GitSourceProvider.cs. The token goes to
git through its environment (https://git-scm.com/docs/git-config#Documentation/git-config.txt-GITCONFIGCOUNT), never
through arguments or `.git/config`, unless `persistCredentials` says that later steps are to find it there.
"""

from collections.abc import Mapping
from pathlib import Path

from rehearsal.agent.context import JobContext, PostStep
from rehearsal.agent.directories import remove
from rehearsal.agent.feed import Record
from rehearsal.agent.language.plan import CheckoutStep
from rehearsal.agent.messages import Repository
from rehearsal.agent.step_context import StepContext, TaskFailedError

_TRUE = {"true", "1", "y", "yes", "on"}
_HEADS = "refs/heads/"
_HEADER = "http.{url}.extraheader"


def target(repository: Repository, workspace: Path, path: str, *, several: bool) -> Path:
    """Where a repository goes: `s`, with several of them `s/name`, or the step's `path` below the workspace.

    Raises:
        TaskFailedError: the path leads out of the workspace.
    """
    if path:
        chosen = (workspace / path).resolve()
        if not chosen.is_relative_to(workspace.resolve()) or chosen == workspace.resolve():
            raise TaskFailedError(f"Input path '{path}' should resolve to a directory under '{workspace}'.")
        return chosen
    return workspace / "s" / repository.name if several else workspace / "s"


def checkout(step: StepContext, plan: CheckoutStep, *, several: bool) -> None:
    """Fetches and checks out what `plan` names.

    Raises:
        TaskFailedError: there is no such repository, or git fails.
    """
    job = step.job
    repository = job.request.repositories.get(plan.repository)
    if repository is None:
        raise TaskFailedError(f"The repository '{plan.repository}' is not a resource of this pipeline.")
    inputs = {name: job.variables.expand(value).strip() for name, value in plan.inputs.items()}
    folder = target(repository, job.directories.workspace, inputs.get("path", ""), several=several)
    step.output(f"Syncing repository: {repository.name} (Git)")
    _Checkout(step, repository, folder, inputs).run()
    if not several:
        for name in ("Build.SourcesDirectory", "Build.Repository.LocalPath", "System.DefaultWorkingDirectory"):
            job.variables.provide(name, str(folder))


class _Checkout:
    def __init__(self, step: StepContext, repository: Repository, folder: Path, inputs: Mapping[str, str]) -> None:
        self._step = step
        self._repository = repository
        self._folder = folder
        self._inputs = inputs
        self._secret = git_environment(step.job.base, repository.url, step.job.request.token)

    def run(self) -> None:
        self._prepare()
        depth = self._inputs.get("fetchDepth", "0")
        if not depth.isdecimal():
            raise TaskFailedError(f"fetchDepth must be a whole number, not '{depth}'")
        commit, ref = self._repository.commit, self._repository.ref
        # One commit if not all are wanted; else all branches, and the ref itself if it is none, but a pull request's.
        one = f"+{commit}:refs/remotes/origin/{commit}"
        whole = ["+refs/heads/*:refs/remotes/origin/*"]
        if not ref.startswith(_HEADS):
            whole.append(f"+{ref}:refs/remotes/{ref.removeprefix('refs/')}")
        tags = "--tags" if self._flag("fetchTags") else "--no-tags"
        # What the service does by default about tags has changed over time, with the age of the pipeline; depth 0 is
        # all of the history, and the service's setting of the pipeline isn't part of the rehearsal.
        options = ["--force", tags, "--prune", "--progress", "--no-recurse-submodules"]
        if depth != "0":
            options.append(f"--depth={depth}")
        elif (self._folder / ".git" / "shallow").exists():
            options.append("--unshallow")
        self._git("fetch", *options, "origin", *(whole if depth == "0" else [one]), environment=self._secret)
        if depth == "0" and not self._has(commit):
            # A branch that was pushed over or deleted since, or a pull request that was pushed to. Azure's agent builds
            # what a pull request's ref has become by then; here it is the commit that the run names.
            self._git("fetch", "--force", tags, "--no-recurse-submodules", "origin", one, environment=self._secret)
        self._git("checkout", "--progress", "--force", "--detach", commit)
        if self._flag("persistCredentials"):
            self._persist()

    def _prepare(self) -> None:
        folder, url = self._folder, self._repository.url
        if (folder / ".git").exists() and self._remote() != url:
            self._step.output(f"The folder {folder} holds another repository and is made anew.")
            remove(folder)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / ".git").exists():
            for left in folder.iterdir():
                remove(left)
            self._git("init", "--quiet", ".")
            self._git("remote", "add", "origin", url)
            self._git("config", "gc.auto", "0")
            return
        (folder / ".git" / "index.lock").unlink(missing_ok=True)  # of a git that was killed
        if self._flag("clean"):
            self._git("clean", "-ffdx")
            self._git("reset", "--hard", "HEAD")

    def _remote(self) -> str:
        file = self._folder / ".git" / "config"
        config = file.read_text() if file.exists() else ""
        return next(
            (line.partition("= ")[2] for line in map(str.strip, config.splitlines()) if line[:5] == "url ="), ""
        )

    def _persist(self) -> None:
        """Leaves the token for later steps, and takes it away at the end of the job."""
        name, folder = _HEADER.format(url=self._repository.url), self._folder
        config = folder / ".git" / "config"
        before = config.read_text()
        # By hand: an argument of git could be read by every user of the machine.
        config.write_text(f'{before}[http "{self._repository.url}"]\n\textraheader = {_header(self._step)}\n')

        def forget(job: JobContext, record: Record) -> None:
            if config.exists():
                config.write_text(before)
            job.feed.line(record.id, f"Removed {name} from the configuration of {folder}")

        self._step.job.post.append(PostStep(name=f"Post-job: {self._step.record.name}", run=forget))

    def _has(self, commit: str) -> bool:
        """Whether a commit is there already."""
        asked = ["git", "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}"]
        return self._step.run(asked, self._folder, quiet=True) == 0

    def _flag(self, name: str) -> bool:
        return self._inputs.get(name, "").lower() in _TRUE

    def _git(self, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        # git asks nobody for a password here.
        silent = {"GIT_TERMINAL_PROMPT": "0", **(environment or {})}
        code = self._step.run(["git", *arguments], self._folder, environment=silent)
        if code:
            raise TaskFailedError(f"Git {arguments[0]} failed with exit code: {code}")


def git_environment(base: Mapping[str, str], url: str, token: str) -> dict[str, str]:
    """What makes git send the token to this URL, and nowhere else; added to what is configured so already."""
    count = int(base.get("GIT_CONFIG_COUNT") or "0")
    return {
        "GIT_CONFIG_COUNT": str(count + 1),
        f"GIT_CONFIG_KEY_{count}": _HEADER.format(url=url),
        f"GIT_CONFIG_VALUE_{count}": f"AUTHORIZATION: bearer {token}",
    }


def _header(step: StepContext) -> str:
    return f"AUTHORIZATION: bearer {step.job.request.token}"

"""The commit that a release comes from, as far as it can be known where the program runs."""

import json
import re
import subprocess
from pathlib import Path

import pulumi

UNKNOWN = "unknown"
UNCOMMITTED = "+uncommitted"
# What `python -m delivery package` writes beside Pulumi.yaml: an artifact has no history to ask.
MANIFEST = "manifest.json"
COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
GIT_SECONDS = 10


def release_commit(folder: str) -> str:
    """`commit_of` the folder in the project that runs."""
    return commit_of(Path(pulumi.runtime.get_root_directory() or "."), folder)


def commit_of(root: Path, folder: str) -> str:
    """The last commit that changed the folder: other commits change nothing of what is deployed.

    It ends in `+uncommitted` where the folder holds what no commit has. It is `unknown` without git, outside a
    checkout, and in a shallow one that doesn't reach back to that commit. None of these is an error: the digest of the
    release says what was deployed, the commit says only where to look for its history.

    Args:
        root: the project's folder. Where it is an artifact, its `manifest.json` has the word: the commit packaged.
        folder: the folder of notebooks, below the root.

    Source: https://git-scm.com/docs/git-log (the decoration `grafted` of where a shallow history ends)
    """
    packaged = _packaged(root)
    if packaged:
        return packaged
    # Both run at the same time: a preview waits for one start of git.
    last = _git(root, "log", "-1", "--decorate=full", "--format=%H %D", "--", folder)
    changes = _git(root, "status", "--porcelain", "--", folder)
    found, changed = _answer(last), _answer(changes)
    commit, _, decoration = (found or "").strip().partition(" ")
    if not COMMIT.fullmatch(commit) or "grafted" in decoration:
        return UNKNOWN
    return commit + (UNCOMMITTED if changed else "")


def _packaged(root: Path) -> str | None:
    """The commit that the manifest names, if there is a manifest."""
    try:
        named = json.loads((root / MANIFEST).read_text(encoding="utf-8"))["commit"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return named if isinstance(named, str) and COMMIT.fullmatch(named) else None


def _git(root: Path, *arguments: str) -> subprocess.Popen[str] | None:
    # Without locks: somebody may be working with git in the same checkout.
    command = ["git", "--no-optional-locks", "-C", str(root), *arguments]
    try:
        return subprocess.Popen(  # noqa: S603 - git, with a folder of the settings after --
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
    except OSError:
        return None


def _answer(process: subprocess.Popen[str] | None) -> str | None:
    """What git said, or None where it has failed."""
    if process is None:
        return None
    with process:
        try:
            text, _ = process.communicate(timeout=GIT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return None
    return text if process.returncode == 0 else None

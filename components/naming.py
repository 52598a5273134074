"""Names: pure functions and the constants that people see. Nothing here asks a service or reads a setting."""

import hashlib
import re
from urllib.parse import quote

PROJECT = "Databricks CI-CD"
REPOSITORY = "databricks-notebooks"
DEFAULT_BRANCH = "main"

# The release pipeline's YAML starts on the build pipeline *by this name*: a test holds the two together.
BUILD_PIPELINE = "build"
RELEASE_PIPELINE = "release"
DRIFT_PIPELINE = "drift"
BUILD_YAML = "pipelines/build.yml"
RELEASE_YAML = "pipelines/release.yml"
DRIFT_YAML = "pipelines/drift.yml"
ARTIFACT = "release"

TESTS = "tests"  # where in the workspace folder the tests are delivered
RECORD = ".release"  # where in the workspace folder `delivery deploy` records what it has deployed
PREVIEW = "preview"  # the purpose of the variables that a pull request's build may read

LOGICAL_NAME_LENGTH = 60
SHORT_DIGEST = 12  # characters of a digest that people are shown

# Limits of the repository: a path that every client can check out, and the largest file that Databricks imports.
MAX_PATH_LENGTH = 250
MAX_FILE_MEBIBYTES = 10


def environment(name: str) -> str:
    """The Azure DevOps environment of a stack's `environment`, as the release pipeline's YAML names it."""
    return name


def variable_group(purpose: str) -> str:
    """The variable group of the pipelines for an environment, or for previews, as their YAML names it."""
    return f"databricks-cicd-{purpose}"


def approvers_group(environment_name: str) -> str:
    """The project's group whose members approve a deployment to the environment."""
    return f"{environment_name.capitalize()} approvers"


def pipeline_url(organization_url: str, project_id: str, pipeline_id: int) -> str:
    """The page of a pipeline with its runs. The service takes a project's id wherever it takes its name."""
    return f"{organization_url}/{project_id}/_build?definitionId={pipeline_id}"


def environment_url(organization_url: str, project_id: str, environment_id: int) -> str:
    """The page of an environment with its deployments and checks."""
    return f"{organization_url}/{project_id}/_environments/{environment_id}"


def folder_url(workspace_host: str, folder: str) -> str:
    """The page of a workspace folder."""
    return f"{workspace_host}/#workspace{quote(folder)}"


def branch_ref(branch: str) -> str:
    """The full name of a branch: `main` and `refs/heads/main` both give `refs/heads/main`."""
    return f"refs/heads/{branch.removeprefix('refs/heads/')}"


def logical_name(*parts: str) -> str:
    """A logical name for Pulumi out of any text: kebab-case, at most 60 characters, different for different parts.

    Where letters, signs or length had to give way, a hash of the original parts keeps two names apart. Two different
    lists of parts never give the same name (but for a collision of 32 bits of SHA-256).
    """
    original = "\0".join(parts)
    kebab = "-".join(re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-") for part in parts)
    unchanged = all(re.fullmatch(r"[a-z0-9]+", part) for part in parts)
    if unchanged and len(kebab) <= LOGICAL_NAME_LENGTH:
        return kebab
    mark = hashlib.sha256(original.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    stem = re.sub(r"-+", "-", kebab)[: LOGICAL_NAME_LENGTH - len(mark) - 1].strip("-")
    return f"{stem}-{mark}" if stem else mark


def without_workspace_alias(path: str) -> str:
    """`/Workspace/x` and `/x` are the same place in a Databricks workspace; this gives the second."""
    return path.removeprefix("/Workspace") or "/" if path == "/Workspace" or path.startswith("/Workspace/") else path


def workspace_path(folder: str, *parts: str) -> str:
    """The absolute workspace path of something below `folder`."""
    return "/".join([folder.rstrip("/"), *(part.strip("/") for part in parts)])


def folders_overlap(one: str, other: str) -> bool:
    """Whether two workspace folders are the same or one is inside the other.

    Case is ignored: two folders that differ in nothing else would be mistaken for each other by people.
    """
    first, second = (without_workspace_alias(path).rstrip("/").casefold() + "/" for path in (one, other))
    return first.startswith(second) or second.startswith(first)


def job(key: str, environment_name: str) -> str:
    """The name of a job in the workspace: of the same key in both environments, told apart by the environment."""
    return f"{key} ({environment_name})"


def project_url(organization_url: str, project: str) -> str:
    """The address of a project's start page."""
    return f"{organization_url}/{quote(project, safe='')}"


def clone_url(organization_url: str, project: str, repository: str) -> str:
    """The address to clone a repository from, without user or credential."""
    return f"{project_url(organization_url, project)}/_git/{quote(repository, safe='')}"

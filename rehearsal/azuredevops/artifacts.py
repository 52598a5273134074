"""Artifacts of runs: https://learn.microsoft.com/rest/api/azure/devops/build/artifacts.

They are what `publish` and `PublishPipelineArtifact@1` make: an artifact has a name that its run has no other of, and
never changes. Their bytes are zip files in a folder of the service's state; the store knows which.
"""

import io
import re
import shutil
import zipfile
from pathlib import Path
from urllib.parse import quote

from starlette.responses import FileResponse, Response

from rehearsal.azuredevops import build
from rehearsal.azuredevops.context import Call, Service, new_id
from rehearsal.azuredevops.errors import ServiceError, invalid
from rehearsal.azuredevops.projects import project_of
from rehearsal.azuredevops.routing import Answer, location
from rehearsal.azuredevops.run_access import run_of
from rehearsal.store import Document, Store

artifacts = location(
    "build",
    "artifacts",
    "{project}/_apis/{area}/builds/{buildId}/{resource}",
    "1db06c96-014e-44e1-ac91-90b2d4b3e984",
)

# https://learn.microsoft.com/azure/devops/pipelines/tasks/reference/publish-pipeline-artifact-v1: the name "can't
# contain these characters".
_FORBIDDEN = re.compile(r'[\\/:"<>|*?\x00-\x1f]')


def _key(project_id: str, run_id: int, name: str = "") -> str:
    return f"{build.key(project_id, run_id)}/{name.casefold()}"


def keep(
    service: Service, project_id: str, run_id: int, name: str, content: bytes | Path, *, source: str = ""
) -> Document:
    """Keeps an artifact of a run.

    Args:
        service: the organisation.
        project_id: the project's id.
        run_id: the run's number.
        name: of the artifact.
        content: a zip file, or its bytes, with the files' paths below the artifact's root. What a client downloads
            has all of them in a folder of the artifact's name, as the real service's zip files have.
        source: the id of the job that made it.

    Raises:
        ServiceError: 400, when the name or the zip file is no good; 409, when the run has an artifact of that name.
    """
    if not name or len(name) > 256 or _FORBIDDEN.search(name):
        raise invalid(f"The artifact name '{name}' is not valid.", "InvalidArtifactNameException")
    found = find(service.store, project_id, run_id, name)
    if found is not None:
        raise _exists(name, run_id)
    file = f"{new_id()}.zip"
    size = _pack(name, content, service.artifacts / file)
    artifact = {"id": 0, "name": name, "project": project_id, "run": run_id, "file": file, "source": source}
    with service.store.transaction():
        if find(service.store, project_id, run_id, name) is not None:
            (service.artifacts / file).unlink()
            raise _exists(name, run_id)
        artifact |= {"id": service.store.next_number("artifact"), "size": size}
        service.store.put("artifact", _key(project_id, run_id, name), artifact)
    return artifact


def _exists(name: str, run_id: int) -> ServiceError:
    return ServiceError(409, f"Artifact {name} already exists for build {run_id}.", "ArtifactExistsException")


def _pack(name: str, content: bytes | Path, target: Path) -> int:
    """Writes the artifact's zip file; nothing is left of it when that fails.

    Returns:
        The bytes of all its files.
    """
    size = 0
    partial = target.with_suffix(".partial")
    try:
        with (
            zipfile.ZipFile(io.BytesIO(content) if isinstance(content, bytes) else content) as given,
            zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as packed,
        ):
            for entry in given.infolist():
                if entry.filename.startswith("/") or ".." in entry.filename.split("/") or "\\" in entry.filename:
                    raise invalid(f"The path '{entry.filename}' leads out of the artifact.", "InvalidArtifactException")
                moved = zipfile.ZipInfo(f"{name}/{entry.filename}", entry.date_time)
                moved.external_attr, moved.compress_type = entry.external_attr, zipfile.ZIP_DEFLATED
                with given.open(entry) as source, packed.open(moved, "w", force_zip64=True) as copy:
                    shutil.copyfileobj(source, copy)
                size += entry.file_size
        partial.replace(target)
    except zipfile.BadZipFile as error:
        raise invalid(f"The artifact {name} is no zip file: {error}.", "InvalidArtifactException") from None
    finally:
        partial.unlink(missing_ok=True)
    return size


def find(store: Store, project_id: str, run_id: int, name: str) -> Document | None:
    """The artifact of that name, in any case, or None."""
    return store.get("artifact", _key(project_id, run_id, name))


def of_run(store: Store, project_id: str, run_id: int) -> list[Document]:
    """A run's artifacts, the oldest first."""
    return sorted(store.all("artifact", _key(project_id, run_id)), key=lambda each: int(each["id"]))


def path(service: Service, artifact: Document) -> Path:
    """The artifact's zip file, with all files in a folder of the artifact's name."""
    return service.artifacts / str(artifact["file"])


def forget(service: Service, project_id: str, run_id: int) -> None:
    """Removes a run's artifacts, as when the run is deleted."""
    for each in of_run(service.store, project_id, run_id):
        service.store.delete("artifact", _key(project_id, run_id, each["name"]))
        path(service, each).unlink(missing_ok=True)


def sweep(service: Service) -> None:
    """Removes files that no artifact has: a killed service may leave them between its last two steps."""
    known = {each["file"] for each in service.store.all("artifact")}
    for file in service.artifacts.iterdir():
        if file.name not in known:
            file.unlink()


def shown(call: Call, artifact: Document) -> Document:
    """An artifact as the service answers it."""
    project_id, run_id, name = artifact["project"], artifact["run"], artifact["name"]
    url = f"{call.url(project_id, '_apis', 'build', 'builds', run_id, 'artifacts')}?artifactName={quote(name)}"
    return {
        "id": artifact["id"],
        "name": name,
        "source": artifact["source"],
        "resource": {
            "type": "PipelineArtifact",
            "data": artifact["file"].removesuffix(".zip"),
            "properties": {"artifactsize": str(artifact["size"])},
            "url": f"{url}&api-version=7.1",
            "downloadUrl": f"{url}&api-version=7.1&%24format=zip",
        },
    }


@artifacts.on("GET")
def get(call: Call) -> Answer:
    project = project_of(call)
    run = run_of(call, project)
    name = call.query.get("artifactname")
    if name is None:
        return [shown(call, each) for each in of_run(call.store, project["id"], run["id"])]
    artifact = find(call.store, project["id"], run["id"], name)
    if artifact is None:
        message = f"The artifact {name} could not be found for build {run['id']}."
        raise ServiceError(404, message, "ArtifactNotFoundException")
    form = call.query.get("$format", "zip" if call.accept.startswith("application/zip") else "json").lower()
    if form == "zip":
        return FileResponse(path(call.service, artifact), media_type="application/zip", filename=f"{name}.zip")
    if form == "file":
        return _file(call, artifact, call.query.get("subpath", ""))
    return shown(call, artifact)


def _file(call: Call, artifact: Document, wanted: str) -> Response:
    """One file of an artifact, as the addresses have it that the pages of the service lead to."""
    name = wanted.strip("/")
    with zipfile.ZipFile(path(call.service, artifact)) as packed:
        try:
            content = packed.read(f"{artifact['name']}/{name}")
        except KeyError:
            message = f"The file {wanted} could not be found in the artifact {artifact['name']}."
            raise ServiceError(404, message, "ArtifactNotFoundException") from None
    disposition = f"attachment; filename*=utf-8''{quote(name.rpartition('/')[2])}"
    headers = {"Content-Disposition": disposition, "X-Content-Type-Options": "nosniff"}
    return Response(content, media_type="application/octet-stream", headers=headers)

"""Azure Blob Storage: one account with one container, in which the stacks' state is.

https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api, as far as Pulumi's backend asks it. A
request is signed with the account's key, or comes with an access token of an application that has a role on the
container: "Storage Blob Data Reader" may look, "Storage Blob Data Contributor" may write, too. Deliberately not there:
blobs in several blocks, versions, snapshots, leases, and signatures in addresses (SAS).
"""

from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit
from uuid import uuid4
from xml.etree import ElementTree

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rehearsal.azure import storage_keys
from rehearsal.azure.directory import CONTRIBUTOR, READER
from rehearsal.azure.entra import HOST as LOGIN
from rehearsal.azure.entra import STORAGE, Entra
from rehearsal.azuredevops.identities import TENANT_ID

ACCOUNT, CONTAINER = "rehearsalstate", "state"
HOST = f"{ACCOUNT}.blob.core.windows.net"
BACKEND = f"azblob://{CONTAINER}?storage_account={ACCOUNT}"
"""The URL of Pulumi's backend."""
_ROLES = {"GET": (READER, CONTRIBUTOR), "HEAD": (READER, CONTRIBUTOR), "PUT": (CONTRIBUTOR,), "DELETE": (CONTRIBUTOR,)}
_MOST = 5000  # in one answer


class BlobError(Exception):
    """A refusal, with the service's own code."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Blobs:
    """The account.

    Args:
        folder: the container: a blob is a file in it.
        scratch: another folder of the same file system, for what isn't whole yet.
        key: the account's.
        entra: knows whose token it is.
    """

    def __init__(self, folder: Path, scratch: Path, key: str, entra: Entra) -> None:
        self._folder = folder
        self._scratch = scratch
        self._key = key
        self._entra = entra

    @property
    def routes(self) -> list[Route]:
        methods = list(_ROLES)
        return [
            Route(f"/{CONTAINER}", self._answer, methods=methods),
            Route(f"/{CONTAINER}/{{name:path}}", self._answer, methods=methods),
        ]

    async def _answer(self, request: Request) -> Response:
        content = await request.body()
        try:
            self._authorize(request)
            answer = self._done(request, content)
        except BlobError as error:
            answer = _refused(error)
        answer.headers["x-ms-version"] = request.headers.get("x-ms-version", "")
        answer.headers["x-ms-request-id"] = str(uuid4())
        return answer

    def _authorize(self, request: Request) -> None:
        authorization = request.headers.get("authorization", "")
        if not authorization:
            raise BlobError(401, "NoAuthenticationInformation", "Server failed to authenticate the request.")
        if authorization.startswith("SharedKey "):
            if not storage_keys.is_right(request, ACCOUNT, self._key):
                message = "Server failed to authenticate the request. Make sure the value of Authorization header is "
                raise BlobError(403, "AuthenticationFailed", f"{message}formed correctly including the signature.")
            return
        application = self._entra.application(authorization, STORAGE)
        if application is None:
            raise BlobError(401, "InvalidAuthenticationInfo", "Server failed to authenticate the request.")
        if not set(application.roles) & set(_ROLES[request.method]):
            message = "This request is not authorized to perform this operation using this permission."
            raise BlobError(403, "AuthorizationPermissionMismatch", message)

    def _done(self, request: Request, content: bytes) -> Response:
        name = request.path_params.get("name", "")
        if not name:
            if (request.method, request.query_params.get("comp")) != ("GET", "list"):
                raise _unsupported(request)
            return self._listed(request)
        if "comp" in request.query_params:
            raise _unsupported(request)
        file = self._file(name)
        match request.method:
            case "PUT":
                return self._put(request, file, content)
            case "DELETE":
                _content(file)
                file.unlink()
                return Response(status_code=202)
            case _:
                found = _content(file)
                more = {"x-ms-creation-time": _properties(file)["Last-Modified"], "x-ms-blob-type": "BlockBlob"}
                return Response(found, 200, _properties(file) | more, "application/octet-stream")

    def _put(self, request: Request, file: Path, content: bytes) -> Response:
        source = request.headers.get("x-ms-copy-source")
        if source:
            parts = urlsplit(source)
            if parts.hostname != HOST:
                raise _unsupported(request)
            content = _content(self._file(unquote(parts.path).removeprefix(f"/{CONTAINER}/")))
        elif request.headers.get("x-ms-blob-type") != "BlockBlob":
            raise _unsupported(request)
        if request.headers.get("if-none-match") == "*" and file.is_file():
            raise BlobError(409, "BlobAlreadyExists", "The specified blob already exists.")
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._scratch / str(uuid4())
        fresh.write_bytes(content)
        fresh.replace(file)
        shown = _properties(file)
        if source:
            return Response(
                status_code=202, headers=shown | {"x-ms-copy-id": str(uuid4()), "x-ms-copy-status": "success"}
            )
        return Response(status_code=201, headers=shown)

    def _file(self, name: str) -> Path:
        parts = name.split("/")
        if any(part in ("", ".", "..") for part in parts):
            raise BlobError(400, "InvalidUri", "The requested URI does not represent any resource on the server.")
        return self._folder.joinpath(*parts)

    def _listed(self, request: Request) -> Response:
        query = request.query_params
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        names = sorted(str(each.relative_to(self._folder)) for each in self._folder.rglob("*") if each.is_file())
        shown: dict[str, Path | None] = {}
        for name in names:
            if not name.startswith(prefix):
                continue
            head, cut, _ = name[len(prefix) :].partition(delimiter) if delimiter else (name, "", "")
            shown[f"{prefix}{head}{cut}" if cut else name] = None if cut else self._folder / name
        after = [name for name in shown if name > query.get("marker", "")]
        page = after[: min(int(query.get("maxresults", _MOST)), _MOST)]
        root = ElementTree.Element("EnumerationResults", ContainerName=CONTAINER)
        ElementTree.SubElement(root, "Prefix").text = prefix
        blobs = ElementTree.SubElement(root, "Blobs")
        for name in page:
            file = shown[name]
            blob = ElementTree.SubElement(blobs, "Blob" if file else "BlobPrefix")
            ElementTree.SubElement(blob, "Name").text = name
            if file:
                properties = ElementTree.SubElement(blob, "Properties")
                told = _properties(file) | {"Content-Length": str(file.stat().st_size)}
                for key, value in told.items():
                    ElementTree.SubElement(properties, key).text = value
        ElementTree.SubElement(root, "NextMarker").text = page[-1] if len(page) < len(after) else ""
        return Response(ElementTree.tostring(root, "utf-8", xml_declaration=True), media_type="application/xml")


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise BlobError(404, "BlobNotFound", "The specified blob does not exist.") from None


def _properties(file: Path) -> dict[str, str]:
    changed = file.stat()
    time = format_datetime(datetime.fromtimestamp(int(changed.st_mtime), UTC), usegmt=True)
    return {"Last-Modified": time, "ETag": f'"0x{changed.st_mtime_ns:X}"'}


def _unsupported(request: Request) -> BlobError:
    what = f"{request.method} {request.url.path}?{request.url.query}"
    return BlobError(501, "NotImplemented", f"The rehearsal's storage does not know this request: {what}")


def _refused(error: BlobError) -> Response:
    root = ElementTree.Element("Error")
    ElementTree.SubElement(root, "Code").text = error.code
    ElementTree.SubElement(root, "Message").text = str(error)
    headers = {"x-ms-error-code": error.code}
    if error.status == 401:
        where = f"https://{LOGIN}/{TENANT_ID}/oauth2/authorize"
        headers["WWW-Authenticate"] = f"Bearer authorization_uri={where} resource_id={STORAGE}"
    body = ElementTree.tostring(root, "utf-8", xml_declaration=True)
    return Response(body, error.status, headers, "application/xml")

"""The signature by which a request to a storage account shows that its sender has the account's key.

https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key
"""

import base64
import hashlib
import hmac
import secrets
from pathlib import Path

from starlette.requests import Request

from rehearsal.home import write_private

_SIGNED_HEADERS = (
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
)


def storage_key(folder: Path) -> str:
    """The key of the rehearsal's account, base64; made at the first call. Only its owner can read the file."""
    file = folder / "storage.key"
    if not file.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(file, base64.b64encode(secrets.token_bytes(64)).decode())
    return file.read_text()


def is_right(request: Request, account: str, key: str) -> bool:
    """Whether the request is signed with the account's key.

    Args:
        request: the request, as it came.
        account: the account's name.
        key: its key, base64.
    """
    digest = hmac.new(base64.b64decode(key), _signed_text(request, account).encode(), hashlib.sha256).digest()
    wanted = f"SharedKey {account}:{base64.b64encode(digest).decode()}"
    return hmac.compare_digest(wanted.encode(), request.headers.get("authorization", "").encode())


def _signed_text(request: Request, account: str) -> str:
    headers = {name: request.headers.get(name, "") for name in _SIGNED_HEADERS}
    if headers["content-length"] == "0":
        headers["content-length"] = ""
    own = sorted((name, value.strip()) for name, value in request.headers.items() if name.startswith("x-ms-"))
    path = request.scope["raw_path"].decode("ascii")
    query: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        query.setdefault(name.lower(), []).append(value)
    return "\n".join(
        [
            request.method,
            *headers.values(),
            *(f"{name}:{value}" for name, value in own),
            f"/{account}{path}",
            *(f"{name}:{','.join(sorted(query[name]))}" for name in sorted(query)),
        ]
    )

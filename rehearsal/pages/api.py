"""The service's REST interface as a page uses it: inside the process, signed in as the person who looks."""

import asyncio
from typing import Any
from urllib.parse import quote

import httpx
from starlette.types import ASGIApp


class Refused(Exception):  # noqa: N818 - it is no mistake, but what the service answers
    """The interface's answer is no success.

    Args:
        status: of the HTTP answer.
        message: in the service's words.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def path(*segments: object) -> str:
    """A path of these segments, whatever is in them."""
    return "".join(f"/{quote(str(segment), safe='')}" for segment in segments)


class Api:
    """Calls the interface.

    Args:
        client: of `client_of`.
        origin: where the browser reached the service: addresses in the answers begin so.
        authorization: the header.
        version: parameters that name the version of the interface, for every call.
    """

    def __init__(self, client: httpx.AsyncClient, origin: str, authorization: str, version: dict[str, str]) -> None:
        self._client = client
        self._origin = origin
        self._headers = {"authorization": authorization}
        self._version = version

    async def call(
        self,
        method: str,
        where: str,
        query: dict[str, Any] | None = None,
        *,
        json: Any = None,
        accept: str = "application/json",
    ) -> httpx.Response:
        """The answer.

        Raises:
            Refused: it is no success.
        """
        given = {name: _text(value) for name, value in (query or {}).items() if value is not None}
        answer = await self._client.request(
            method,
            self._origin + where,
            params=given | self._version,
            json=json,
            headers=self._headers | {"accept": accept},
        )
        if not answer.is_success:
            raise Refused(answer.status_code, _message(answer))
        return answer

    async def get(self, where: str, **query: Any) -> Any:
        """The document at a place. A list comes as a list, without its envelope."""
        return _unpacked(await self.call("GET", where, query))

    async def bytes(self, where: str, **query: Any) -> bytes:
        """The bytes at a place."""
        return (await self.call("GET", where, query, accept="application/octet-stream")).content

    async def either(self, where: str, otherwise: Any, **query: Any) -> Any:
        """The document, or something else where there is none or this person may not see it."""
        try:
            return await self.get(where, **query)
        except Refused as refused:
            if refused.status in (403, 404):
                return otherwise
            raise

    async def send(self, method: str, where: str, json: Any = None, **query: Any) -> Any:
        """Changes something; gives the document that the interface answers."""
        return _unpacked(await self.call(method, where, query, json=json))

    async def gather(self, *wanted: Any) -> Any:
        """Several at once; each an awaitable of the functions above."""
        return await asyncio.gather(*wanted)


def client_of(app: ASGIApp) -> httpx.AsyncClient:
    """A client that calls the application itself, without a connection."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), trust_env=False, timeout=60)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _unpacked(answer: httpx.Response) -> Any:
    if not answer.content:
        return None
    document = answer.json()
    return document["value"] if isinstance(document, dict) and set(document) == {"count", "value"} else document


def _message(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return answer.text or f"The service answered with status {answer.status_code}."

"""Access tokens of Microsoft Entra ID, by which a service principal of Azure gets in as itself.

https://learn.microsoft.com/azure/databricks/dev-tools/auth/azure-cli: a token is for the application that Azure
Databricks is in every tenant, and the one whose token it is must be known to the workspace.
"""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from rehearsal.store import Document

RESOURCE = "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d"


@dataclass(frozen=True, kw_only=True)
class Authority:
    """Whose tokens are believed.

    Args:
        issuer: what the tokens call it.
        keys: the URL of its keys.
        sign_in: where people sign in; the address has the tenant in it.
    """

    issuer: str
    keys: str
    sign_in: str


class EntraTokens:
    """The tokens of an authority.

    Args:
        authority: says which, at each question: it may come to be while the workspace is there; None: there is none.
    """

    def __init__(self, authority: Callable[[], Authority | None]) -> None:
        self._authority = authority
        self._keys: Document = {"keys": []}

    def application(self, token: str) -> str | None:
        """Whose access token for this service it is: the application's id; None for all else.

        It asks the authority for its keys when it sees one for the first time.
        """
        authority = self._authority() if token.count(".") == 2 else None
        if authority is None:
            return None
        import httpx  # noqa: PLC0415 - few need it, and it takes long to import
        import jwt  # noqa: PLC0415 - as above

        from rehearsal import openid  # noqa: PLC0415 - as above

        try:
            claims, key = openid.unverified(token)
            if key not in {each["kid"] for each in self._keys["keys"]}:
                self._keys = openid.keys_at(authority.keys)
            openid.verify(token, self._keys, issuer=authority.issuer, audiences=[RESOURCE])
        except (jwt.PyJWTError, httpx.HTTPError, KeyError, ValueError):
            return None
        return str(claims.get("appid"))

    async def sign_in(self, _: Request) -> Response:
        """Where clients find out which tenant the workspace belongs to."""
        authority = self._authority()
        return RedirectResponse(authority.sign_in, 302) if authority else PlainTextResponse("Not Found", 404)

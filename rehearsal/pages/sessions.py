"""Who looks at the pages: a cookie that the service signs, and the token that its forms carry."""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Session:
    """A browser's session.

    Args:
        nonce: random, new at each sign-in.
        user: the user's key, or None before the sign-in.
        notice: what was just done, to be told on the next page.
    """

    nonce: str
    user: str | None = None
    notice: str = ""


class Sessions:
    """Writes sessions into cookies and reads them there.

    A browser sends a cookie to every port of a host, so the services' cookies have different names.

    Args:
        service: names the cookie.
        secret: the key is made from it.
    """

    def __init__(self, service: str, secret: str) -> None:
        self.cookie = f"rehearsal_{service}"
        self._key = hmac.digest(secret.encode(), f"pages of {service}".encode(), hashlib.sha256)

    @staticmethod
    def new(user: str | None = None) -> Session:
        """A session that nobody had before: whoever signs in gets one, so that an old cookie is worth nothing."""
        return Session(nonce=secrets.token_urlsafe(16), user=user)

    def read(self, cookie: str | None) -> Session | None:
        """The session in a cookie, or None when the service didn't write it so."""
        body, _, signature = (cookie or "").partition(".")
        if not hmac.compare_digest(signature.encode(), self._sign("cookie", body).encode()):
            return None
        try:
            fields = json.loads(base64.urlsafe_b64decode(body))
        except (binascii.Error, ValueError):
            return None
        return Session(**fields)

    def write(self, session: Session) -> str:
        """The cookie's value."""
        fields = {"nonce": session.nonce, "user": session.user, "notice": session.notice}
        body = base64.urlsafe_b64encode(json.dumps(fields).encode()).decode()
        return f"{body}.{self._sign('cookie', body)}"

    def token(self, session: Session) -> str:
        """What every form of the session carries. Another site's page can send a form here, but doesn't know this."""
        return self._sign("form", session.nonce)

    def has_token(self, session: Session, given: str) -> bool:
        """Whether a form came from one of the session's own pages."""
        return hmac.compare_digest(given.encode(), self.token(session).encode())

    def _sign(self, what: str, text: str) -> str:
        digest = hmac.digest(self._key, f"{what}\0{text}".encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

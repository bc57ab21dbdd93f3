"""The cookie of a session."""

from __future__ import annotations

from starlette.requests import HTTPConnection
from starlette.responses import Response


class SessionCookie:
    """`__Host-` binds it to this host and to HTTPS; browsers refuse such a name over plain HTTP (RFC 6265bis)."""

    def __init__(self, is_secure: bool) -> None:
        self.is_secure = is_secure
        self.name = "__Host-andon" if is_secure else "andon_session"

    def read(self, request: HTTPConnection) -> str:
        return request.cookies.get(self.name, "")

    def put(self, answer: Response, secret: str) -> None:
        # Lax: links in mails come from another site, and shall open.
        answer.set_cookie(self.name, secret, path="/", secure=self.is_secure, httponly=True, samesite="lax")

    def drop(self, answer: Response) -> None:
        answer.delete_cookie(self.name, path="/", secure=self.is_secure, httponly=True, samesite="lax")

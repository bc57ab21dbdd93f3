"""The cookies of a session, and of a visit to the identity provider."""

from __future__ import annotations

from starlette.requests import HTTPConnection
from starlette.responses import Response


class SecretCookie:
    """A cookie with a secret. `__Host-` binds it to this host and to HTTPS (RFC 6265bis).

    Browsers refuse such a name over plain HTTP.
    """

    def __init__(self, name: str, is_secure: bool) -> None:
        self._is_secure = is_secure
        self.name = f"__Host-{name}" if is_secure else name

    def read(self, request: HTTPConnection) -> str:
        """Empty where it does not come, or comes twice: another host of the domain may have planted one."""
        sent = [part.strip() for line in request.headers.getlist("cookie") for part in line.split(";")]
        values = [part.removeprefix(f"{self.name}=") for part in sent if part.startswith(f"{self.name}=")]
        return values[0] if len(values) == 1 else ""

    def put(self, answer: Response, secret: str, seconds: int | None = None) -> None:
        """`seconds`: None for as long as the browser runs. Lax: links in mails and of the provider shall open."""
        answer.set_cookie(self.name, secret, seconds, path="/", secure=self._is_secure, httponly=True, samesite="lax")

    def drop(self, answer: Response) -> None:
        answer.delete_cookie(self.name, path="/", secure=self._is_secure, httponly=True, samesite="lax")


class Cookies:
    """All that Andon sets, beside the reader's time zone, which is no secret."""

    def __init__(self, is_secure: bool) -> None:
        self.session = SecretCookie("andon_session", is_secure)
        self.visit = SecretCookie("andon_provider", is_secure)

"""The zone of all times of a page: the reader's, which `andon.js` sends as a cookie, else the policy's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from urllib.parse import unquote
from zoneinfo import available_timezones

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

COOKIE = "andon_zone"
# Over HTTPS; see RFC 6265bis.
SECURE_COOKIE = f"__Host-{COOKIE}"
_reader: ContextVar[str | None] = ContextVar("reader_zone", default=None)


@cache
def _known() -> frozenset[str]:
    return frozenset(available_timezones())


def is_zone(name: str) -> bool:
    """Whether it is the name of a zone, as `Europe/Berlin`. Others are file names to `zoneinfo`."""
    return name in _known()


def page_zone(policy_zone: str) -> str:
    """The zone of the page that is being made."""
    return _reader.get() or policy_zone


@contextmanager
def reader_in(zone: str | None) -> Iterator[None]:
    """Make pages in the zone of a reader; None or a zone that is not known: in the policy's."""
    token = _reader.set(zone if zone and is_zone(zone) else None)
    try:
        yield
    finally:
        _reader.reset(token)


class ReaderZone:
    """Reads the cookie of each request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        cookies = HTTPConnection(scope).cookies
        with reader_in(unquote(cookies.get(SECURE_COOKIE) or cookies.get(COOKIE, ""))):
            await self._app(scope, receive, send)

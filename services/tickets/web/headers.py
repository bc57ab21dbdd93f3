"""The headers that every answer of the pages and the API carries, and the host names that they answer to."""

from __future__ import annotations

import re
from collections.abc import Collection

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Styles of charts stand in the drawing itself. A script never stands in a page.
_CONTENT = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self';"
    " connect-src 'self'; manifest-src 'self'; frame-ancestors 'none'; form-action 'self'; base-uri 'none'"
)
_ALWAYS = {
    "content-security-policy": _CONTENT,
    "x-content-type-options": "nosniff",
    # What frame-ancestors says, for browsers and scanners that do not know it.
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
}
# A year (RFC 6797); of this host only, since its owner decides about others of the domain.
_ONLY_HTTPS = {"strict-transport-security": "max-age=31536000"}
# Pages name deals and their worth, and are soon out of date: no cache keeps one, and "back" requests it again.
# Linked files are cached, and revalidated on each use.
_NOT_KEPT, _CHECKED = (b"cache-control", b"no-store"), (b"cache-control", b"no-cache")
_FILES = ("/static/", "/favicon.ico")
# Their addresses open them without sign-in: no other page learns one, and no search engine.
_SECRET = ("/calendar/", "/read/")
_KEPT_SECRET = {b"referrer-policy": b"no-referrer", b"x-robots-tag": b"noindex, nofollow"}
# Probes and Prometheus ask by an address of the network.
_FOR_MACHINES = ("/livez", "/readyz", "/metrics")
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?", re.IGNORECASE)


class SafeHeaders:
    """No page runs foreign scripts, sits in a foreign frame, is kept by a cache, or tells where the reader was."""

    def __init__(self, app: ASGIApp, is_https: bool) -> None:
        chosen = _ALWAYS | (_ONLY_HTTPS if is_https else {})
        self._app = app
        self._headers = {name.encode(): value.encode() for name, value in chosen.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = _CHECKED if scope["path"].startswith(_FILES) else _NOT_KEPT
                chosen = self._headers | (_KEPT_SECRET if scope["path"].startswith(_SECRET) else {})
                message["headers"] = [*message["headers"], *chosen.items(), kept]
            await send(message)

        await self._app(scope, receive, with_headers)


class KnownHosts:
    """Answers only to these host names, so that no forged one gets into an address, a check or a log.

    `are_machines_free`: whether health and metrics answer to any name.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str], are_machines_free: bool) -> None:
        self._app, self._hosts = app, {host.lower() for host in hosts}
        self._free = _FOR_MACHINES if are_machines_free else ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._is_known(scope) or scope["path"] in self._free:
            await self._app(scope, receive, send)
            return
        answer = PlainTextResponse("Andon does not answer to this host name; see ANDON_TICKETS_URL\n", 400)
        await answer(scope, receive, send)

    def _is_known(self, scope: Scope) -> bool:
        """Whether exactly one host is named, and it is one of ours."""
        named = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        found = _HOST.fullmatch(named[0]) if len(named) == 1 else None
        return found is not None and found["name"].lower() in self._hosts

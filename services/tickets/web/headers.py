"""The headers that every answer of the pages and the API carries."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Styles of charts stand in the drawing itself. A script never stands in a page.
_CONTENT = (
    "default-src 'none'; object-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " font-src 'self'; connect-src 'self'; manifest-src 'self'; frame-ancestors 'none'; form-action 'self';"
    " base-uri 'none'"
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
# Linked files are cached, and revalidated on each use. A chart, whose address says what it shows, says how it is kept.
_NOT_KEPT, _CHECKED = (b"cache-control", b"no-store"), (b"cache-control", b"no-cache")
_FILES = ("/static/", "/favicon.ico")
# Their addresses open them without sign-in: no other page learns one, and no search engine.
_SECRET = ("/calendar/", "/read/")
_KEPT_SECRET = {b"referrer-policy": b"no-referrer", b"x-robots-tag": b"noindex, nofollow"}


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
                own = message["headers"]
                added = () if any(name == kept[0] for name, _ in own) else (kept,)
                message["headers"] = [*own, *chosen.items(), *added]
            await send(message)

        await self._app(scope, receive, with_headers)

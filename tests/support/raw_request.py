"""Requests as they come off the wire, past what a client library puts right: dots in paths, doubled headers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from starlette.types import ASGIApp, Message

HOST = "127.0.0.1:8080"


@dataclass(frozen=True)
class RawAnswer:
    """What came back; names of headers are in lower case."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for found, value in self.headers if found == name]

    def one(self, name: str) -> str:
        """The value of a header that comes once; empty where it does not come."""
        found = self.all(name)
        assert len(found) < 2, (name, found)
        return found[0] if found else ""


class RawVisitor:
    """Sends requests to an application from one address, as uvicorn hands them on."""

    def __init__(self, app: ASGIApp, address: str = "192.0.2.7") -> None:
        self._app, self._address = app, address

    async def ask(
        self,
        method: str,
        target: str,
        *headers: tuple[str, str],
        body: Iterable[bytes] = (),
        host: str | None = HOST,
    ) -> RawAnswer:
        """`body`: in parts, sent as the application asks for them. `host`: None sends no header Host."""
        path, _, query = target.partition("?")
        named = [*([("host", host)] if host is not None else []), *headers]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "server": ("127.0.0.1", 8080),
            "client": (self._address, 4711),
            "root_path": "",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in named],
        }
        return await _answered(self._app, scope, body)


async def _answered(app: ASGIApp, scope: dict[str, object], body: Iterable[bytes]) -> RawAnswer:
    parts, sent, is_over = iter(body), list[Message](), False

    async def receive() -> Message:
        nonlocal is_over
        if is_over:
            # The visitor stays until it has its answer.
            await asyncio.Event().wait()
        part = next(parts, None)
        is_over = part is None
        return {"type": "http.request", "body": part or b"", "more_body": not is_over}

    async def send(message: Message) -> None:
        sent.append(message)

    try:
        await app(scope, receive, send)
    except Exception:
        # Starlette answers with 500, and then raises the fault for the server's log.
        if not sent:
            raise
    headers = [(name.decode(), value.decode("latin-1")) for name, value in sent[0]["headers"]]
    return RawAnswer(sent[0]["status"], headers, b"".join(one.get("body", b"") for one in sent[1:]))

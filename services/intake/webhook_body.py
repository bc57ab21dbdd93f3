"""Reads a webhook and limits how long its body may be."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from starlette.types import Receive, Scope

from services.intake.replies import problem
from shared.connectors.base.source import Reply, Request


class BodyRejected(Exception):
    """The body is too large, encoded, or incomplete; `reply` says so."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


class OutOfMemoryBudget(Exception):
    """Too many bytes are in flight: the sender has to retry."""


class RequestReader:
    """Reads one request."""

    __slots__ = ("_receive", "_scope")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._scope, self._receive = scope, receive

    async def __call__(self, max_bytes: int, reserve: Callable[[int], bool]) -> Request:
        """The request; raises BodyRejected as soon as the body is known to exceed `max_bytes`.

        Calls `reserve` with the size of each chunk; raises OutOfMemoryBudget if it returns false.
        """
        headers = _headers(self._scope["headers"])
        if (encoding := headers.get("content-encoding", "identity")).lower() != "identity":
            raise _encoded(encoding)
        length = headers.get("content-length", "")
        if length.isdigit() and len(length) < 19 and int(length) > max_bytes:
            raise _too_large(max_bytes)
        body = await self._body(max_bytes, reserve)
        query = self._scope["query_string"].decode("latin-1")
        return Request(self._scope["method"], headers, query, body, datetime.now(UTC))

    async def _body(self, max_bytes: int, reserve: Callable[[int], bool]) -> bytes:
        chunks, size, more = [], 0, True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise BodyRejected(problem(400, "the body ended early"))
            chunk, more = message.get("body", b""), message.get("more_body", False)
            size += len(chunk)
            if size > max_bytes:
                raise _too_large(max_bytes)
            if not reserve(len(chunk)):
                raise OutOfMemoryBudget
            chunks.append(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_large(max_bytes: int) -> BodyRejected:
    return BodyRejected(
        problem(413, f"the body is larger than {max_bytes} bytes; send less at once, or raise max_bytes of this source")
    )


def _encoded(encoding: str) -> BodyRejected:
    detail = f"header content-encoding: {encoding[:40]!r} is not supported; send the body as it is"
    return BodyRejected(problem(415, detail, {"Accept-Encoding": "identity"}))


def _headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Names in lower case, as ASGI has them. A repeated header becomes a list (RFC 9110), which no check accepts."""
    listed = list(raw)
    found = {name.decode("latin-1"): value.decode("latin-1") for name, value in listed}
    if len(found) == len(listed):
        return found
    found = {}
    for name, value in listed:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found

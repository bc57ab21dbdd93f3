"""The HTTP side of intake, straight on ASGI: a request with a limited body in, an answer out.

Every webhook passes here, so nothing stands between it and the source: no routing, no middleware.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.connectors.base.source import Reply, Request

PATH = "/v1/ingest/"
PROBLEM = "application/problem+json"


class NotReadError(Exception):
    """The body is too large or did not come to its end."""

    def __init__(self, answer: Reply) -> None:
        super().__init__(answer.status)
        self.answer = answer


class NoRoomError(Exception):
    """Too much is in hand: the sender has to come again."""


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Reply:
    """RFC 9457."""
    return Reply(status, orjson.dumps({"status": status, "detail": detail}), PROBLEM, headers or {})


class IngestEndpoint:
    """An ASGI application: what comes to `/v1/ingest/` goes to `answer`, everything else to `others`.

    `answer` gets the name that ends the path, and a function that reads the request with a limit in bytes.
    """

    def __init__(self, answer: Callable[[str, BodyReader], Awaitable[Reply]], others: ASGIApp) -> None:
        self._answer, self._others = answer, others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PATH):
            return await self._others(scope, receive, send)
        answer = await self._answer(scope["path"][len(PATH) :], BodyReader(scope, receive))
        await send(_head(answer))
        await send({"type": "http.response.body", "body": answer.body})
        return None


class BodyReader:
    """Reads one request."""

    __slots__ = ("_receive", "_scope")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._scope, self._receive = scope, receive

    async def __call__(self, most: int, room: Callable[[int], bool]) -> Request:
        """The request; raises NotReadError as soon as its body is known to be larger than `most` bytes.

        `room` is asked for every part of the body, and may say that there is none.
        """
        headers = _headers(self._scope["headers"])
        if (coding := headers.get("content-encoding", "identity")).lower() != "identity":
            raise _encoded(coding)
        told = headers.get("content-length", "")
        if told.isdigit() and len(told) < 19 and int(told) > most:
            raise _too_large(most)
        body = await self._body(most, room)
        query = self._scope["query_string"].decode("latin-1")
        return Request(self._scope["method"], headers, query, body, datetime.now(UTC))

    async def _body(self, most: int, room: Callable[[int], bool]) -> bytes:
        parts, size, more = [], 0, True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise NotReadError(problem(400, "the body ended early"))
            part, more = message.get("body", b""), message.get("more_body", False)
            size += len(part)
            if size > most:
                raise _too_large(most)
            if not room(len(part)):
                raise NoRoomError
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(most: int) -> NotReadError:
    return NotReadError(
        problem(413, f"the body is larger than {most} bytes; send less at once, or raise max_bytes of this source")
    )


def _encoded(coding: str) -> NotReadError:
    detail = f"header content-encoding: {coding[:40]!r} is not taken; send the body as it is"
    return NotReadError(problem(415, detail, {"Accept-Encoding": "identity"}))


def _headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Names in lower case, as ASGI gives them. A header sent twice is a list (RFC 9110), which no check takes."""
    found: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


def _head(answer: Reply) -> Message:
    headers = [(b"content-length", str(len(answer.body)).encode())]
    if answer.body:
        headers.append((b"content-type", answer.media_type.encode("latin-1")))
    if answer.headers:
        headers += [(n.lower().encode("latin-1"), v.encode("latin-1")) for n, v in answer.headers.items()]
    return {"type": "http.response.start", "status": answer.status, "headers": headers}

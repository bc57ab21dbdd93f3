"""What a client may ask of the HTTP server: a head of limited size, and everything within its time.

uvicorn alone waits for ever for a head and a body, keeps heads of any length, and reads on after it has answered.
"""

from __future__ import annotations

import asyncio
import math
from enum import Enum
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import (
    HEADER_RE,
    HEADER_VALUE_RE,
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

LARGEST_HEAD = 32 * 1024
HEAD_SECONDS, BODY_SECONDS = 10.0, 60.0


class OneWrite:
    """Runs an application for one request. An answer that is whole goes out in one write: a system call and a packet
    less. Everything else is left to uvicorn.
    """

    __slots__ = ("_app", "_cycle", "_start")

    def __init__(self, app: ASGIApp, cycle: RequestResponseCycle) -> None:
        self._app, self._cycle, self._start = app, cycle, _NONE

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, self._send)

    async def _send(self, message: Message) -> None:
        """A start waits for the part that follows it."""
        if message["type"] == "http.response.start" and not self._start:
            self._start = message
            return
        if self._start and not self._cycle.response_started:
            if self._whole(message):
                return
            await self._cycle.send(self._start)  # type: ignore[arg-type]
        await self._cycle.send(message)  # type: ignore[arg-type]

    def _whole(self, message: Message) -> bool:
        """Send an answer of one part, of the length that it tells; false for every other."""
        cycle, start, body = self._cycle, self._start, message.get("body", b"")
        if message.get("more_body") or not cycle.keep_alive or cycle.disconnected or cycle.flow.write_paused:
            return False
        head = _head(start["status"], (*cycle.default_headers, *start.get("headers", ())), len(body))
        if head is None or cycle.scope["method"] == "HEAD":
            return False
        cycle.response_started = cycle.response_complete = True
        cycle.transport.write(head + body)
        cycle.message_event.set()
        cycle.on_response()
        return True


_NONE: Message = {}


@lru_cache(256)
def _head(status: int, headers: tuple[tuple[bytes, bytes], ...], length: int) -> bytes | None:
    """The head of an answer with a body of this length; None where uvicorn has to look closer."""
    lines, told = [STATUS_LINE[status]], None
    for given, value in headers:
        name = given.lower()
        if name in _DECIDES or HEADER_RE.search(name) or HEADER_VALUE_RE.search(value):
            return None
        told = value if name == b"content-length" else told
        lines += (name, b": ", value, b"\r\n")
    return b"".join((*lines, b"\r\n")) if told == str(length).encode() else None


# How the answer or the connection goes on.
_DECIDES = frozenset((b"connection", b"transfer-encoding"))


class Awaited(Enum):
    """What a connection waits for."""

    HEAD = "head"
    BODY = "body"
    ANSWER = "answer"
    NEXT = "next request"


class PatientProtocol(HttpToolsProtocol):
    """One connection. The line and headers of a request have ten seconds and 32 KiB, its body has a minute.

    One timer for each connection, set anew when it goes off and not before, so that a request costs none.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._awaited, self._until = Awaited.ANSWER, math.inf
        self._head, self._head_is_too_large = 0, False
        self._timer: asyncio.TimerHandle | None = None

    def _await(self, what: Awaited, seconds: float) -> None:
        self._awaited, self._until = what, self.loop.time() + seconds

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await(Awaited.HEAD, HEAD_SECONDS)
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._awaited is not Awaited.BODY:
            self._head += len(data)
            if self._awaited is not Awaited.HEAD:
                self._await(Awaited.HEAD, HEAD_SECONDS)
        super().data_received(data)
        if self._awaited is not Awaited.BODY and self._head > LARGEST_HEAD:
            self._refuse_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await(Awaited.HEAD, HEAD_SECONDS)

    def on_headers_complete(self) -> None:
        if self._head > LARGEST_HEAD and self._size() > LARGEST_HEAD:
            self._head_is_too_large = True
            raise ValueError("the head is too large")
        self._head = 0
        self._await(Awaited.BODY, BODY_SECONDS)
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGIApp) -> None:  # type: ignore[override]
        super()._start_asgi_task(cycle, OneWrite(app, cycle))  # type: ignore[arg-type]

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._head = 0
        self._await_next()

    def on_response_complete(self) -> None:
        """uvicorn's own would set a timer for each request, to wait for the next."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)  # type: ignore[arg-type]
        elif self._awaited is Awaited.ANSWER:
            self._await_next()

    def _await_next(self) -> None:
        if self.cycle.response_complete:
            self._await(Awaited.NEXT, self.timeout_keep_alive)
        else:
            self._await(Awaited.ANSWER, math.inf)

    def send_400_response(self, msg: str) -> None:
        if self._head_is_too_large:
            self._refuse_head()
        else:
            super().send_400_response(msg)

    def _size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _refuse_head(self) -> None:
        self._end(431, f"line and headers of a request are larger than {LARGEST_HEAD} bytes; send shorter ones")

    def _look(self) -> None:
        """Whether the client has taken too long."""
        left = self._until - self.loop.time()
        if left > 0:
            self._timer = self.loop.call_later(min(left, HEAD_SECONDS), self._look)
        elif self._awaited is Awaited.NEXT:
            self.transport.close()
        else:
            seconds = BODY_SECONDS if self._awaited is Awaited.BODY else HEAD_SECONDS
            what = f"{self._awaited.value} within {seconds:.0f}"
            self._end(408, f"the request did not come to the end of its {what} seconds; send it again")

    def _end(self, status: int, detail: str) -> None:
        """Tell why, unless the answer to this request is on its way already, and close."""
        if self.transport.is_closing():
            return
        if not (self._awaited is Awaited.BODY and self.cycle.response_started):
            head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nconnection: close\r\n"
            head += f"content-type: text/plain\r\ncontent-length: {len(detail)}\r\n\r\n"
            self.transport.write((head + detail).encode())
        self.transport.close()

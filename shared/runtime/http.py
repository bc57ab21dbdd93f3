"""What a client may ask of the HTTP server: a head of limited size, and everything within its time.

uvicorn alone waits for ever for a head, a body, and for its answer to be taken; it keeps heads of any length, makes
requests of all that a client sends at once, and reads on after it has answered.
"""

from __future__ import annotations

import asyncio
import math
from enum import Enum
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import (
    HEADER_RE,
    HEADER_VALUE_RE,
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

LARGEST_HEAD = 32 * 1024
# Bytes that are made into requests at once: some two hundred of the smallest.
PARSED_AT_ONCE = 4096
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


class Reading(FlowControl):
    """Reads on only when nothing waits that was read before."""

    def __init__(self, connection: PatientProtocol, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        self._connection = connection

    def resume_reading(self) -> None:
        if not self._connection.has_more:
            super().resume_reading()


class PatientProtocol(HttpToolsProtocol):
    """One connection. The line and headers of a request have ten seconds and 32 KiB, its body has a minute, and so has
    the client to take an answer.

    One timer for each connection, set anew when it goes off and not before, so that a request costs none.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._awaited, self._until = Awaited.ANSWER, math.inf
        # Bytes of the present head, or those since the last part of the body: trailers among them.
        self._head, self._head_is_too_large = 0, False
        self._rest, self._taken = b"", 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def has_more(self) -> bool:
        """Whether requests wait for their turn."""
        return bool(self.pipeline or self._rest)

    def _await(self, what: Awaited, seconds: float) -> None:
        self._awaited, self._until = what, self.loop.time() + seconds

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = Reading(self, transport)
        self._taken = self.loop.time()
        self._await(Awaited.HEAD, HEAD_SECONDS)
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._rest = b""
        self.pipeline.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.has_more or len(data) > PARSED_AT_ONCE:
            self._rest += data
            self._go_on()
        else:
            self._parse(data)

    def _go_on(self) -> None:
        """Parse what waits, until a request has to wait for another: it would take more memory than its bytes."""
        at = 0
        while at < len(self._rest) and not self.pipeline and not self.transport.is_closing():
            self._parse(self._rest[at : at + PARSED_AT_ONCE])
            at += PARSED_AT_ONCE
        self._rest = b"" if self.transport.is_closing() else self._rest[at:]
        if self._rest:
            self.flow.pause_reading()

    def _parse(self, data: bytes) -> None:
        self._head += len(data)
        if self._awaited in (Awaited.ANSWER, Awaited.NEXT):
            self._await(Awaited.HEAD, HEAD_SECONDS)
        super().data_received(data)
        if self._head > LARGEST_HEAD:
            self._refuse_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await(Awaited.HEAD, HEAD_SECONDS)

    def on_body(self, body: bytes) -> None:
        self._head = 0
        super().on_body(body)

    def on_headers_complete(self) -> None:
        if self._head > LARGEST_HEAD and self._size() > LARGEST_HEAD:
            self._head_is_too_large = True
            raise ValueError("the head is too large")
        self._head = 0
        self._await(Awaited.BODY, BODY_SECONDS)
        super().on_headers_complete()
        # What comes after the body is no part of the head that a source looks at (RFC 9110, 6.5.1).
        self.headers = []

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
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)  # type: ignore[arg-type]
        elif self._awaited is Awaited.ANSWER:
            self._await_next()
        if self._rest and not self.pipeline:
            if self._awaited in (Awaited.HEAD, Awaited.BODY):
                # What came in time has waited here.
                self._await(self._awaited, BODY_SECONDS if self._awaited is Awaited.BODY else HEAD_SECONDS)
            self._go_on()
        self.flow.resume_reading()

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
        now = self.loop.time()
        if not self.transport.get_write_buffer_size():
            self._taken = now
        if now - self._taken > BODY_SECONDS:
            return self.transport.abort()
        left = self._until - now
        if left <= 0 and not self.has_more and not self.transport.is_closing():
            self._time_is_up()
        self._timer = self.loop.call_later(left if 0 < left < HEAD_SECONDS else HEAD_SECONDS, self._look)
        return None

    def _time_is_up(self) -> None:
        if self._awaited is Awaited.NEXT:
            return self.transport.close()
        seconds = BODY_SECONDS if self._awaited is Awaited.BODY else HEAD_SECONDS
        what = f"{self._awaited.value} within {seconds:.0f}"
        return self._end(408, f"the request did not come to the end of its {what} seconds; send it again")

    def _end(self, status: int, detail: str) -> None:
        """Tell why, unless the answer to this request is on its way already, and close."""
        if self.transport.is_closing():
            return
        if not (self._awaited is Awaited.BODY and self.cycle.response_started):
            head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nconnection: close\r\n"
            head += f"content-type: text/plain\r\ncontent-length: {len(detail)}\r\n\r\n"
            self.transport.write((head + detail).encode())
        self.transport.close()

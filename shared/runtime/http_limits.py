"""HTTP limits that uvicorn lacks: a maximum size of heads, and timeouts for everything that a client sends or reads.

uvicorn alone waits forever for a head, for a body, and for a client to read its response. It keeps heads of any length,
turns everything that a client pipelines into requests at once, and keeps reading after the response.

This builds on private parts of uvicorn, which is therefore pinned to a minor version; see decision 0006.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable
from enum import Enum
from functools import lru_cache
from http import HTTPStatus
from typing import Any, ClassVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import (
    HEADER_RE,
    HEADER_VALUE_RE,
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

MAX_HEAD_BYTES = 32 * 1024
HEAD_TOO_LARGE = 431, f"line and headers of a request are larger than {MAX_HEAD_BYTES} bytes; send shorter ones"
# Bytes parsed at once: about two hundred of the smallest requests.
PARSE_BYTES = 4096


class SingleWriteApp:
    """Runs an application for one request, and sends a complete response in one write: one system call and one packet
    less. Leaves every other response to uvicorn.
    """

    __slots__ = ("_app", "_cycle", "_start")

    def __init__(self, app: ASGIApp, cycle: RequestResponseCycle) -> None:
        self._app, self._cycle, self._start = app, cycle, _NOT_STARTED

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        return self._app(scope, receive, self._send)

    async def _send(self, message: Message) -> None:
        """Hold the start back until the first part of the body."""
        if message["type"] == "http.response.start" and not self._start:
            self._start = message
            return
        if self._start and not self._cycle.response_started:
            if self._send_complete(message):
                return
            await self._cycle.send(self._start)  # type: ignore[arg-type]
        await self._cycle.send(message)  # type: ignore[arg-type]

    def _send_complete(self, message: Message) -> bool:
        """Send a response whose only part has the announced length; false for any other response."""
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


_NOT_STARTED: Message = {}


@lru_cache(256)
def _head(status: int, headers: tuple[tuple[bytes, bytes], ...], length: int) -> bytes | None:
    """The head of a response with a body of this length; None if uvicorn has to handle the response."""
    lines, announced = [STATUS_LINE[status]], None
    for given, value in headers:
        name = given.lower()
        if name in _CONNECTION_HEADERS or HEADER_RE.search(name) or HEADER_VALUE_RE.search(value):
            return None
        announced = value if name == b"content-length" else announced
        lines += (name, b": ", value, b"\r\n")
    return b"".join((*lines, b"\r\n")) if announced == str(length).encode() else None


# Headers that change how the connection continues.
_ENCODING = b"transfer-encoding"
_CONNECTION_HEADERS = frozenset((b"connection", _ENCODING))


class Awaiting(Enum):
    """What a connection is waiting for."""

    HEAD = "head"
    BODY = "body"
    ANSWER = "answer"
    NEXT = "next request"


class BacklogFlowControl(FlowControl):
    """Resumes reading only when nothing that was read before is waiting."""

    def __init__(self, connection: LimitedHttpProtocol, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        self._connection = connection

    def resume_reading(self) -> None:
        if self.read_paused and not self._connection.has_backlog:
            super().resume_reading()


class LimitedHttpProtocol(HttpToolsProtocol):
    """One connection. Limits: 32 KiB and `head_seconds` for the request line and headers, `body_seconds` for the body
    and for the client to read a response.

    Each connection has one timer, which is only set again when it fires, so that a request sets none.
    """

    head_seconds: ClassVar[float] = 10.0
    body_seconds: ClassVar[float] = 60.0

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._awaiting, self._deadline = Awaiting.ANSWER, math.inf
        # Bytes of the current head, or since the last part of the body, which includes trailers.
        self._head_bytes = 0
        self._refusal: tuple[int, str] | None = None
        self._unparsed, self._drained_at = b"", 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def has_backlog(self) -> bool:
        """Whether requests are waiting for the current one."""
        return bool(self.pipeline or self._unparsed)

    def _await(self, what: Awaiting, seconds: float) -> None:
        self._awaiting, self._deadline = what, self.loop.time() + seconds

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = BacklogFlowControl(self, transport)
        self._drained_at = self.loop.time()
        self._await(Awaiting.HEAD, self.head_seconds)
        self._check_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._unparsed = b""
        self.pipeline.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.has_backlog or len(data) > PARSE_BYTES:
            self._unparsed += data
            self._parse_backlog()
        else:
            self._parse(data)

    def _parse_backlog(self) -> None:
        """Parse until a request has to wait for another: a parsed request takes more memory than its bytes."""
        at = 0
        while at < len(self._unparsed) and not self.pipeline and not self.transport.is_closing():
            self._parse(self._unparsed[at : at + PARSE_BYTES])
            at += PARSE_BYTES
        self._unparsed = b"" if self.transport.is_closing() else self._unparsed[at:]
        if self._unparsed:
            self.flow.pause_reading()

    def _parse(self, data: bytes) -> None:
        self._head_bytes += len(data)
        if self._awaiting in (Awaiting.ANSWER, Awaiting.NEXT):
            self._await(Awaiting.HEAD, self.head_seconds)
        super().data_received(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await(Awaiting.HEAD, self.head_seconds)

    def on_body(self, body: bytes) -> None:
        self._head_bytes = 0
        super().on_body(body)

    def on_headers_complete(self) -> None:
        if self._head_bytes > MAX_HEAD_BYTES and self._head_size() > MAX_HEAD_BYTES:
            self._refusal = HEAD_TOO_LARGE
        else:
            self._refusal = self._unclear_head()
        if self._refusal:
            raise ValueError(self._refusal)
        self._head_bytes = 0
        self._await(Awaiting.BODY, self.body_seconds)
        super().on_headers_complete()
        # Trailers must not count as headers (RFC 9110, 6.5.1).
        self.headers = []

    def _unclear_head(self) -> tuple[int, str] | None:
        """Status and text for a head that a proxy before us may read in another way (RFC 9112, 3.2 and 6.1)."""
        names = [name for name, _ in self.headers]
        hosts = names.count(b"host")
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() == "1.1"):
            return 400, "a request has exactly one header host; send one"
        encodings = [value for name, value in self.headers if name == _ENCODING] if _ENCODING in names else []
        if encodings and b",".join(encodings).strip().lower() != b"chunked":
            return 501, "header transfer-encoding: only chunked is supported; send the body as it is"
        return None

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGIApp) -> None:  # type: ignore[override]
        super()._start_asgi_task(cycle, SingleWriteApp(app, cycle))  # type: ignore[arg-type]

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._head_bytes = 0
        if self.cycle.response_complete:
            self._await(Awaiting.NEXT, self.timeout_keep_alive)
        else:
            self._awaiting, self._deadline = Awaiting.ANSWER, math.inf

    def on_response_complete(self) -> None:
        """Replaces uvicorn's, which sets a keep-alive timer after each request."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)  # type: ignore[arg-type]
        elif self._awaiting is Awaiting.ANSWER:
            self._await(Awaiting.NEXT, self.timeout_keep_alive)
        if self._unparsed and not self.pipeline:
            if self._awaiting in (Awaiting.HEAD, Awaiting.BODY):
                # The bytes arrived in time; it was the server that let them wait.
                self._await(self._awaiting, self.body_seconds if self._awaiting is Awaiting.BODY else self.head_seconds)
            self._parse_backlog()
        self.flow.resume_reading()

    def send_400_response(self, msg: str) -> None:
        if self._refusal:
            self._end(*self._refusal)
        else:
            super().send_400_response(msg)

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _refuse_head(self) -> None:
        self._end(*HEAD_TOO_LARGE)

    def _check_deadline(self) -> None:
        """Close the connection if the client is too slow; otherwise set the timer again."""
        now = self.loop.time()
        if not self.transport.get_write_buffer_size():
            self._drained_at = now
        if now - self._drained_at > self.body_seconds:
            return self.transport.abort()
        left = self._deadline - now
        if left <= 0 and not self.has_backlog and not self.transport.is_closing():
            self._time_out()
        self._timer = self.loop.call_later(
            left if 0 < left < self.head_seconds else self.head_seconds, self._check_deadline
        )
        return None

    def _time_out(self) -> None:
        if self._awaiting is Awaiting.NEXT:
            return self.transport.close()
        seconds = self.body_seconds if self._awaiting is Awaiting.BODY else self.head_seconds
        what = f"{self._awaiting.value} within {seconds:.0f}"
        return self._end(408, f"the request did not come to the end of its {what} seconds; send it again")

    def _end(self, status: int, detail: str) -> None:
        """Send an error, unless the response has already started, and close."""
        if self.transport.is_closing():
            return
        if not (self._awaiting is Awaiting.BODY and self.cycle.response_started):
            head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nconnection: close\r\n"
            head += f"content-type: text/plain\r\ncontent-length: {len(detail)}\r\n\r\n"
            self.transport.write((head + detail).encode())
        self.transport.close()

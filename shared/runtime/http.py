"""What a client may ask of the HTTP server: a head of limited size, and everything within its time.

uvicorn alone waits for ever for a head and a body, keeps heads of any length, and reads on after it has answered.
"""

from __future__ import annotations

import asyncio
import math
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST_HEAD = 32 * 1024
HEAD_SECONDS, BODY_SECONDS = 10.0, 60.0


class OneWrite:
    """A transport that sends the head of an answer together with its body: a system call and a packet less."""

    __slots__ = ("_head", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport, self._head = transport, b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send, but for a head, which waits for what comes next."""
        if self._head:
            data, self._head = self._head + data, b""
        elif data.endswith(b"\r\n\r\n") and data.startswith(b"HTTP/1.1 ") and data[9:10] != b"1":
            self._head = data
            return
        self._transport.write(data)

    def flush(self) -> None:
        """Send a head that nothing follows."""
        if self._head:
            self.write(b"")

    def close(self) -> None:
        self.flush()
        self._transport.close()


class PatientProtocol(HttpToolsProtocol):
    """One connection. The line and headers of a request have ten seconds and 32 KiB, its body has a minute.

    One timer for each connection, set anew when it goes off and not before, so that a request costs none.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._until, self._in_body = math.inf, False
        self._head, self._head_is_too_large = 0, False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(OneWrite(transport))  # type: ignore[arg-type]
        self._until = self.loop.time() + HEAD_SECONDS
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._in_body:
            self._head += len(data)
            if self._until == math.inf:
                self._until = self.loop.time() + HEAD_SECONDS
        super().data_received(data)
        if not self._in_body and self._head > LARGEST_HEAD:
            self._refuse_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._until = self.loop.time() + HEAD_SECONDS

    def on_headers_complete(self) -> None:
        if self._head > LARGEST_HEAD and self._size() > LARGEST_HEAD:
            self._head_is_too_large = True
            raise ValueError("the head is too large")
        self._in_body, self._head, self._until = True, 0, self.loop.time() + BODY_SECONDS
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body, self._head, self._until = False, 0, math.inf
        super().on_message_complete()

    def on_response_complete(self) -> None:
        # Before the next answer may begin.
        self.transport.flush()  # type: ignore[attr-defined]
        super().on_response_complete()

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
        if left <= 0:
            what = f"body within {BODY_SECONDS:.0f}" if self._in_body else f"head within {HEAD_SECONDS:.0f}"
            self._end(408, f"the request did not come to the end of its {what} seconds; send it again")
        else:
            self._timer = self.loop.call_later(min(left, HEAD_SECONDS), self._look)

    def _end(self, status: int, detail: str) -> None:
        """Tell why, unless the answer to this request is on its way already, and close."""
        if self.transport.is_closing():
            return
        if not (self._in_body and self.cycle.response_started):
            head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nconnection: close\r\n"
            head += f"content-type: text/plain\r\ncontent-length: {len(detail)}\r\n\r\n"
            self.transport.write((head + detail).encode())
        self.transport.close()

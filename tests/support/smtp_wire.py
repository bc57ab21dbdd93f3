"""A proxy before a real SMTP server that breaks the dialogue at a step some times, and then works."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from enum import StrEnum

# Lines of a content that reach the server before it breaks.
_LINES = 5


class SmtpStep(StrEnum):
    """Where the dialogue breaks. `answer`: after the server took the content, before the client knows."""

    CONNECT = "connect"
    EHLO = "EHLO"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    CONTENT = "content"
    ANSWER = "answer"


class SmtpFault(StrEnum):
    """`abort`: the connection is reset; `silence`: no answer comes; `nonsense`: the answer is none of SMTP."""

    ABORT = "abort"
    SILENCE = "silence"
    NONSENSE = "nonsense"


class SmtpWire:
    """`left`: how often it still breaks. `on_break` is called when it does."""

    def __init__(self, server: int, step: SmtpStep, fault: SmtpFault, left: int) -> None:
        self._server, self._step, self._fault, self.left = server, step, fault, left
        self.on_break: Callable[[], None] = lambda: None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Proxy one connection."""
        try:
            await _SmtpSession(self, reader, writer).run(self._server)
        except OSError:
            writer.transport.abort()

    def breaks(self, step: str) -> bool:
        """Whether to break here; counts it."""
        if step != self._step or self.left <= 0:
            return False
        self.left -= 1
        self.on_break()
        return True

    async def spoil(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Do to the client what the fault is, until the client leaves."""
        if self._fault is SmtpFault.NONSENSE:
            writer.write(b"\xff\xfe what?\r\n")
        if self._fault is not SmtpFault.ABORT:
            while await reader.read(65_536):
                pass
        writer.transport.abort()


class _SmtpSession:
    def __init__(self, wire: SmtpWire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._wire, self._reader, self._writer = wire, reader, writer
        self._has_content = False

    async def run(self, port: int) -> None:
        from_server, server = await asyncio.open_connection("127.0.0.1", port)
        answers = asyncio.ensure_future(self._answers(from_server))
        try:
            if self._wire.breaks(SmtpStep.CONNECT) or await self._commands(server):
                answers.cancel()
                server.transport.abort()
                await self._wire.spoil(self._reader, self._writer)
            else:
                await answers
        finally:
            answers.cancel()
            server.close()
            self._writer.close()

    async def _commands(self, server: asyncio.StreamWriter) -> bool:
        """Pass on what the client sends; whether it broke."""
        lines = -1
        while line := await self._reader.readline():
            if lines < 0 and self._wire.breaks(line[:4].decode("latin-1").upper()):
                return True
            if lines >= _LINES and self._wire.breaks(SmtpStep.CONTENT):
                return True
            lines = lines + 1 if lines >= 0 else 0 if line.upper() == b"DATA\r\n" else -1
            if lines >= 0 and line == b".\r\n":
                lines, self._has_content = -1, True
            server.write(line)
            await server.drain()
        server.close()
        return False

    async def _answers(self, from_server: asyncio.StreamReader) -> None:
        with suppress(OSError):
            while answer := await from_server.readline():
                if self._has_content and self._wire.breaks(SmtpStep.ANSWER):
                    await self._wire.spoil(self._reader, self._writer)
                    return
                self._has_content = False
                self._writer.write(answer)
                await self._writer.drain()
        self._writer.close()


@asynccontextmanager
async def smtp_wire(server: int, step: SmtpStep, fault: SmtpFault, left: int) -> AsyncIterator[tuple[SmtpWire, int]]:
    """A wire to the server on a port of this machine, and the port that leads over it."""
    wire = SmtpWire(server, step, fault, left)
    listener = await asyncio.start_server(wire.serve, "127.0.0.1", 0)
    try:
        yield wire, int(listener.sockets[0].getsockname()[1])
    finally:
        listener.close()

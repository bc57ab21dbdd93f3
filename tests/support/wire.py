"""A TCP proxy between a client and a real server that tests can cut and restore."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit


class Wire:
    """While cut, open connections are aborted and new ones refused. `refused` counts the latter."""

    refused = 0

    def __init__(self, host: str, port: int) -> None:
        self._server, self._is_up = (host, port), True
        self._ends: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Proxy one client connection to the server."""
        if not self._is_up:
            self.refused += 1
            writer.transport.abort()
            return
        from_server, server = await asyncio.open_connection(*self._server)
        ends = {writer, server}
        self._ends |= ends
        await asyncio.gather(_copy(reader, server), _copy(from_server, writer))
        self._ends -= ends

    async def cut(self) -> None:
        self._is_up = False
        for end in self._ends:
            end.transport.abort()

    def restore(self) -> None:
        self._is_up = True


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while part := await reader.read(65_536):
            writer.write(part)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def wire(dsn: str) -> AsyncIterator[tuple[Wire, str]]:
    """A wire to a database, and the DSN that leads over it."""
    parts = urlsplit(dsn)
    between = Wire(parts.hostname or "127.0.0.1", parts.port or 5432)
    listener = await asyncio.start_server(between.serve, "127.0.0.1", 0)
    user = parts.netloc.rpartition("@")[0]
    address = f"{user}@127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield between, urlunsplit(parts._replace(netloc=address))
    finally:
        await between.cut()
        listener.close()

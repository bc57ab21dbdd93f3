"""A wire between a client and a real server that can be cut and mended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit


class Wire:
    """While it is cut, what was connected is broken off, and nobody gets through. `refused`: how many tried."""

    refused = 0

    def __init__(self, host: str, port: int) -> None:
        self._server, self._whole = (host, port), True
        self._ends: set[asyncio.StreamWriter] = set()

    async def join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry what a client says to the server and back."""
        if not self._whole:
            self.refused += 1
            writer.transport.abort()
            return
        behind, server = await asyncio.open_connection(*self._server)
        ends = {writer, server}
        self._ends |= ends
        await asyncio.gather(_carry(reader, server), _carry(behind, writer))
        self._ends -= ends

    async def cut(self) -> None:
        self._whole = False
        for end in self._ends:
            end.transport.abort()

    def mend(self) -> None:
        self._whole = True


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while part := await reader.read(65_536):
            writer.write(part)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def wire(dsn: str) -> AsyncIterator[tuple[Wire, str]]:
    """A wire to a database, and the DSN by which it is reached over the wire."""
    parts = urlsplit(dsn)
    between = Wire(parts.hostname or "127.0.0.1", parts.port or 5432)
    door = await asyncio.start_server(between.join, "127.0.0.1", 0)
    user = parts.netloc.rpartition("@")[0]
    place = f"{user}@127.0.0.1:{door.sockets[0].getsockname()[1]}"
    try:
        yield between, urlunsplit(parts._replace(netloc=place))
    finally:
        await between.cut()
        door.close()

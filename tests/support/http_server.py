"""uvicorn for tests: it stops at once, where uvicorn itself looks ten times a second."""

from __future__ import annotations

import asyncio
import socket

import uvicorn


class TestServer(uvicorn.Server):
    """Serves until `end`, which any thread may call."""

    __test__ = False

    async def main_loop(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        await self.on_tick(0)
        await self._ended.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)

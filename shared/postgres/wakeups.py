"""Wakes the other replicas of a service: LISTEN and NOTIFY, so that nobody polls often for work that is rare."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from shared.postgres.pool import TRANSIENT, Connection, Pool
from shared.runtime.log import logger
from shared.runtime.waiting import wait_within

_log = logger(__name__)


class Wakeups:
    """One channel. `woken` is called when another replica has sent a wake-up.

    Not promised: that a wake-up arrives. It is lost while the connection is down, so whoever waits for one polls too,
    only less often.
    """

    def __init__(
        self,
        pool: Pool,
        channel: str,
        woken: Callable[[], None],
        min_interval_seconds: float = 0.1,
        check_seconds: float = 10.0,
    ) -> None:
        self._pool, self._channel, self._woken = pool, channel, woken
        self._min_interval, self._check = min_interval_seconds, check_seconds
        self._wanted = asyncio.Event()

    def send(self) -> None:
        """Wake the others soon; many calls within the interval are one NOTIFY."""
        self._wanted.set()

    async def run(self) -> None:
        """Listen and notify until cancelled, on one connection of the pool."""
        while True:
            try:
                async with self._pool.acquire() as connection:
                    await self._listen(connection)
            except TRANSIENT as error:
                _log.warning("no wake-ups: database unavailable", channel=self._channel, error=repr(error))
                await asyncio.sleep(1)

    async def _listen(self, connection: Connection) -> None:
        own = connection.get_server_pid()

        def heard(_: Any, pid: int, channel: str, payload: Any) -> None:
            if pid != own:
                self._woken()

        await connection.add_listener(self._channel, heard)
        try:
            while True:
                await self._notify(connection)
        except TRANSIENT:
            # Never back to the pool: it may be open still, and would carry the listener along.
            with suppress(*TRANSIENT):
                connection.terminate()
            raise
        finally:
            # A fault here would take the place of a cancellation, and `run` would go on.
            with suppress(*TRANSIENT):
                await connection.remove_listener(self._channel, heard)

    async def _notify(self, connection: Connection) -> None:
        """Send what is wanted; now and then find out whether the connection still lives."""
        if not await wait_within(self._wanted, self._check):
            await connection.execute("SELECT 1")
            return
        self._wanted.clear()
        try:
            await connection.execute("SELECT pg_notify($1, '')", self._channel)
        except BaseException:
            self._wanted.set()
            raise
        await asyncio.sleep(self._min_interval)

"""A lane of a consumer: what was read waits in it for its turn."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Generic, TypeVar

One = TypeVar("One")


class Lane(Generic[One]):
    """Records that are handled in batches of at most `most`, one after the other; about as many again may wait.

    What waits goes into one batch, however it was read: where there is much to do, batches are full.
    """

    def __init__(self, name: str, most: int) -> None:
        self.name, self._most = name, most
        self._waiting: list[One] = []
        self._in_hand = 0
        self._changed = asyncio.Condition()

    @property
    def idle(self) -> bool:
        return not self._waiting and not self._in_hand

    async def put(self, records: Sequence[One]) -> None:
        """Let these wait; back when there is room, so that other lanes get theirs meanwhile."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._waiting) < self._most)
            self._waiting += records
            self._changed.notify_all()

    async def take(self) -> Sequence[One]:
        """The next batch; it is in hand until `done`."""
        async with self._changed:
            await self._changed.wait_for(lambda: bool(self._waiting))
            batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            self._in_hand = len(batch)
            self._changed.notify_all()
            return batch

    async def done(self) -> None:
        async with self._changed:
            self._in_hand = 0
            self._changed.notify_all()

    async def rest(self) -> None:
        """Back when nothing is in hand and nothing waits."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.idle)

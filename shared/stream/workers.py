"""Lanes of a consumer: what was read waits in one of them for its turn."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Generic, TypeVar

One = TypeVar("One")


class Worker(Generic[One]):
    """Records that are handled in batches of at most `most`, one after the other.

    What waits goes into one batch, however it was read: where there is much to do, batches are full.
    """

    def __init__(self, name: str, most: int, changed: asyncio.Condition) -> None:
        self.name, self._most, self._changed = name, most, changed
        self.waiting: list[One] = []
        self.in_hand: Sequence[One] = ()

    @property
    def idle(self) -> bool:
        return not self.waiting and not self.in_hand

    async def take(self) -> Sequence[One]:
        """The next batch; it is in hand until `done`."""
        async with self._changed:
            await self._changed.wait_for(lambda: bool(self.waiting))
            batch, self.waiting = self.waiting[: self._most], self.waiting[self._most :]
            self.in_hand = batch
            self._changed.notify_all()
            return batch

    async def done(self) -> None:
        async with self._changed:
            self.in_hand = ()
            self._changed.notify_all()


class Workers(Generic[One]):
    """All lanes of a consumer. Who reads waits while a batch for each of them waits, in whichever: what comes in for
    one must not keep the others from theirs.
    """

    def __init__(self, count: int, most: int) -> None:
        self._changed = asyncio.Condition()
        self._all = [Worker[One](f"consume {number}", most, self._changed) for number in range(count)]
        self._room = count * most

    def __iter__(self) -> Iterator[Worker[One]]:
        return iter(self._all)

    def of(self, partition: int) -> Worker[One]:
        """The lane of a partition: always the same."""
        return self._all[partition % len(self._all)]

    async def put(self, parts: Mapping[int, Sequence[One]]) -> None:
        """Let the records of each partition wait in its lane; back when there was room for them."""
        async with self._changed:
            await self._changed.wait_for(lambda: sum(len(lane.waiting) for lane in self._all) < self._room)
            for partition, records in parts.items():
                self.of(partition).waiting += records
            self._changed.notify_all()

    @property
    def idle(self) -> bool:
        """Whether nothing is in hand and nothing waits."""
        return all(lane.idle for lane in self._all)

    async def rest(self) -> None:
        """Back when nothing is in hand and nothing waits."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.idle)

"""Workers of a consumer: each handles the records of its partitions in batches, one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Generic, TypeVar

One = TypeVar("One")
Handle = Callable[["Worker[One]", Sequence[One]], Awaitable[None]]


class BatchCancelled(Exception):
    """Something that a handler awaited was cancelled, but not the handler itself."""


class Worker(Generic[One]):
    """Takes batches of at most `max_records`.

    Merges queued records of several fetches into one batch, so batches are full under load.
    """

    def __init__(self, name: str, max_records: int, changed: asyncio.Condition) -> None:
        self.name, self._max_records, self._changed = name, max_records, changed
        self.waiting: list[One] = []
        self.current: Sequence[One] = ()

    @property
    def is_idle(self) -> bool:
        return not self.waiting and not self.current

    async def run(self, handle: Handle[One]) -> None:
        """Handle batch after batch until cancelled; raises what `handle` raises.

        A task group passes over a task that ends as cancelled, so a cancellation of nobody's is an error.
        """
        while True:
            batch = await self._take()
            try:
                await handle(self, batch)
            except asyncio.CancelledError as error:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise
                raise BatchCancelled("a batch was cancelled from within") from error
            finally:
                await self._done()

    async def _take(self) -> Sequence[One]:
        async with self._changed:
            await self._changed.wait_for(lambda: bool(self.waiting))
            self.current, self.waiting = self.waiting[: self._max_records], self.waiting[self._max_records :]
            self._changed.notify_all()
            return self.current

    async def _done(self) -> None:
        async with self._changed:
            self.current = ()
            self._changed.notify_all()


class Workers(Generic[One]):
    """All workers of a consumer. While the database works for one, another decodes or the reader fetches.

    The reader waits once a batch per worker is queued in total, whichever worker it is for: a busy worker must not
    starve the others.
    """

    def __init__(self, count: int, max_records: int) -> None:
        self._changed = asyncio.Condition()
        self._all = [Worker[One](f"consume {number}", max_records, self._changed) for number in range(count)]
        self._capacity = count * max_records
        self._ended = False

    def __iter__(self) -> Iterator[Worker[One]]:
        return iter(self._all)

    def of(self, partition: int) -> Worker[One]:
        """The one that handles this partition."""
        return self._all[partition % len(self._all)]

    async def run(self, handle: Handle[One]) -> None:
        """Run all until cancelled; raises what `handle` raises. Afterwards nobody waits for them."""
        try:
            async with asyncio.TaskGroup() as group:
                for worker in self._all:
                    group.create_task(worker.run(handle))
        finally:
            self._ended = True
            async with self._changed:
                self._changed.notify_all()

    async def put(self, parts: Mapping[int, Sequence[One]]) -> None:
        """Queue the records of each partition with its worker, always the same; waits until there is capacity."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._ended or self._has_capacity)
            for partition, records in parts.items():
                self.of(partition).waiting += records
            self._changed.notify_all()

    @property
    def _has_capacity(self) -> bool:
        return sum(len(worker.waiting) for worker in self._all) < self._capacity

    @property
    def are_idle(self) -> bool:
        """Whether no batch is queued or being handled."""
        return all(worker.is_idle for worker in self._all)

    async def drain(self) -> None:
        """Wait until no batch is queued or being handled, or the workers have ended and will handle none."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._ended or self.are_idle)

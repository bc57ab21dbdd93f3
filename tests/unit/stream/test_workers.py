"""Workers: each record once, in order, in full batches; no more waits than a batch for each and the last fetch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.stream.workers import BatchCancelled, Worker, Workers

Record = tuple[int, int, int]


class Batches:
    """Handles batches by keeping them, one after each call of `step`."""

    def __init__(self, workers: Workers[Any], held: bool = True) -> None:
        self.workers, self.found = workers, list[list[Any]]()
        self._gate = asyncio.Semaphore(0 if held else 10_000)

    async def handle(self, worker: Worker[Any], records: Sequence[Any]) -> None:
        assert not worker.is_idle
        self.found.append(list(records))
        await self._gate.acquire()

    async def step(self) -> None:
        self._gate.release()
        await asyncio.sleep(0.01)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        loop = asyncio.ensure_future(self.workers.run(self.handle))
        await asyncio.sleep(0.01)
        try:
            yield
        finally:
            loop.cancel()
            await asyncio.wait([loop])


@given(
    st.lists(st.dictionaries(st.integers(0, 4), st.integers(1, 9)), max_size=20), st.integers(1, 7), st.integers(1, 3)
)
def test_every_record_once_in_order_and_never_too_many(reads: list[dict[int, int]], most: int, count: int) -> None:
    parts = [
        {partition: [(partition, n, k) for k in range(size)] for partition, size in read.items()}
        for n, read in enumerate(reads)
    ]
    batches = asyncio.run(_through(Workers(count, most), parts))

    for partition in range(5):
        mine = [record for batch in batches for record in batch if record[0] == partition]
        assert mine == [record for part in parts for record in part.get(partition, [])]
    assert all(len(batch) <= most for batch in batches)


async def _through(workers: Workers[Record], parts: Sequence[dict[int, list[Record]]]) -> list[list[Record]]:
    batches = Batches(workers, held=False)
    loop = asyncio.ensure_future(workers.run(batches.handle))
    for part in parts:
        await workers.put(part)
    await workers.drain()
    loop.cancel()
    return batches.found


async def test_all_that_waits_goes_into_one_batch_however_it_was_fetched() -> None:
    batches = Batches(Workers(2, 3))
    for part in ([1], [2], [3, 4]):
        await batches.workers.put({0: part})

    async with batches.running():
        await batches.step()

    assert batches.found == [[1, 2, 3], [4]]


async def test_the_reader_waits_while_a_batch_for_each_worker_waits() -> None:
    batches = Batches(Workers(2, 2))
    await batches.workers.put({0: [1, 2, 3]})
    await batches.workers.put({0: [4]})
    putting = asyncio.ensure_future(batches.workers.put({1: [5]}))
    await asyncio.sleep(0.01)
    assert not putting.done()

    async with batches.running():
        await putting
        await asyncio.sleep(0.01)
        assert batches.found == [[1, 2], [5]]


async def test_draining_waits_for_batches_in_hand_and_for_waiting_records() -> None:
    batches = Batches(Workers(1, 1))
    await batches.workers.put({0: [1, 2]})

    async with batches.running():
        draining = asyncio.ensure_future(batches.workers.drain())
        for _ in range(2):
            await asyncio.sleep(0.01)
            assert not draining.done()
            await batches.step()
        await draining

    assert batches.workers.are_idle


@pytest.mark.parametrize("cause", [asyncio.CancelledError(), ValueError("handler")])
async def test_nobody_waits_for_workers_that_have_ended(cause: BaseException) -> None:
    workers = Workers[int](2, 1)

    async def fail(worker: Worker[int], batch: Sequence[int]) -> None:
        raise cause

    working = asyncio.ensure_future(workers.run(fail))
    await workers.put({0: [1, 2, 3]})
    async with asyncio.timeout(60):
        await workers.drain()
        await workers.put({0: [4], 1: [5]})
        with pytest.raises(ExceptionGroup) as raised:
            await working

    expected = ValueError if isinstance(cause, ValueError) else BatchCancelled
    assert raised.group_contains(expected)


async def test_workers_that_are_cancelled_end_without_an_error() -> None:
    workers = Workers[int](2, 1)

    async def hold(worker: Worker[int], batch: Sequence[int]) -> None:
        await asyncio.Event().wait()

    working = asyncio.ensure_future(workers.run(hold))
    await workers.put({0: [1, 2]})
    await asyncio.sleep(0.01)
    working.cancel()
    await asyncio.wait([working], timeout=60)

    assert working.cancelled()

"""A lane: records in their order, in full batches, and no more of them waiting than a batch and what was read last."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.bus.lanes import Lane


@given(st.lists(st.integers(1, 9), max_size=30), st.integers(1, 7))
def test_every_record_once_in_order_and_never_too_many(reads: list[int], most: int) -> None:
    numbers = iter(range(1000))
    parts = [[next(numbers) for _ in range(size)] for size in reads]
    batches = asyncio.run(_through(Lane("lane", most), parts))

    assert [number for batch in batches for number in batch] == [number for part in parts for number in part]
    assert all(len(batch) <= most for batch in batches)


async def _through(lane: Lane[Any], parts: Sequence[list[int]]) -> list[Sequence[int]]:
    batches: list[Sequence[int]] = []

    async def read() -> None:
        for part in parts:
            await lane.put(part)

    async def work() -> None:
        while True:
            batches.append(await lane.take())
            assert not lane.idle
            await asyncio.sleep(0)
            await lane.done()

    worker = asyncio.ensure_future(work())
    await read()
    await lane.rest()
    worker.cancel()
    return batches


async def test_what_waits_goes_into_one_batch_however_it_was_read() -> None:
    lane: Lane[int] = Lane("lane", 3)
    for part in ([1], [2], [3, 4]):
        await lane.put(part)

    assert [await lane.take(), await lane.take()] == [[1, 2, 3], [4]]


async def test_who_reads_waits_while_a_batch_waits() -> None:
    lane: Lane[int] = Lane("lane", 2)
    await lane.put([1, 2])
    reader = asyncio.ensure_future(lane.put([3]))
    await asyncio.sleep(0.01)
    assert not reader.done()

    assert await lane.take() == [1, 2]
    await reader


async def test_rest_waits_for_what_is_in_hand_and_for_what_waits() -> None:
    lane: Lane[int] = Lane("lane", 1)
    await lane.put([1, 2])
    resting = asyncio.ensure_future(lane.rest())
    for _ in range(2):
        await lane.take()
        await asyncio.sleep(0.01)
        assert not resting.done()
        await lane.done()
    await resting
    assert lane.idle

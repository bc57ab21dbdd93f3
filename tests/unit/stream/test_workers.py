"""Lanes: records in their order, in full batches, and no more of them waiting than a batch a lane and the last read."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from shared.stream.workers import Worker, Workers


@given(
    st.lists(st.dictionaries(st.integers(0, 4), st.integers(1, 9)), max_size=20), st.integers(1, 7), st.integers(1, 3)
)
def test_every_record_once_in_order_and_never_too_many(reads: list[dict[int, int]], most: int, count: int) -> None:
    parts = [
        {place: [(place, n, k) for k in range(size)] for place, size in read.items()} for n, read in enumerate(reads)
    ]
    batches = asyncio.run(_through(Workers(count, most), parts))

    for place in range(5):
        mine = [record for batch in batches for record in batch if record[0] == place]
        assert mine == [record for part in parts for record in part.get(place, [])]
    assert all(len(batch) <= most for batch in batches)


Record = tuple[int, int, int]


async def _through(lanes: Workers[Record], parts: Sequence[dict[int, list[Record]]]) -> list[Sequence[Record]]:
    batches: list[Sequence[Record]] = []

    async def work(lane: Worker[Record]) -> None:
        while True:
            batches.append(await lane.take())
            assert not lane.idle
            await asyncio.sleep(0)
            await lane.done()

    workers = [asyncio.ensure_future(work(lane)) for lane in lanes]
    for part in parts:
        await lanes.put(part)
    await lanes.rest()
    for worker in workers:
        worker.cancel()
    return batches


async def test_what_waits_goes_into_one_batch_however_it_was_read() -> None:
    lanes: Workers[int] = Workers(2, 3)
    for part in ([1], [2], [3, 4]):
        await lanes.put({0: part})

    assert [await lanes.of(0).take(), await lanes.of(0).take()] == [[1, 2, 3], [4]]


async def test_who_reads_waits_while_a_batch_for_each_lane_waits() -> None:
    lanes: Workers[int] = Workers(2, 2)
    await lanes.put({0: [1, 2, 3]})
    await lanes.put({0: [4]})
    reader = asyncio.ensure_future(lanes.put({1: [5]}))
    await asyncio.sleep(0.01)
    assert not reader.done()

    assert await lanes.of(0).take() == [1, 2]
    await reader
    assert await lanes.of(1).take() == [5]


async def test_rest_waits_for_what_is_in_hand_and_for_what_waits() -> None:
    lanes: Workers[int] = Workers(1, 1)
    await lanes.put({0: [1, 2]})
    resting = asyncio.ensure_future(lanes.rest())
    for _ in range(2):
        await lanes.of(0).take()
        await asyncio.sleep(0.01)
        assert not resting.done()
        await lanes.of(0).done()
    await resting
    assert all(lane.idle for lane in lanes)

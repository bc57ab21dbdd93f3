"""Postgres may lose its last commits under a running consumer (failover, restore): what they held is handled again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest
from aiokafka import TopicPartition

from shared.stream.positions import StoredPosition, StoredPositions
from tests.integration.stream.test_truncated_log import NEW, gone, missing, publish
from tests.support.recorder import COUNT, Recorder, all_seen
from tests.support.waiting import eventually

SET_BACK = "UPDATE position SET next_offset = next_offset - 20"
FORGET = "DELETE FROM position"
NOBODY_LISTENS = "postgresql://andon@127.0.0.1:1/andon"


@pytest.mark.parametrize(("lose", "lost"), [(SET_BACK, 4 * 20), (FORGET, COUNT)])
async def test_records_after_lost_commits_are_handled_again_before_new_ones(
    kafka: str, recorder: Callable[..., Recorder], lose: str, lost: int
) -> None:
    one = recorder(truncation_check_seconds=3600.0)
    async with one.running():
        await all_seen(one)
        first = set(one.seen)
        one.seen.clear()
        await one.pool.execute(lose)
        await publish(kafka, one.topic, NEW)

        await all_seen(one, lost + len(NEW))

    assert len(one.seen) == lost + len(NEW)
    assert set(one.seen) <= first | set(NEW)
    assert gone(one) == 0


async def test_lost_commits_are_found_where_nothing_new_comes(recorder: Callable[..., Recorder]) -> None:
    one = recorder(truncation_check_seconds=0.2)
    async with one.running():
        await all_seen(one)
        one.seen.clear()
        await one.pool.execute(SET_BACK)

        assert len(await all_seen(one, 4 * 20)) == 4 * 20


async def test_batches_that_are_queued_when_commits_are_lost_jump_nothing(
    kafka: str, recorder: Callable[..., Recorder]
) -> None:
    one = recorder(truncation_check_seconds=3600.0, workers=2)
    async with one.running():
        await all_seen(one)
        one.seen.clear()
        one.taking.clear()
        one.gate.clear()
        await publish(kafka, one.topic, NEW)
        await one.taking.wait()
        more = range(NEW.stop, NEW.stop + 300)
        await publish(kafka, one.topic, more)

        async def queued() -> int:
            return one.consumer.behind

        await eventually(queued, lambda behind: behind >= 200)
        # Two of four partitions, so that batches hold records of both kinds.
        await one.pool.execute(SET_BACK + " WHERE partition < 2")
        one.gate.set()

        assert not await missing(one, range(NEW.start, more.stop))
        assert len(await all_seen(one, 2 * 20 + len(NEW) + len(more))) == 2 * 20 + len(NEW) + len(more)


class Lost(StoredPositions):
    """Loses the database between the two statements of a check, once the first batches are handled."""

    is_lost = False

    async def verify(self, found: Mapping[TopicPartition, StoredPosition]) -> None:
        if sum(position.next_offset for position in found.values()) >= COUNT:
            Lost.is_lost = True
            self._pool.set_connect_args(NOBODY_LISTENS)
            await self._pool.expire_connections()
        await super().verify(found)


async def test_a_database_lost_in_the_middle_of_a_check_is_waited_for(recorder: Callable[..., Recorder]) -> None:
    one = recorder(truncation_check_seconds=0.2, positions_type=Lost)
    loop = asyncio.ensure_future(one.consumer.run())
    await all_seen(one)

    async def lost() -> bool:
        return Lost.is_lost

    await eventually(lost, bool)
    done, _ = await asyncio.wait([loop], timeout=2)
    loop.cancel()
    await asyncio.wait([loop])
    assert not done

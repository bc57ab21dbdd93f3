"""Judgement time of a topic that was made anew with fewer partitions: those that are gone hold it for a while only."""

from __future__ import annotations

import pytest

from services.detector.store.watermark import Standing, current_watermark, record
from shared.postgres.pool import Pool
from shared.runtime.clock import ClockKind
from tests.support.detector_store import PARTITIONS, emptied

GONE, NOW = 1_000_000, 2_000_000
EXPIRE = "UPDATE evaluation_state SET fewer_since = fewer_since - interval '1 hour'"


@pytest.fixture
async def topic(pool: Pool) -> Pool:
    """All partitions were read until GONE, then the first two alone until NOW."""
    await emptied(pool)
    await read(pool, range(PARTITIONS), GONE, PARTITIONS)
    await read(pool, range(2), NOW, PARTITIONS)
    return pool


async def read(pool: Pool, partitions: range, until: int, seen: int) -> None:
    """A replica reads these partitions, and its metadata shows this many."""
    await record(pool, [Standing(number, True, until, until) for number in partitions], seen)


async def watermark(pool: Pool) -> int | None:
    async with pool.acquire() as connection:
        return await current_watermark(connection, ClockKind.WALL)


async def test_partitions_that_are_gone_hold_judgement_time_for_a_while(topic: Pool) -> None:
    await read(topic, range(2), NOW, 2)
    assert await watermark(topic) == GONE

    await topic.execute(EXPIRE)
    await read(topic, range(2), NOW, 2)

    assert await watermark(topic) == NOW


async def test_a_replica_that_sees_all_partitions_keeps_them(topic: Pool) -> None:
    await read(topic, range(2), NOW, 2)
    await topic.execute(EXPIRE)
    await read(topic, range(2), NOW, PARTITIONS)
    await read(topic, range(2), NOW, 2)

    assert await watermark(topic) == GONE


async def test_a_topic_that_is_away_keeps_its_partitions(topic: Pool) -> None:
    await read(topic, range(2), NOW, 2)
    await topic.execute(EXPIRE)
    await read(topic, range(2), NOW, 0)

    assert await watermark(topic) == GONE


async def test_a_late_record_of_a_partition_that_is_gone_does_not_bring_it_back(topic: Pool) -> None:
    await read(topic, range(2), NOW, 2)
    await topic.execute(EXPIRE)
    await read(topic, range(2), NOW, 2)

    await read(topic, range(3, 4), GONE, 0)

    assert await watermark(topic) == NOW


async def test_partitions_that_are_added_again_hold_judgement_time_until_they_are_read(topic: Pool) -> None:
    await read(topic, range(2), NOW, 2)
    await topic.execute(EXPIRE)
    await read(topic, range(2), NOW, 2)

    await read(topic, range(2), NOW, PARTITIONS)
    assert await watermark(topic) == GONE
    await read(topic, range(PARTITIONS), NOW, PARTITIONS)

    assert await watermark(topic) == NOW
    await read(topic, range(2), NOW, PARTITIONS + 1)
    assert await watermark(topic) is None

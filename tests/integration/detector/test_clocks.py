"""A clock that is ahead or behind, of a replica or of the database, moves judgement time nowhere it should not be."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from services.detector.evaluate import rebuild
from services.detector.settings import DetectorSettings
from services.detector.store import evaluation
from services.detector.store.watermark import Standing, current_watermark, record
from shared.flow.ruleset import Ruleset
from shared.policy import parse
from shared.postgres.clock import DatabaseClock
from shared.postgres.pool import Pool
from shared.runtime.clock import ClockKind
from shared.runtime.instants import micros
from tests.support import histories
from tests.support.detector_store import PARTITIONS, Store, emptied, moved
from tests.support.histories import START

HOUR = timedelta(hours=1)


@pytest.fixture
async def store(pool: Pool) -> Store:
    """A deal that has just entered a stage and is over age in a minute."""
    rules = [{"kind": "aging", "limit": "1m"}]
    store = Store(await emptied(pool), parse(json.dumps(histories.policy_text(rules))))
    await store.take([moved(1, (datetime.now(UTC) - START).total_seconds(), "a")])
    return store


async def watermark(store: Store) -> int:
    async with store.pool.acquire() as connection:
        reached = (await evaluation.state(connection)).watermark
    assert reached is not None
    return reached


async def test_a_replica_whose_clock_is_ahead_moves_judgement_time_to_the_present_only(store: Store) -> None:
    await store.evaluate_at(datetime.now(UTC) + HOUR)

    assert await watermark(store) <= micros(datetime.now(UTC)) + 1_000_000
    assert await store.problems() == []


async def test_judgement_time_beyond_the_present_stands_still_until_it_is_brought_back(store: Store) -> None:
    await store.evaluate_at(datetime.now(UTC))
    ahead = micros(datetime.now(UTC) + HOUR)
    await store.pool.execute("UPDATE evaluation_state SET watermark = $1", ahead)
    await store.pool.execute("UPDATE progress SET read_at = $1", ahead)
    await store.take([moved(2, (datetime.now(UTC) - START).total_seconds(), "a")])
    await store.evaluate_at(datetime.now(UTC))
    assert await watermark(store) == ahead
    assert await store.problems() == []

    await rebuild.rebuild(store.pool, Ruleset(store.policy), DetectorSettings(), 0, lambda done, total: None)

    assert await watermark(store) <= micros(datetime.now(UTC)) + 1_000_000
    assert await store.problems() == []


@pytest.mark.parametrize("clock", ClockKind)
async def test_nothing_is_evaluated_again_before_every_partition_is_known(store: Store, clock: ClockKind) -> None:
    known = [Standing(number, True, micros(START), micros(START)) for number in range(1, PARTITIONS)]
    await record(store.pool, [Standing(0, False, 0, 0), *known], PARTITIONS)

    settings = DetectorSettings(clock=clock)
    result = await rebuild.rebuild(store.pool, Ruleset(store.policy), settings, 0, lambda done, total: None)

    assert result is None
    async with store.pool.acquire() as connection:
        assert await evaluation.state(connection) == (None, False)


async def test_judgement_time_stands_still_while_a_partition_is_not_known(store: Store) -> None:
    await store.evaluate_at(datetime.now(UTC))
    before = await watermark(store)
    await store.pool.execute("UPDATE progress SET at_end = false, read_at = 0, last_at = 0 WHERE partition = 0")

    await rebuild.rebuild(store.pool, Ruleset(store.policy), DetectorSettings(), 0, lambda done, total: None)

    assert await watermark(store) == before


async def test_the_databases_clock_goes_on_whatever_ours_shows(pool: Pool) -> None:
    passed = 1000.0
    clock = DatabaseClock(pool, lambda: passed)
    await clock.measure()
    first = clock.now()
    passed += 3600

    assert abs(first - datetime.now(UTC)) < HOUR
    assert clock.now() - first == HOUR
    assert abs(clock.ahead - HOUR) < timedelta(minutes=10)


async def test_an_answer_that_is_late_puts_no_clock_ahead_of_the_databases(pool: Pool) -> None:
    passed = iter([1000.0, 1000.9])
    clock = DatabaseClock(pool, lambda: next(passed, 1000.9), samples=1)
    await clock.measure()

    assert clock.now() <= await pool.fetchval("SELECT clock_timestamp()")


async def test_the_quickest_answer_counts(pool: Pool) -> None:
    # By our clock the second answer takes least; a hundred seconds lie between two of them.
    passed = iter([0.0, 0.9, 100.0, 100.01, 200.0, 200.9])
    clock = DatabaseClock(pool, lambda: next(passed, 200.9), samples=3)
    await clock.measure()

    assert abs(clock.ahead - timedelta(seconds=100.89)) < timedelta(seconds=50)


async def test_a_replay_jumps_only_once_all_ends_were_seen_after_the_last_batch(pool: Pool) -> None:
    """By the database's clock: a replica whose clock is behind cannot say when it applied its batch."""
    await emptied(pool)
    before = micros(datetime.now(UTC) - HOUR)

    async def read_up_to(instant: int, applied: bool) -> int | None:
        rows = [Standing(number, True, instant, before + number) for number in range(PARTITIONS)]
        await record(pool, rows, PARTITIONS, applied)
        async with pool.acquire() as connection:
            return await current_watermark(connection, ClockKind.LOG)

    started = micros(await pool.fetchval("SELECT clock_timestamp()"))
    assert await read_up_to(started, applied=True) == before
    assert await read_up_to(started, applied=False) == before
    later = micros(await pool.fetchval("SELECT clock_timestamp()"))
    assert await read_up_to(later, applied=False) == before + PARTITIONS - 1

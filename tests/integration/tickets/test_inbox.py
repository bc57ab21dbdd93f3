"""Ids of handled messages are forgotten in time, and that changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.tickets.app import Tickets, inbox_age
from services.tickets.settings import TicketsSettings
from services.tickets.store import inbox
from shared.contracts.problems import ProblemReason
from shared.postgres.pool import Pool
from shared.runtime.yaml_file import FaultsError
from tests.integration.tickets.records import TicketParts, record
from tests.support.problems import POLICY, event, policy, problem

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
DAYS = timedelta(days=1)


class HandClock:
    """A clock set by hand."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at


def milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


class Log:
    """Messages as records of one partition, written when they were handled."""

    def __init__(self, pool: Pool) -> None:
        self.clock = HandClock()
        self.parts = TicketParts(pool, policy(), self.clock)
        self.pool = pool
        self.records: list[Any] = []
        # How far the clock of the records' writer is ahead.
        self.ahead = timedelta(0)

    async def handle(self, message: Any) -> None:
        offset = len(self.records)
        self.records.append(record(message, offset, timestamp=milliseconds(self.clock.at + self.ahead)))
        await self.parts.handle(self.records[-1])

    async def read_again(self, *records: Any) -> None:
        """Handle records again, as after a truncated log set the position back."""
        await self.pool.execute("UPDATE position SET next_offset = 0")
        await self.parts.handle(*records)

    async def forget(self, days: float) -> int:
        return await inbox.forget(self.pool, self.clock.at - days * DAYS)

    async def changes(self) -> list[str]:
        rows = await self.pool.fetch("SELECT change FROM change ORDER BY ticket, seq")
        return [row["change"] for row in rows]


@pytest.fixture
async def log(pool: Pool) -> Log:
    """A problem that came and went, and after 40 days another one."""
    found = Log(pool)
    await found.handle(event(problem()))
    found.clock.at += DAYS
    await found.handle(event(problem(ProblemReason.CLEARED, cleared=1)))
    found.clock.at += 40 * DAYS
    await found.handle(event(problem(opened=41)))
    return found


FIRST, SECOND = ["opened", "cleared", "closed"], ["opened"]


async def test_ids_are_forgotten_after_their_time_and_only_then(log: Log, pool: Pool) -> None:
    assert await log.forget(42) == 0
    assert await log.forget(30) == 2
    assert await log.forget(30) == 0

    assert await pool.fetchval("SELECT id FROM inbox") is not None
    assert await pool.fetchval("SELECT count(*) FROM inbox") == 1
    assert await log.changes() == FIRST + SECOND


async def test_a_message_that_is_published_twice_within_its_time_changes_nothing(log: Log) -> None:
    await log.forget(30)
    again = log.records[-1]

    await log.parts.handle(record(again.value, 9))

    assert await log.changes() == FIRST + SECOND


async def test_a_log_that_is_read_again_from_its_beginning_changes_nothing(log: Log) -> None:
    await log.handle(event(problem(ProblemReason.CLEARED, opened=41, cleared=42)))
    assert await log.forget(-1) == 4

    await log.read_again(*log.records)

    assert await log.changes() == FIRST + FIRST
    assert len(await log.parts.messages()) == 6


async def test_a_log_is_read_again_though_the_clock_of_its_writer_is_ahead(pool: Pool) -> None:
    log = Log(pool)
    log.ahead = timedelta(minutes=1)
    await log.handle(event(problem()))
    log.clock.at += DAYS
    await log.handle(event(problem(ProblemReason.GREW, peak=20)))
    log.clock.at += 31 * DAYS
    await log.handle(event(problem(ProblemReason.CLEARED, cleared=32)))
    assert await log.forget(30) == 2

    await log.read_again(*log.records)

    assert await log.changes() == ["opened", "grew", "cleared", "closed"]


async def test_what_is_new_in_a_truncated_log_is_handled_at_offsets_that_were_read_before(log: Log) -> None:
    await log.forget(-1)
    new = event(problem(key="wip-high/new/demo", kind="wip-high", stage="demo", opened=42))

    await log.read_again(record(new, 0, timestamp=milliseconds(log.clock.at + 2 * DAYS)))

    assert await log.changes() == FIRST + SECOND + ["opened"]


async def test_a_clock_that_was_set_back_loses_no_message(log: Log) -> None:
    await log.forget(-1)
    new = event(problem(key="wip-high/new/demo", kind="wip-high", stage="demo", opened=42))

    await log.parts.handle(record(new, 3, timestamp=milliseconds(NOW - 400 * DAYS)))

    assert await log.changes() == FIRST + SECOND + ["opened"]


async def test_the_clock_loop_forgets_in_small_batches(pool: Pool, service: Tickets) -> None:
    ids = "SELECT n::text, 0, n, now() - interval '31 days' FROM generate_series(1, 2500) AS n"
    await pool.execute(f"INSERT INTO inbox (id, partition, record_offset, handled_at) {ids}")

    left = []
    for _ in range(3):
        await service.care()
        left.append(await pool.fetchval("SELECT count(*) FROM inbox"))

    assert left == [1500, 500, 0]
    assert await pool.fetchval("SELECT record_offset FROM inbox_horizon") == 2500


def test_ids_are_kept_for_longer_than_lateness() -> None:
    assert inbox_age(TicketsSettings(), policy()) == 30 * DAYS
    with pytest.raises(FaultsError, match="ANDON_TICKETS_INBOX_DAYS to 8 or more"):
        inbox_age(TicketsSettings(tickets_inbox_days=7), policy())


async def test_a_service_whose_ids_go_too_early_does_not_start(pool: Pool, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY)
    settings = TicketsSettings(policy=tmp_path / "policy.yaml", tickets_inbox_days=7)

    with pytest.raises(FaultsError):
        Tickets(settings, pool, CollectorRegistry())

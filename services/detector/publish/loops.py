"""Loops that publish apart from evaluation: ages, weekly measures, how stages stand now, gauges and names."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from zoneinfo import ZoneInfo

from services.detector.metrics import DetectorMetrics
from services.detector.publish.ages import DAYS_AT_ONCE, AgePublisher
from services.detector.publish.daily_measures import MeasurePublisher
from services.detector.publish.gauges import describe_stages, refresh_gauges
from services.detector.publish.now import NowPublisher
from services.detector.publish.receipts import ReceiptPublisher
from services.detector.publish.stages import StageStatusPublisher
from services.detector.publish.weeks import WeekPublisher
from services.detector.settings import DetectorSettings
from services.detector.store import stage_names
from shared.flow.ruleset import Ruleset
from shared.postgres.backlog import run_backlog
from shared.postgres.pool import TRANSIENT, Pool
from shared.runtime.clock import Clock
from shared.runtime.log import logger
from shared.runtime.pace import WorkShare
from shared.runtime.waiting import wait_within

_log = logger(__name__)
AGES_SECONDS = 5.0
WEEKS_SECONDS = 10.0
RECEIPTS_SECONDS = 10.0
PRESENT_SECONDS = 15.0
NOW_SECONDS = 5.0


class AgesLoop:
    """Publishes the ages at the ends of days that changed. `published` is called when there was something."""

    def __init__(self, pool: Pool, ruleset: Ruleset, settings: DetectorSettings, published: Callable[[], None]) -> None:
        measures = MeasurePublisher(ZoneInfo(ruleset.policy.timezone), settings.topic_prefix)
        self._ages = AgePublisher(ruleset, measures)
        self._pool, self._published = pool, published

    async def run(self) -> None:
        """Run until cancelled. Waits while the database is unavailable."""
        # A backlog of days takes at most a fifth of the time: passes and new events come first.
        pace = WorkShare(1 / 5, AGES_SECONDS)
        await run_backlog(self.run_once, pace, _log, "ages not published: database unavailable")

    async def run_once(self) -> bool:
        """Publish some days; whether none are left."""
        async with self._pool.acquire() as connection, connection.transaction():
            days = await self._ages.publish_some(connection)
        if days:
            self._published()
        return days < DAYS_AT_ONCE


class WeeksLoop:
    """Publishes weekly measures: of weeks that are over, and where they changed. `published` is called then."""

    def __init__(self, pool: Pool, ruleset: Ruleset, settings: DetectorSettings, published: Callable[[], None]) -> None:
        self._pool, self._published = pool, published
        self._weeks = WeekPublisher(ruleset.policy, settings.topic_prefix)

    async def run(self) -> None:
        """Run until cancelled. Waits while the database is unavailable."""
        # A backlog of weeks takes at most half of the time: passes and new events come first.
        pace = WorkShare(1 / 2, WEEKS_SECONDS)
        await run_backlog(self.run_once, pace, _log, "weekly measures not published: database unavailable")

    async def run_once(self) -> bool:
        """Publish some weeks; whether none are left."""
        async with self._pool.acquire() as connection, connection.transaction():
            done = await self._weeks.publish_some(connection)
        if done.messages:
            self._published()
        return done.is_complete


class ReceiptsLoop:
    """Publishes when sources were heard. `published` is called when there was something."""

    def __init__(self, pool: Pool, settings: DetectorSettings, published: Callable[[], None]) -> None:
        self._pool, self._published = pool, published
        self._receipts = ReceiptPublisher(settings.topic_prefix)

    async def run(self) -> None:
        """Run until cancelled. Waits while the database is unavailable."""
        # A backlog takes at most half of the time: passes and new events come first.
        pace = WorkShare(1 / 2, RECEIPTS_SECONDS)
        await run_backlog(self.run_once, pace, _log, "receipts not published: database unavailable")

    async def run_once(self) -> bool:
        """Publish some; whether nothing is left."""
        async with self._pool.acquire() as connection, connection.transaction():
            done = await self._receipts.publish_some(connection)
        if done.messages:
            self._published()
        return done.is_complete


class NowLoop:
    """Publishes how stages stand now, where it changed. `published` is called when it did."""

    def __init__(self, pool: Pool, ruleset: Ruleset, settings: DetectorSettings, published: Callable[[], None]) -> None:
        self._pool, self._published = pool, published
        self._now = NowPublisher(ruleset, settings.topic_prefix)

    async def run(self) -> None:
        """Run until cancelled. Waits while the database is unavailable."""
        while True:
            try:
                await self.run_once()
            except TRANSIENT as error:
                _log.warning("flow.now not published: database unavailable", error=repr(error))
            await asyncio.sleep(NOW_SECONDS)

    async def run_once(self) -> None:
        """Publish once. One snapshot, so that counts and deals are those of one instant."""
        async with self._pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
            count = await self._now.publish(connection)
        if count:
            self._published()


class PresentLoop:
    """Refreshes the gauges, and publishes the status of stages where it changed. `published` is called when it did."""

    def __init__(
        self,
        pool: Pool,
        ruleset: Ruleset,
        settings: DetectorSettings,
        metrics: DetectorMetrics,
        clock: Clock,
        published: Callable[[], None],
    ) -> None:
        self._pool, self._ruleset, self._metrics, self._clock = pool, ruleset, metrics, clock
        self._published, self._clock_kind = published, settings.clock
        self._stages = StageStatusPublisher(ruleset.policy, settings.topic_prefix)
        self._woken = asyncio.Event()
        self._are_named = False
        describe_stages(ruleset, metrics)

    def wake(self) -> None:
        """Stages were described: run again now."""
        self._woken.set()

    async def run(self) -> None:
        """Run until cancelled. Waits while the database is unavailable."""
        while True:
            try:
                await self._name()
                now = self._clock.now()
                await refresh_gauges(self._pool, self._ruleset, self._metrics, self._clock_kind, now)
                async with self._pool.acquire() as connection, connection.transaction():
                    count = await self._stages.publish(connection, now)
                if count:
                    self._published()
            except TRANSIENT as error:
                _log.warning("metrics refresh failed: database unavailable", error=repr(error))
            await wait_within(self._woken, PRESENT_SECONDS)
            self._woken.clear()

    async def _name(self) -> None:
        """Once: the policy stays the same while this loop runs."""
        if self._are_named:
            return
        async with self._pool.acquire() as connection, connection.transaction():
            await stage_names.save(connection, self._ruleset.policy)
        self._are_named = True

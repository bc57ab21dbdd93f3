"""A detector on a real Postgres that also publishes weeks, learns, and classes causes, against the pure function."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from services.detector.evaluate.learner import Learner
from services.detector.ingest.relock_writer import RelockWriter
from services.detector.publish.cause_revisions import CauseReviser
from services.detector.publish.problems import ProblemPublisher
from services.detector.publish.weeks import WeekPublisher
from services.detector.store import learning
from shared.contracts.problems import ProblemData
from shared.contracts.relocks import RelockData, RelockEvent
from shared.contracts.topics import RELOCKS
from shared.flow.events import event_of
from shared.flow.statistics.relocks import Relock
from shared.flow.what_if import Found, find
from shared.policy import Policy
from shared.postgres.pool import Pool
from shared.runtime.instants import micros, moment
from tests.support.detector_store import Store

_LEARNED = "SELECT pipeline, stage, details FROM learned ORDER BY pipeline, stage, since"
_WITHDRAWN = "SELECT deal, pipeline, stage, entered, recorded, until FROM withdrawn_visit"
_PROBLEMS = "SELECT key, opened_at, cleared_at, peak, cause FROM problem ORDER BY key, opened_at"
# (opened at, cleared at, peak, cause) by problem key.
Intervals = dict[str, list[tuple[datetime, datetime | None, int, str]]]


class LearningStore(Store):
    """One replica. `study` does what its loops do beside evaluation."""

    def __init__(self, pool: Pool, policy: Policy) -> None:
        super().__init__(pool, policy)
        publisher = ProblemPublisher(self.ruleset)
        self.weeks, self.reviser = WeekPublisher(policy, ""), CauseReviser(self.ruleset, publisher)
        self.learner = Learner(self.ruleset, publisher, stages_at_once=2)

    async def study(self) -> None:
        """Publish weeks, learn, and class causes, until nothing is left."""
        now, is_complete = datetime.now(UTC), False
        while not is_complete:
            is_complete = await self.publish_weeks()
            async with self.pool.acquire() as connection, connection.transaction():
                is_complete = (await self.learner.learn_some(connection, now)).is_complete and is_complete
            async with self.pool.acquire() as connection, connection.transaction():
                await self.reviser.revise(connection, now)

    async def publish_weeks(self) -> bool:
        """Publish some of the weeks that are over; True where none are left."""
        async with self.pool.acquire() as connection, connection.transaction():
            return (await self.weeks.publish_some(connection)).is_complete

    async def relock(self, relocks: Sequence[Relock]) -> None:
        """Handle relocks as they come over Kafka."""
        values = [
            RelockEvent.new(
                source="andon/test",
                subject=one.chart,
                time=self.present,
                data=RelockData(
                    chart=one.chart,
                    from_week=one.from_week,
                    points=one.points,
                    reason=one.reason,
                    actor="person",
                    at=self.present,
                ),
            ).to_json()
            for one in relocks
        ]
        records = [replace(record, topic=RELOCKS) for record in self.records(values, partition=0)]
        await self.processor(RelockWriter()).run(records)

    async def learned(self) -> dict[str, list[dict[str, Any]]]:
        """What each stage has learned, as it is printed."""
        found: dict[str, list[dict[str, Any]]] = {}
        for row in await self.pool.fetch(_LEARNED):
            found.setdefault(f"{row['pipeline']}/{row['stage']}", []).append(row["details"])
        return found

    async def chances(self) -> dict[str, dict[str, float | None]]:
        stored = await learning.chances(self.pool, [rule.key for rule in self.ruleset.rules])
        return {key: one.chance.fields() for key, one in stored.items()}

    async def stored_intervals(self) -> Intervals:
        found: Intervals = {}
        for key, *interval in await self.pool.fetch(_PROBLEMS):
            found.setdefault(key, []).append(tuple(interval))
        return found

    async def withdrawn(self) -> list[tuple[Any, ...]]:
        """(deal, pipeline, stage, entered, believed since, until) in microseconds."""
        rows = await self.pool.fetch(_WITHDRAWN)
        return sorted((*row[:3], micros(row[3]), micros(row[4] or row[3]), micros(row[5])) for row in map(tuple, rows))

    async def since(self) -> list[tuple[str, int, int]]:
        """(deal, entered, believed since) of visits."""
        rows = await self.pool.fetch("SELECT deal, entered, recorded FROM visit")
        return sorted((row[0], micros(row[1]), micros(row[2] or row[1])) for row in map(tuple, rows))

    async def messages(self) -> list[ProblemData]:
        return [event.data for event in await self.told()]


def intervals_of(messages: Iterable[ProblemData]) -> Intervals:
    """What a reader of `flow.problems` knows after all messages."""
    found: dict[tuple[str, datetime], ProblemData] = {}
    for data in messages:
        if data.was is not None:
            found.pop((data.key, data.was.opened_at), None)
        if data.reason not in ("retracted", "unruled"):
            found[data.key, data.opened_at] = data
    known: Intervals = {}
    for (key, opened), data in sorted(found.items()):
        known.setdefault(key, []).append((opened, data.cleared_at, data.peak, data.cause_class.value))
    return known


def what_if(events: Iterable[Any], policy: Policy, until: datetime, relocks: Sequence[Relock] = ()) -> Found:
    return find([event_of(event) for event in events], policy, micros(until), relocks=relocks)


def expected_intervals(found: Found, keys: Iterable[str]) -> Intervals:
    """Of the problems that the pure function finds."""
    return {
        key: [
            (moment(i.opened_at), None if i.cleared_at is None else moment(i.cleared_at), i.peak, one.cause.value)
            for one in found.findings[key]
            if one.cause is not None
            for i in (one.interval,)
        ]
        for key in sorted(keys)
        if found.findings[key]
    }


def expected_learned(found: Found) -> dict[str, list[dict[str, Any]]]:
    return {
        f"{pipeline}/{stage}": [version.fields() for version in versions]
        for (pipeline, stage), versions in found.statistics.learned_versions.items()
    }

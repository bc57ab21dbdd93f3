"""Seconds from the end of a week to the problems in it, over 1,000 stages: the detector's part and the analyst's.

And those of learning limits, which the detector does once a week.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from aiokafka import ConsumerRecord

from services.analyst.evaluate.evaluator import ChartEvaluator
from services.analyst.handlers import AnalystHandler
from services.analyst.publish.problems import ProblemMessages
from services.analyst.store import charts
from services.detector.publish.weeks import WeekPublisher
from services.detector.store import evaluation, history, weeks
from services.detector.store.copy_tables import open_flow
from shared.contracts.topics import MEASURES
from shared.flow.calendars import CalendarClock
from shared.flow.statistics.crossings import DAY
from shared.flow.statistics.learned_limits import COUNT_WINDOW, StageHistory, learn
from shared.flow.visits import Visit
from shared.policy import Policy, parse
from shared.postgres.migrate import migrate_all
from shared.postgres.pool import Pool, open_pool
from shared.runtime.instants import micros
from shared.stream.processor import Processor
from shared.stream.transaction import PostgresTransactions
from tests.bench.figures import Figure, at_most

PIPELINES, STAGES, WEEKS = 20, 50, 30
# Of each stage whose limit is learned.
LEARNED, VISITS = 100, 2000
_START = datetime(2025, 1, 6, tzinfo=UTC)
_WEEK = timedelta(days=7)
_TAKE = "DELETE FROM outbox WHERE topic = 'flow.measures' RETURNING id, value"


async def measure(dsn: str, show: Callable[[str], None]) -> list[Figure]:
    """Let all weeks but one end at once, then the last one by itself."""
    show("weeks: filling")
    await migrate_all(dsn)
    policy = _policy()
    flow, analysis = await open_flow(dsn, max_size=2), await open_pool(dsn, "analysis", max_size=3)
    async with analysis.acquire() as connection:
        await charts.follow_policy(connection, policy.digest)
    await _fill(flow, policy)
    line = _Line(flow, analysis, policy)
    show("weeks: closing all but one")
    await line.close(WEEKS - 1)
    show("weeks: closing the last one")
    before = time.process_time()
    publishing, evaluating = await line.close(WEEKS)
    used = time.process_time() - before
    await flow.close()
    await analysis.close()
    stages = PIPELINES * STAGES
    return [
        Figure(f"a week of {stages} stages, detector", publishing, "s"),
        Figure(f"a week of {stages} stages, analyst", evaluating, "s"),
        Figure(f"a week of {stages} stages, both without Postgres, processor time", used, "s"),
        at_most(f"a week of {stages} stages", publishing + evaluating, "s", 2.0),
    ]


def relearn(show: Callable[[str], None]) -> list[Figure]:
    """Learn a limit and a count of each of LEARNED stages from a year of visits."""
    show("weeks: learning limits")
    chance, first = random.Random(2), micros(_START)
    now = first + COUNT_WINDOW
    stages = [StageHistory(_visits(chance, first, now), (), CalendarClock()) for _ in range(LEARNED)]
    before = time.process_time()
    found = [learn(stage, first, [now], Fraction(1, 10))[0] for stage in stages]
    used = time.process_time() - before
    assert all(one.why is None for one in found)
    return [at_most(f"learning the limits of {LEARNED} stages, processor time", used, "s", 5.0)]


def _visits(chance: random.Random, first: int, now: int) -> list[Visit]:
    """A year of visits of one stage, some of them open."""
    entries = [first + chance.randrange(now - first) for _ in range(VISITS)]
    ends = [entered + round(chance.lognormvariate(2, 0.8) * DAY) for entered in entries]
    pairs = zip(entries, ends, strict=True)
    return [Visit("p", "s", entered, True, end if end < now else None) for entered, end in pairs]


class _Line:
    """A detector and an analyst without their consumers."""

    def __init__(self, flow: Pool, analysis: Pool, policy: Policy) -> None:
        self._flow, self._analysis = flow, analysis
        self._weeks = WeekPublisher(policy, "")
        self._evaluator = ChartEvaluator(policy, ProblemMessages(policy, ""))
        self._processor = Processor(
            PostgresTransactions(analysis),
            AnalystHandler(lambda: None),
            "",
            lambda record: datetime.now(UTC),
            lambda reason: None,
            lambda: None,
        )
        self._offset = 0

    async def close(self, number: int) -> tuple[float, float]:
        """Weeks up to a number are over: seconds to publish their measures, and to find problems in them."""
        await evaluation.save_watermark(self._flow, micros(_START + number * _WEEK))
        began = time.perf_counter()
        is_complete = False
        while not is_complete:
            async with self._flow.acquire() as connection, connection.transaction():
                is_complete = (await self._weeks.publish_some(connection)).is_complete
        published = time.perf_counter()
        records = self._records(await self._flow.fetch(_TAKE))
        taken = time.perf_counter()
        for start in range(0, len(records), 3000):
            await self._processor.run(records[start : start + 3000])
        async with self._analysis.acquire() as connection, connection.transaction():
            assert await self._evaluator.evaluate(connection, datetime.now(UTC)) is not None
        return published - began, time.perf_counter() - taken

    def _records(self, rows: list[Any]) -> list[ConsumerRecord]:
        values = [row["value"] for row in sorted(rows, key=lambda row: row["id"])]
        first, self._offset = self._offset, self._offset + len(values)
        return [
            ConsumerRecord(MEASURES, 0, offset, 0, 0, b"k", value, 0, len(value), 0, ())  # type: ignore[arg-type]
            for offset, value in enumerate(values, first)
        ]


def _policy() -> Policy:
    stages = [{"id": f"s{n}"} for n in range(STAGES)]
    one = {"name": "P", "owner": {"name": "O", "mail": "o@x.example"}, "stages": stages}
    rules = [{"kind": "shift"}, {"kind": "rework"}]
    return parse(json.dumps({"version": 1, "pipelines": {f"p{n}": {**one, "rules": rules} for n in range(PIPELINES)}}))


async def _fill(flow: Pool, policy: Policy) -> None:
    """Some visits enter and leave each stage in each week."""
    chance, first = random.Random(1), micros(_START)
    length = micros(_START + _WEEK) - first
    async with flow.acquire() as connection:
        for name, pipeline in policy.pipelines.items():
            visits = []
            for stage in pipeline.open_stages:
                for number in range(WEEKS * 4):
                    entered = first + number * length // 4 + chance.randrange(length // 4)
                    left = entered + round(chance.lognormvariate(0, 0.6) * length)
                    visits.append((f"crm:{name}-{stage}-{number}", Visit(name, stage, entered, True, left)))
            async with connection.transaction():
                await history.save_visits(connection, visits)
        await weeks.lower_first_event(connection, first)

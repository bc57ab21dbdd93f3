"""Median and greatest age in each stage at the ends of days.

A count depends only on what changed, an age on every deal of its day. So the evaluator marks days as stale, and they
are published here in transactions of their own: a day that a back-fill changes a hundred times is published only a
few times.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.detector.publish.daily_measures import MeasurePoint, MeasurePublisher
from shared.contracts.measures import Measure
from shared.flow.ruleset import Ruleset
from shared.postgres import locks
from shared.postgres.pool import Connection, Record
from shared.runtime.instants import micros, moment

# Days in one transaction: each joins with every deal of its time.
DAYS_AT_ONCE = 14
_MARK = "INSERT INTO stale_day SELECT unnest($1::timestamptz[])"
_TAKE = """
WITH taken AS (
    DELETE FROM stale_day WHERE at IN (SELECT DISTINCT at FROM stale_day ORDER BY at DESC LIMIT $1) RETURNING at
)
SELECT DISTINCT at FROM taken
"""
_AGES = """
SELECT d.at, v.pipeline, v.stage, min(v.entered) AS oldest,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY v.entered) AS median
FROM unnest($1::timestamptz[]) AS d (at)
JOIN visit AS v ON v.entered <= d.at AND (v.left_at IS NULL OR v.left_at > d.at)
GROUP BY d.at, v.pipeline, v.stage
"""


async def mark_stale(connection: Connection, ends: Sequence[int]) -> None:
    """Mark ends of days (microseconds) whose ages may have changed."""
    await connection.execute(_MARK, [moment(at) for at in sorted(ends)])


class AgePublisher:
    """Publishes the ages of stale days."""

    def __init__(self, ruleset: Ruleset, measures: MeasurePublisher) -> None:
        self._ruleset, self._measures = ruleset, measures

    async def publish_some(self, connection: Connection) -> int:
        """Publish some stale days, the newest first, in the caller's transaction; returns how many.

        One replica at a time: 0 while another does it.
        """
        if not await locks.try_lock(connection, "ages"):
            return 0
        days = [row["at"] for row in await connection.fetch(_TAKE, DAYS_AT_ONCE)]
        if days:
            rows = await connection.fetch(_AGES, days)
            await self._measures.publish(connection, self._points(rows))
        return len(days)

    def _points(self, rows: Sequence[Record]) -> list[MeasurePoint]:
        """Whoever entered earlier is older on any clock, so oldest and median can be computed from the instants."""
        points = []
        for row in rows:
            stage = (row["pipeline"], row["stage"])
            if not self._ruleset.knows(*stage):
                continue
            clock, at = self._ruleset.clocks.of(*stage), micros(row["at"])
            for measure, entered in ((Measure.AGE_OLDEST, row["oldest"]), (Measure.AGE_MEDIAN, row["median"])):
                points.append(MeasurePoint(*stage, measure.value, at, clock.age(micros(entered), at) / 1_000_000))
        return points

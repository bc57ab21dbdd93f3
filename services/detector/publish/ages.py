"""Median and greatest age in each stage at the ends of days.

An age hangs on all deals of its day, a count only on what changed. So the judge marks the days, and they are worked off
here, beside judging: while a back-fill goes in, a day that changes a hundred times is told a few times.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.detector.publish.measures import MeasurePublisher, Point
from shared.contracts.measures import Measure
from shared.flow.ruleset import Ruleset
from shared.runtime.instants import micros, moment
from shared.stream import outbox

# Some days at once: each joins with all deals of its time.
DAYS_AT_ONCE = 14
_MARK = "INSERT INTO stale_day SELECT unnest($1::timestamptz[])"
_LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended(current_schema() || '.ages', 0))"
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


async def mark(connection: Any, ends: Sequence[int]) -> None:
    """The ages at these instants, the ends of days, may have changed."""
    await connection.execute(_MARK, [moment(at) for at in sorted(ends)])


async def tell_some(connection: Any, judging: Ruleset, points: MeasurePublisher) -> int:
    """Work off some marked days, the newest first, in the caller's transaction; how many. One replica at a time."""
    if not await connection.fetchval(_LOCK):
        return 0
    days = [row["at"] for row in await connection.fetch(_TAKE, DAYS_AT_ONCE)]
    if days:
        rows = await connection.fetch(_AGES, days)
        await outbox.put(connection, await points.save(connection, _points(judging, rows)))
    return len(days)


def _points(judging: Ruleset, rows: Sequence[Any]) -> list[Point]:
    """The order of ages is that of entering, on any clock."""
    found = []
    for row in rows:
        place = (row["pipeline"], row["stage"])
        if not judging.knows(*place):
            continue
        clock, at = judging.clocks.of(*place), micros(row["at"])
        for measure, entered in ((Measure.AGE_OLDEST, row["oldest"]), (Measure.AGE_MEDIAN, row["median"])):
            found.append(Point(*place, measure.value, at, clock.age(micros(entered), at) / 1_000_000))
    return found

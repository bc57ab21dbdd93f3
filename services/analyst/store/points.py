"""SQL of the weekly points of charts, and of how far each chart is evaluated.

Charts come back by their place in what was asked: rows do not name them again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from services.analyst.store.charts import columns_of
from shared.flow.statistics.columns import Chart, Value, exact_value
from shared.postgres.pool import Executor

_FIRST = "SELECT min(start_at) FROM weekly_point"
# Of the points only those after what was whole before. Lateral: a plan that joins whole tables sorts all of both.
_EXTENTS = """
SELECT n, coalesce(k.weeks, 0) + p.weeks AS weeks, coalesce(p.last + 1, k.weeks) AS numbered,
    coalesce(k.first_at, p.first) AS first, coalesce(p.until, k.whole_until) AS until, c.until AS evaluated
FROM unnest($1::text[], $2::text[], $3::text[], $4::int[])
    WITH ORDINALITY AS w (pipeline, stage, measure, numbering, n)
LEFT JOIN chart_state AS c USING (pipeline, stage, measure)
LEFT JOIN LATERAL (SELECT c.weeks, c.first_at, c.whole_until WHERE c.numbering = w.numbering) AS k ON true
CROSS JOIN LATERAL (
    SELECT count(*) AS weeks, max(week) AS last, min(start_at) AS first, max(end_at) AS until FROM weekly_point AS p
    WHERE p.pipeline = w.pipeline AND p.stage = w.stage AND p.measure = w.measure AND p.numbering = w.numbering
        AND p.start_at >= coalesce(k.whole_until, '-infinity')
) AS p
"""
_SAVE_EVALUATED = """
INSERT INTO chart_state AS c (pipeline, stage, measure, numbering, weeks, first_at, whole_until, until)
SELECT *, e FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::int[], $5::int[], $6::timestamptz[], $7::timestamptz[]
) AS w (p, s, m, n, k, f, e)
ON CONFLICT (pipeline, stage, measure) DO UPDATE SET numbering = excluded.numbering, weeks = excluded.weeks,
    first_at = excluded.first_at, whole_until = excluded.whole_until, until = greatest(c.until, excluded.until)
"""
_LOAD = """
SELECT n, exact
FROM unnest($1::text[], $2::text[], $3::text[], $4::int[])
    WITH ORDINALITY AS w (pipeline, stage, measure, numbering, n)
CROSS JOIN LATERAL (
    SELECT array_agg(exact ORDER BY start_at) AS exact FROM weekly_point AS p
    WHERE p.pipeline = w.pipeline AND p.stage = w.stage AND p.measure = w.measure AND p.numbering = w.numbering
) AS p
"""


class Extent(NamedTuple):
    """The weeks of a chart: from `first`, the start of week 0, to `until`, without a gap.

    `evaluated`: how far the chart was evaluated before; None: it never was.
    """

    numbering: int
    weeks: int
    first: datetime
    until: datetime
    evaluated: datetime | None


async def extents(executor: Executor, numberings: Mapping[Chart, int]) -> dict[Chart, Extent]:
    """Of the charts those whose weeks are known from week 0 on without a gap. `numberings`: which points count."""
    asked = list(numberings.items())
    rows = await executor.fetch(_EXTENTS, *columns_of(numberings), list(numberings.values()))
    found = {}
    for n, weeks, numbered, first, until, evaluated in rows:
        if weeks and weeks == numbered:
            chart, numbering = asked[n - 1]
            found[chart] = Extent(numbering, weeks, first, until, evaluated)
    return found


async def save_evaluated(executor: Executor, evaluated: Mapping[Chart, Extent]) -> None:
    """These charts are evaluated as far as they reach, and whole so far."""
    if evaluated:
        columns = list(zip(*evaluated.values(), strict=True))[:4]
        await executor.execute(_SAVE_EVALUATED, *columns_of(evaluated), *columns)


async def load(executor: Executor, known: Mapping[Chart, Extent]) -> dict[Chart, list[Value | None]]:
    """The values of charts by week, exact."""
    asked = list(known)
    rows = await executor.fetch(_LOAD, *columns_of(known), [extent.numbering for extent in known.values()])
    return {(chart := asked[n - 1]): _values(chart, exact) for n, exact in rows}


def _values(chart: Chart, exact: Iterable[str | None]) -> list[Value | None]:
    return [exact_value(chart.column, text) for text in exact]


async def first_start(executor: Executor) -> datetime | None:
    """The start of week 0; None before the first point."""
    found: datetime | None = await executor.fetchval(_FIRST)
    return found

"""SQL of the charts to evaluate and to publish."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from shared.flow.statistics.columns import COLUMNS, Chart
from shared.postgres.pool import Connection, Executor, Record

_MARK_RELOCKS = "INSERT INTO stale_relock SELECT * FROM unnest($1::text[])"
_TAKE_RELOCKS = "DELETE FROM stale_relock RETURNING chart"
_MARK_RELOCKED = """
INSERT INTO stale_chart SELECT pipeline, stage, measure, true FROM weekly_point
WHERE week = 0 AND concat_ws('/', pipeline, coalesce(nullif(stage, ''), '-'), measure) = ANY($1::text[])
"""
_MARK_PIPELINES = """
INSERT INTO stale_chart (pipeline, stage, measure)
SELECT DISTINCT pipeline, stage, measure FROM weekly_point WHERE week = 0 AND pipeline = ANY($1::text[])
"""
_FOLLOW_POLICY = """
WITH new AS (UPDATE analysis_state SET policy = $1 WHERE policy <> $1 RETURNING policy)
INSERT INTO stale_chart (pipeline, stage, measure)
SELECT DISTINCT pipeline, stage, measure FROM weekly_point WHERE week = 0 AND EXISTS (SELECT FROM new)
"""
_POLICY = "SELECT policy FROM analysis_state"
_TAKE = "DELETE FROM stale_chart RETURNING pipeline, stage, measure, is_relocked"
_TAKE_SIGNALS = """
DELETE FROM stale_signal WHERE (pipeline, stage, measure) IN (
    SELECT DISTINCT pipeline, stage, measure FROM stale_signal LIMIT $1
) RETURNING pipeline, stage, measure
"""
_DIGESTS = "SELECT chart, digest FROM signals_published WHERE chart = ANY($1::text[])"
_SAVE_DIGESTS = """
INSERT INTO signals_published SELECT * FROM unnest($1::text[], $2::text[])
ON CONFLICT (chart) DO UPDATE SET digest = excluded.digest
"""


class StaleCharts(NamedTuple):
    """Charts to evaluate, and those of them that have a new relock."""

    charts: set[Chart]
    relocked: set[Chart]

    def by_pipeline(self) -> dict[str, StaleCharts]:
        """Those of each pipeline."""
        found: dict[str, StaleCharts] = {}
        for number, some in enumerate(self):
            for chart in some:
                found.setdefault(chart.pipeline, StaleCharts(set(), set()))[number].add(chart)
        return found


def columns_of(charts: Iterable[Chart]) -> tuple[list[str], list[str], list[str]]:
    """Charts as the three arrays of a statement."""
    listed = list(charts)
    return [c.pipeline for c in listed], [c.stage for c in listed], [c.column.value for c in listed]


def chart_of(row: Record) -> Chart:
    """The chart of a row with pipeline, stage and measure."""
    return Chart(row["pipeline"], row["stage"], COLUMNS[row["measure"]])


async def mark(connection: Connection, charts: Collection[Chart], is_relocked: bool = False) -> None:
    """Mark charts to be evaluated."""
    if charts:
        rows = ((*chart, is_relocked) for chart in charts)
        await connection.copy_records_to_table("stale_chart", records=rows)


async def mark_relocks(connection: Connection, names: Collection[str]) -> None:
    """Mark the charts of these names, once they have points, for their new relocks."""
    if names:
        await connection.execute(_MARK_RELOCKS, sorted(names))


async def mark_pipelines(connection: Connection, names: Collection[str]) -> None:
    """Mark all charts of these pipelines to be evaluated."""
    if names:
        await connection.execute(_MARK_PIPELINES, sorted(names))


async def follow_policy(connection: Connection, digest: str) -> None:
    """Where the policy has changed, mark every chart to be evaluated."""
    await connection.execute(_FOLLOW_POLICY, digest)


async def policy(executor: Executor) -> str:
    """The digest of the policy that everything is evaluated under: a replica with another one must not add to it."""
    digest: str = await executor.fetchval(_POLICY)
    return digest


async def take(connection: Connection) -> StaleCharts:
    """Take the charts to evaluate: those that are marked, and those of relocks."""
    if names := [row["chart"] for row in await connection.fetch(_TAKE_RELOCKS)]:
        await connection.execute(_MARK_RELOCKED, names)
    taken = [(chart_of(row), row["is_relocked"]) for row in await connection.fetch(_TAKE)]
    return StaleCharts({chart for chart, _ in taken}, {chart for chart, is_relocked in taken if is_relocked})


async def mark_signals(connection: Connection, charts: Collection[Chart]) -> None:
    """Mark charts that may show something else than what was published."""
    if charts:
        await connection.copy_records_to_table("stale_signal", records=charts)


async def take_signals(connection: Connection, limit: int) -> set[Chart]:
    """Take some of the charts to publish."""
    return {chart_of(row) for row in await connection.fetch(_TAKE_SIGNALS, limit)}


async def digests(executor: Executor, names: Collection[str]) -> dict[str, str]:
    """Digests of what was last published, by the name of the chart."""
    return {row["chart"]: row["digest"] for row in await executor.fetch(_DIGESTS, list(names))}


async def save_digests(connection: Connection, found: Mapping[str, str]) -> None:
    """Save the digests of what is published now."""
    if found:
        await connection.execute(_SAVE_DIGESTS, list(found), list(found.values()))

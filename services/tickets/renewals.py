"""Which baselines are due for renewal, worked out when weeks or baselines change: it takes longer than a page may."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from services.tickets.store import weekly_points
from services.tickets.store.weekly_points import ChartWeeks
from shared.contracts.relocks import RelockData
from shared.flow.statistics.columns import Chart, points
from shared.flow.statistics.relocks import Relock, cuts_of
from shared.flow.statistics.renewal import renewal
from shared.flow.statistics.segments import segments
from shared.flow.statistics.watched import WatchedChart, pipeline_watches
from shared.policy import Policy
from shared.postgres.pool import Pool, Record, snapshot
from shared.stream import relocks

# The newest week of each pipeline, and the newest baseline that a person began.
_STATE = """
SELECT p.name, n.numbering, (
    SELECT max(week) FROM weekly_point AS w WHERE w.pipeline = p.name AND w.numbering = n.numbering
) AS week, (SELECT max(at) FROM relock) AS relocked_at
FROM unnest($1::text[]) AS p (name), (SELECT max(numbering) AS numbering FROM weekly_point) AS n
"""


class BaselineRenewals:
    """The watched charts of each pipeline whose baseline a person should renew. Empty before the first `refresh`.

    A baseline of a chart that no rule watches opens no ticket, so nobody is asked about it.
    """

    def __init__(self, pool: Pool, policy: Policy) -> None:
        self._pool, self._policy = pool, policy
        self._states: dict[str, Record] = {}
        self._due: dict[str, Sequence[Chart]] = {}

    def due(self) -> Mapping[str, Sequence[Chart]]:
        return self._due

    async def refresh(self) -> None:
        """Work out those of pipelines in which a week or a baseline has come since the last time."""
        for row in await self._pool.fetch(_STATE, list(self._policy.pipelines)):
            name = row["name"]
            if self._states.get(name) != row:
                self._due[name], self._states[name] = await self._due_in(name), row

    async def _due_in(self, name: str) -> Sequence[Chart]:
        watched = pipeline_watches(name, self._policy.pipelines[name])
        charts = list(dict.fromkeys(one.chart for one in watched))
        async with snapshot(self._pool) as connection:
            known = await weekly_points.load(connection, name, charts, self._policy.timezone)
            decided = await relocks.load(connection, [chart.name for chart in charts])
        return await asyncio.to_thread(due_of, watched, known, decided) if known else []


def due_of(watched: Sequence[WatchedChart], known: ChartWeeks, decided: Sequence[RelockData]) -> list[Chart]:
    """The watched charts of one pipeline whose baseline is due. Pure."""
    found = dict[Chart, None]()
    for watch in watched:
        cuts = cuts_of(map(Relock.of, decided), watch.chart.name, known.weeks)
        newest = segments(points(watch.chart.column, known.charts[watch.chart]), cuts, known.over)[-1]
        if renewal(newest, watch.side, watch.level) is not None:
            found[watch.chart] = None
    return list(found)

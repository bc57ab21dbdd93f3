"""The history of a pipeline under other stages, clocks or another time zone: from the events, as they are stored."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.detector.preview.past import SNAPSHOT, PipelinePast, past_reach
from services.detector.store import history, stages
from shared.flow.fold import fold
from shared.flow.preview import StagePast
from shared.flow.ruleset import Ruleset
from shared.flow.stage_resolver import StageResolver
from shared.flow.statistics.columns import Chart, Value
from shared.flow.statistics.learned_limits import StageHistory
from shared.flow.statistics.measures import DealFacts, facts_of, weekly_measures
from shared.flow.statistics.relocks import Relock
from shared.flow.statistics.weeks import Weeks
from shared.flow.visits import Event, Visit, WithdrawnVisit
from shared.postgres.pool import Connection, Pool
from shared.stream import relocks

# Folding more takes longer than anybody waits for a page.
MOST_EVENTS = 200_000
_DEALS_AT_ONCE = 200
_IS_LONG = "SELECT count(*) > $1 FROM (SELECT FROM event LIMIT $1 + 1) AS e"


class LongHistory(Exception):
    """The history is too long to be folded again while somebody waits."""


class _RefoldedDeal(NamedTuple):
    """A deal under the other policy."""

    deal: str
    facts: DealFacts
    withdrawn: Sequence[WithdrawnVisit]


@dataclass(frozen=True)
class RefoldedHistory:
    """All deals under another policy, as of an instant. `charts`: the weekly values of all its pipelines."""

    ruleset: Ruleset
    weeks: Weeks
    as_of: int
    deals: Sequence[_RefoldedDeal]
    charts: Mapping[Chart, list[Value | None]]
    relocks: Sequence[Relock]

    def past(self, pipeline: str) -> PipelinePast:
        """That of one of its pipelines. Takes a second of a long history: call it in a thread."""
        found = self._stages(pipeline)
        charts = {chart: values for chart, values in self.charts.items() if chart.pipeline == pipeline}
        names = {chart.name for chart in charts}
        own = [one for one in self.relocks if one.chart in names]
        return PipelinePast(pipeline, self.weeks, self.as_of, found, full=found, charts=charts, relocks=own)

    def _stages(self, pipeline: str) -> dict[str, StagePast]:
        """Each open stage of the pipeline."""
        names = self.ruleset.policy.pipelines[pipeline].open_stages
        visits: dict[str, list[tuple[str, Visit]]] = {name: [] for name in names}
        withdrawn: dict[str, list[WithdrawnVisit]] = {name: [] for name in names}
        for deal, facts, gone in self.deals:
            for visit in facts.visits:
                if visit.pipeline == pipeline and visit.stage in visits:
                    visits[visit.stage].append((deal, visit))
            for one in gone:
                if one.visit.pipeline == pipeline and one.visit.stage in withdrawn:
                    withdrawn[one.visit.stage].append(one)
        return {
            name: StagePast(
                self.weeks,
                self.as_of,
                [deal for deal, _ in visits[name]],
                StageHistory(
                    [visit for _, visit in visits[name]], withdrawn[name], self.ruleset.clocks.of(pipeline, name)
                ),
            )
            for name in names
        }


async def refolded(pool: Pool, other: Ruleset) -> RefoldedHistory:
    """The whole history under another policy: one pass for all its pipelines. Raises LongHistory and NoPast."""
    async with pool.acquire() as connection, connection.transaction(**SNAPSHOT):
        reach = await past_reach(connection)
        if await connection.fetchval(_IS_LONG, MOST_EVENTS):
            raise LongHistory
        deals = await _deals(connection, reach.as_of, other)
        locks = [Relock.of(data) for data in await relocks.load(connection)]
    weeks = Weeks(reach.first_event, other.policy.timezone)
    facts = (one.facts for one in deals)
    measures = await asyncio.to_thread(weekly_measures, facts, other.policy, weeks, reach.as_of)
    return RefoldedHistory(other, weeks, reach.as_of, deals, measures.values, locks)


async def _deals(connection: Connection, as_of: int, other: Ruleset) -> list[_RefoldedDeal]:
    resolver = StageResolver(other.policy, await stages.load(connection))
    zone, found, read = ZoneInfo(other.policy.timezone), list[_RefoldedDeal](), 0
    async for events in history.deals(connection):
        one = _refolded([event for event in events if event.key.time <= as_of], resolver, zone)
        if one is not None:
            found.append(one)
        read += 1
        if read % _DEALS_AT_ONCE == 0:
            # Batches of events go on meanwhile.
            await asyncio.sleep(0)
    return found


def _refolded(events: Sequence[Event], resolver: StageResolver, zone: ZoneInfo) -> _RefoldedDeal | None:
    if not events:
        return None
    state = fold(events, resolver)
    return _RefoldedDeal(events[0].deal, facts_of(state, events, zone), state.withdrawn)

"""The history of a pipeline under other stages, clocks or another time zone: from the events, as they are stored."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.detector.preview.past import SNAPSHOT, PipelinePast
from services.detector.store import history, stages
from shared.flow.fold import fold
from shared.flow.preview import StagePast
from shared.flow.ruleset import Ruleset
from shared.flow.stage_resolver import StageResolver
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
    """A deal that was in the pipeline."""

    deal: str
    facts: DealFacts
    withdrawn: Sequence[WithdrawnVisit]


async def refolded(pool: Pool, known: PipelinePast, other: Ruleset) -> PipelinePast:
    """The past of a pipeline as of the same instant, under another policy. Raises LongHistory."""
    weeks = Weeks(known.weeks.first_event, other.policy.timezone)
    async with pool.acquire() as connection, connection.transaction(**SNAPSHOT):
        if await connection.fetchval(_IS_LONG, MOST_EVENTS):
            raise LongHistory
        deals = await _deals(connection, known, other)
        locks = [Relock.of(data) for data in await relocks.load(connection)]
    found = await asyncio.to_thread(_stages, known, other, weeks, deals)
    measures = await asyncio.to_thread(weekly_measures, (one.facts for one in deals), other.policy, weeks, known.as_of)
    charts = {chart: values for chart, values in measures.values.items() if chart.pipeline == known.pipeline}
    names = {chart.name for chart in charts}
    own = [one for one in locks if one.chart in names]
    return PipelinePast(known.pipeline, weeks, known.as_of, found, full=found, charts=charts, relocks=own)


async def _deals(connection: Connection, known: PipelinePast, other: Ruleset) -> list[_RefoldedDeal]:
    """The deals that are, or were believed to be, in the pipeline."""
    resolver = StageResolver(other.policy, await stages.load(connection))
    zone, found, read = ZoneInfo(other.policy.timezone), list[_RefoldedDeal](), 0
    async for events in history.deals(connection):
        one = _refolded([event for event in events if event.key.time <= known.as_of], resolver, zone)
        if one is not None and _is_in(one, known.pipeline):
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


def _is_in(one: _RefoldedDeal, pipeline: str) -> bool:
    visits = chain(one.facts.visits, (withdrawn.visit for withdrawn in one.withdrawn))
    return any(visit.pipeline == pipeline for visit in visits) or any(
        closing.pipeline == pipeline for closing in one.facts.closings
    )


def _stages(known: PipelinePast, other: Ruleset, weeks: Weeks, deals: Sequence[_RefoldedDeal]) -> dict[str, StagePast]:
    """Each open stage of the pipeline."""
    pipeline, names = known.pipeline, other.policy.pipelines[known.pipeline].open_stages
    visits: dict[str, list[tuple[str, Visit]]] = {name: [] for name in names}
    withdrawn: dict[str, list[WithdrawnVisit]] = {name: [] for name in names}
    for deal, facts, gone in deals:
        for visit in facts.visits:
            if visit.pipeline == pipeline and visit.stage in visits:
                visits[visit.stage].append((deal, visit))
        for one in gone:
            if one.visit.pipeline == pipeline and one.visit.stage in withdrawn:
                withdrawn[one.visit.stage].append(one)
    return {
        name: StagePast(
            weeks,
            known.as_of,
            [deal for deal, _ in visits[name]],
            StageHistory([visit for _, visit in visits[name]], withdrawn[name], other.clocks.of(pipeline, name)),
        )
        for name in names
    }

"""The history of a pipeline as of the watermark, kept for minutes so that every change of a form is quick."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from services.detector.ingest.stage_marks import stage_of
from services.detector.store import evaluation, history, learning, past, weeks
from services.detector.store.stages import StageMapCache
from shared.flow.checkpoints import BEGINNING
from shared.flow.fold import fold
from shared.flow.preview import RuleRun, StagePast
from shared.flow.ruleset import Ruleset
from shared.flow.stage_resolver import StageResolver
from shared.flow.statistics.charts import ChartSegments
from shared.flow.statistics.columns import Chart, Value
from shared.flow.statistics.learned_limits import LearnedVersion, StageHistory
from shared.flow.statistics.measures import WeeklyMeasures
from shared.flow.statistics.relocks import Relock
from shared.flow.statistics.weeks import Weeks
from shared.flow.visits import Visit, WithdrawnVisit
from shared.postgres.pool import Connection, Pool
from shared.stream import relocks

_DEALS_AT_ONCE = 1000
# Rules that were tried on one past.
_MOST_RUNS = 200
SNAPSHOT: Any = {"isolation": "repeatable_read", "readonly": True}


class NoPast(Exception):
    """There is nothing to try a rule on; the text says until when."""


@dataclass
class PipelinePast:
    """A pipeline as of an instant. `runs`: what rules found in it, by what defines them.

    `learned`: by stage. `full`: of stages whose rules need progress and planned steps too, which are stored with the
    events only. `charts`: the weekly values that rules on charts judge.
    """

    pipeline: str
    weeks: Weeks
    as_of: int
    stages: Mapping[str, StagePast]
    full: dict[str, StagePast] = field(default_factory=dict)
    learned: dict[str, list[LearnedVersion]] = field(default_factory=dict)
    runs: dict[str, RuleRun] = field(default_factory=dict)
    charts: dict[Chart, list[Value | None]] = field(default_factory=dict)
    relocks: list[Relock] = field(default_factory=list)

    @property
    def segments(self) -> ChartSegments:
        """The charts as rules judge them."""
        return ChartSegments(WeeklyMeasures(self.weeks, self.charts), self.weeks, self.relocks)

    @property
    def visits(self) -> int:
        return sum(len(one.deals) for one in self.stages.values())

    def keep(self, name: str, run: RuleRun) -> None:
        """Keep what a rule found, of a bounded number of rules."""
        if len(self.runs) >= _MOST_RUNS:
            del self.runs[next(iter(self.runs))]
        self.runs[name] = run


class PastReach(NamedTuple):
    """The instants from which and up to which there is a past."""

    as_of: int
    first_event: int


class PastReader:
    """Reads the past of pipelines that the policy in force has."""

    def __init__(self, pool: Pool, ruleset: Ruleset) -> None:
        self._pool, self._ruleset, self._stage_maps = pool, ruleset, StageMapCache(ruleset)

    async def read(self, pipeline: str, as_of: int | None = None) -> PipelinePast:
        """All visits of the pipeline's open stages, as of an instant; None: the newest judged. Raises NoPast."""
        stages = self._ruleset.policy.pipelines[pipeline].open_stages
        async with self._pool.acquire() as connection, connection.transaction(**SNAPSHOT):
            reach = await past_reach(connection)
            as_of = reach.as_of if as_of is None else as_of
            known = await past.visits(connection, pipeline, stages, as_of)
            withdrawn = {one: await learning.withdrawn(connection, (pipeline, one), BEGINNING) for one in stages}
        found = Weeks(reach.first_event, self._ruleset.policy.timezone)
        made = {
            stage: self._stage_past(found, as_of, (pipeline, stage), one.deals, one.visits, withdrawn[stage])
            for stage, one in known.items()
        }
        return PipelinePast(pipeline, found, as_of, made)

    async def read_full(self, known: PipelinePast, stages: Collection[str]) -> None:
        """Add the progress and planned steps of these stages, from the events of their deals."""
        async with self._pool.acquire() as connection, connection.transaction(**SNAPSHOT):
            resolver = await self._stage_maps.refresh(connection)
            for stage in stages:
                known.full[stage] = await self._full(connection, known, stage, resolver)

    async def read_charts(self, known: PipelinePast, charts: Collection[Chart]) -> None:
        """Add the weekly values of these charts, and their relocks."""
        async with self._pool.acquire() as connection, connection.transaction(**SNAPSHOT):
            known.charts |= await past.chart_values(connection, charts, known.weeks, known.as_of)
            locks = await relocks.load(connection, [chart.name for chart in charts])
            known.relocks += [Relock.of(data) for data in locks]

    async def _full(
        self, connection: Connection, known: PipelinePast, stage: str, resolver: StageResolver
    ) -> StagePast:
        path, deals, visits, withdrawn = (known.pipeline, stage), list[str](), list[Visit](), list[WithdrawnVisit]()
        wanted = await learning.deals(connection, path, BEGINNING)
        for start in range(0, len(wanted), _DEALS_AT_ONCE):
            events = await history.events_of(connection, wanted[start : start + _DEALS_AT_ONCE])
            for deal, some in events.items():
                state = fold([one for one in some if one.key.time <= known.as_of], resolver)
                own = [visit for visit in state.visits if stage_of(visit) == path]
                deals += [deal] * len(own)
                visits += own
                withdrawn += [one for one in state.withdrawn if stage_of(one.visit) == path]
            await asyncio.sleep(0)
        return self._stage_past(known.weeks, known.as_of, path, deals, visits, withdrawn)

    def _stage_past(
        self,
        weeks: Weeks,
        as_of: int,
        path: tuple[str, str],
        deals: Sequence[str],
        visits: Iterable[Visit],
        withdrawn: Sequence[WithdrawnVisit],
    ) -> StagePast:
        cut = [_as_of(visit, as_of) for visit in visits]
        return StagePast(weeks, as_of, deals, StageHistory(cut, withdrawn, self._ruleset.clocks.of(*path)))


def _as_of(visit: Visit, as_of: int) -> Visit:
    """Writers are ahead of judgement time: what happened after it has not happened yet."""
    return replace(visit, left=None) if visit.left is not None and visit.left > as_of else visit


async def past_reach(connection: Connection) -> PastReach:
    """How far the past of all pipelines reaches. Raises NoPast."""
    watermark, is_held = await evaluation.state(connection)
    first_event = await weeks.first_event(connection)
    if is_held:
        raise NoPast("a history is being loaded; try again when that is done")
    if watermark is None or first_event is None or first_event > watermark:
        raise NoPast("no deal has been judged yet; try again after the first events have come")
    return PastReach(watermark, first_event)

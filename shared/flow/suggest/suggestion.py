"""The numbers of a starting policy: what a stage's own past says is old, and how many deals it usually holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import NamedTuple

from shared.flow.known_visits import known_before
from shared.flow.statistics.columns import Column
from shared.flow.statistics.crossings import CrossingModel, crossings_of
from shared.flow.statistics.learned_limits import LearnedVersion, StageHistory, learn, window_of
from shared.flow.statistics.log_statistics import LogStatistics
from shared.flow.statistics.segments import BASELINE_LEAST, Segment
from shared.flow.statistics.windows import LONG, SHORT, window_looks
from shared.flow.suggest.found_stages import FoundPipeline, FoundStage
from shared.policy.watchable import Side

# Of one false ticket a quarter: half for charts, the rest for learned limits and bottlenecks.
FALSE_ALARMS = Fraction(1)
_LEARNED_PERCENT, _LEARNED_MOST = 30, 10
_BOTTLENECKS = 2
# Openings a quarter by chance of a limit on WIP, and the level at which a week counts as unstable.
WIP_BUDGET = Fraction(1, 10)
_UNSTABLE = Fraction(1, 100)
_YEAR = 52
# A limit on WIP farther above the range of stable weeks, in times of its top, says nothing of them.
_FARTHEST = 2


class WipRange(NamedTuple):
    """WIP at the ends of the stable weeks, and limits that chance seldom crosses; None where none is near the range."""

    weeks: int
    least: int
    most: int
    low: int | None
    high: int | None


@dataclass(frozen=True)
class StageSuggestion:
    """`budget`: of aging-learned, None where the stage gets none. `wip`: None where too few weeks are stable."""

    stage: FoundStage
    visits: int
    learned: LearnedVersion
    budget: Fraction | None
    has_bottleneck: bool
    wip: WipRange | None


@dataclass(frozen=True)
class PipelineSuggestion:
    """`weeks`: that are over. `has_rework`: deals came back to a stage. `has_closes`: close dates were moved."""

    found: FoundPipeline
    stages: Sequence[StageSuggestion]
    weeks: int
    has_rework: bool
    has_closes: bool


def suggestion(pipeline: FoundPipeline, statistics: LogStatistics) -> PipelineSuggestion:
    """What the log says of a pipeline. `statistics`: under a policy that has all stages."""
    paths = [(pipeline.key, stage.id) for stage in pipeline.open_stages]
    histories = [statistics.stages[path] for path in paths]
    busiest = sorted(range(len(paths)), key=lambda number: -len(histories[number].visits))
    percent = min(_LEARNED_PERCENT // len(paths) or 1, _LEARNED_MOST)
    learning, narrow = set(busiest[: _LEARNED_PERCENT // percent]), set(busiest[:_BOTTLENECKS])
    at = statistics.weeks.start(statistics.weeks.of(statistics.as_of))
    stages = [
        StageSuggestion(
            stage,
            len(history.visits),
            learn(history, statistics.weeks.first_event, [at], Fraction(percent, 100))[0],
            Fraction(percent, 100) if number in learning else None,
            number in narrow,
            _wip(history, statistics, paths[number], at),
        )
        for number, (stage, history) in enumerate(zip(pipeline.open_stages, histories, strict=True))
    ]
    return PipelineSuggestion(
        pipeline,
        stages,
        statistics.weeks.over(statistics.as_of),
        len(paths) > 1 and any(_values(statistics, path, Column.REWORK_RATE) for path in paths[:-1]),
        any(_values(statistics, (pipeline.key, ""), Column.PUSHED_SHARE)),
    )


def _values(statistics: LogStatistics, path: tuple[str, str], column: Column) -> list[Fraction | int]:
    """The values of a chart that are not 0."""
    return [point.value for part in statistics.charts.of_stage(*path, column) for point in part.points if point.value]


def _wip(history: StageHistory, statistics: LogStatistics, path: tuple[str, str], at: int) -> WipRange | None:
    stable = _stable_values(statistics.charts.of_stage(*path, Column.WIP_END)[-1])
    window = window_of(statistics.weeks.first_event, at)
    if window is None or len(stable) < BASELINE_LEAST:
        return None
    known = known_before(history.visits, history.withdrawn, at)
    model = crossings_of(((visit.entered, visit.left) for visit in known), at - window, at).model
    low = _low(model, min(stable))
    most = max(stable)
    high = max(most, model.least_number(WIP_BUDGET) - 1)
    return WipRange(len(stable), min(stable), most, low, high if high <= _FARTHEST * most else None)


def _low(model: CrossingModel, least: int) -> int | None:
    """The greatest minimum, not above what stable weeks show, that chance seldom falls below."""
    numbers = range(min(least, floor(model.mean)), 0, -1)
    return next((number for number in numbers if model.openings(number) <= WIP_BUDGET), None)


def _stable_values(segment: Segment) -> list[int]:
    """WIP at the ends of the last year's weeks in which no window of WIP fires, high or low."""
    unstable = set()
    for side in Side:
        for number, look in enumerate(window_looks(segment, side, _UNSTABLE)):
            length = LONG if look.fires_8 else SHORT if look.fires_4 else 0
            unstable |= {point.week for point in segment.after[number + 1 - length : number + 1]}
    return [int(point.value) for point in segment.points[-_YEAR:] if point.week not in unstable]

"""`aging-learned`: openings per stage and quarter while nothing changes, and how often longer stays are found."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from random import Random

from shared.flow.calendars import AgeClocks
from shared.flow.intervals import Interval
from shared.flow.statistics.aging_learned import LearnedRule, problem_intervals
from shared.flow.statistics.crossings import DAY
from shared.flow.statistics.learned_limits import StageHistory, learn
from shared.flow.visits import Visit
from shared.policy import AgingLearnedRule, parse
from tests.simulate.figures import Cell, SimulatedFigure, scaled
from tests.simulate.stages import Stay, arrivals, lognormal, served, unlimited

STUDY = "aging-learned"
_BUDGET = Fraction(1, 10)
# Days.
_MEAN_STAY = 7.0
_LEARNING_WEEKS, _QUARTERS = 53, 12
_WEEKS = _LEARNING_WEEKS + 13 * _QUARTERS
# A Monday.
_START = 4 * DAY
_POLICY = parse(
    "version: 1\npipelines:\n  p:\n    name: P\n    owner: {name: O, mail: o@x.example}\n"
    "    stages: [{id: s}]\n    rules: [{kind: aging-learned}]\n"
)


def cells() -> Iterator[Cell]:
    """Openings by kind of stage, and stays that become longer."""
    for wip in (6, 20, 80):
        for swing in (0.0, 0.4):
            yield Cell(STUDY, f"M/G/inf, WIP {wip}, swing {swing:g}", _independent, (wip, swing))
    for load in (0.6, 0.85, 0.93):
        yield Cell(STUDY, f"FIFO, load {load:g}", _queue, (load, 0.0))
    for load in (0.85, 0.93):
        yield Cell(STUDY, f"FIFO, load {load:g}, work after it", _queue, (load, 7.0))
    for wip, least in ((20, 0.65), (80, 0.85)):
        yield Cell(STUDY, f"stays 1.5 times as long, WIP {wip}", _longer, (wip, least))


def _independent(random: Random, scale: float, wip: int, swing: float) -> Iterator[SimulatedFigure]:
    stages = scaled({6: 240, 20: 120, 80: 40}[wip], scale)
    opened = 0
    for _ in range(stages):
        entered = arrivals(random, 7 * wip / _MEAN_STAY, _WEEKS, swing)
        opened += _openings(unlimited(random, entered, lambda _: _MEAN_STAY))
    case = f"M/G/inf, WIP {wip}, weekly rate sd {swing:g}"
    yield _per_quarter(case, opened, stages, 0.12)


def _queue(random: Random, scale: float, load: float, work: float) -> Iterator[SimulatedFigure]:
    stages, per_week = scaled(60, scale), 22.0
    opened = 0
    for _ in range(stages):
        stays = served(random, arrivals(random, per_week, _WEEKS), lambda _: 7 * load / per_week)
        if work:
            stays = [(entered, left + lognormal(random, work)) for entered, left in stays]
        opened += _openings(stays)
    yield _per_quarter(f"FIFO, load {load:g}" + (", work after it" if work else ""), opened, stages, 0.2)


def _per_quarter(case: str, opened: int, stages: int, most: float) -> SimulatedFigure:
    return SimulatedFigure(STUDY, case, "openings per stage and quarter", opened / (stages * _QUARTERS), most=most)


def _longer(random: Random, scale: float, wip: int, least: float) -> Iterator[SimulatedFigure]:
    stages, found = scaled(300, scale), 0
    changed = 7.0 * (_LEARNING_WEEKS + 4)
    for _ in range(stages):
        entered = arrivals(random, 7 * wip / _MEAN_STAY, _LEARNING_WEEKS + 17)
        stays = unlimited(random, entered, lambda at: _MEAN_STAY * (1.5 if at >= changed else 1))
        found += _is_found(_intervals(stays, _LEARNING_WEEKS + 17), changed)
    what = "found within 91 days"
    yield SimulatedFigure(STUDY, f"stays 1.5 times as long, WIP {wip}", what, found / stages, least=least)


def _is_found(intervals: list[Interval], changed: float) -> bool:
    since = _instant(changed)
    return any(one.cleared_at is None or one.cleared_at > since for one in intervals)


def _openings(stays: list[Stay]) -> int:
    begun = _instant(7.0 * _LEARNING_WEEKS)
    return sum(one.opened_at > begun for one in _intervals(stays, _WEEKS))


def _intervals(stays: list[Stay], weeks: int) -> list[Interval]:
    """The product's problems over the whole history."""
    clocks, end = AgeClocks(_POLICY), _instant(7.0 * weeks)
    visits = [
        Visit("p", "s", _instant(entered), True, _instant(left) if _instant(left) <= end else None)
        for entered, left in stays
        if _instant(entered) <= end
    ]
    policy = AgingLearnedRule(kind="aging-learned", budget=_BUDGET)
    instants = [_instant(7.0 * week) for week in range(1, weeks + 1)]
    history = StageHistory(visits, [], clocks.of("p", "s"))
    versions = learn(history, _START, instants, policy.budget)
    return problem_intervals(LearnedRule("p", "s", policy, clocks), visits, versions, end)


def _instant(days: float) -> int:
    return _START + round(days * DAY)

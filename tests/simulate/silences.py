"""`silence`: openings per source and quarter while the source lives, and how soon a dead one is noticed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from math import exp, inf, log
from random import Random
from statistics import median

from shared.flow.statistics.silence import silence
from shared.flow.statistics.wall_hours import WallHours
from shared.flow.statistics.weeks import Weeks
from tests.simulate.figures import Cell, SimulatedFigure, scaled

STUDY = "silence"
_BUDGET = Fraction(1, 10)
_SECOND = 1_000_000
_DAY, _WEEK = 86_400, 604_800
_FIRST_MONDAY = datetime(2024, 1, 1, tzinfo=UTC)
_START = int(_FIRST_MONDAY.timestamp())
# Nine weeks until the first table, then four quarters.
_LEARNING, _QUARTERS = 9, 4
_WEEKS = _LEARNING + 13 * _QUARTERS
_RECEIPTS = 1_500_000
_HOLIDAYS = [date(2024, 3, 11) + timedelta(days=29 * number) for number in range(10)]
# By kind: events of one burst, and the standard deviation of the rate of a day and of a week.
_KINDS = {"Poisson": (1, 0, 0), "bursts of 4": (4, 0, 0), "day sd .3": (1, 0.3, 0), "week sd .4": (1, 0, 0.4)}
_PER_WEEK = (3, 60, 500, 2000)
# Of a source of 200 a week that dies on a Thursday at 10: by when half are noticed, in hours.
_NOTICED = {"Poisson": 9, "week sd .4": 30, "bursts of 4": 120}


def cells() -> Iterator[Cell]:
    """Openings of living sources by kind, of sources in batches; dead sources."""
    for kind in (*_KINDS, "ten days off"):
        for hours in ("flat", "office"):
            yield Cell(STUDY, f"{kind}, {hours} hours", _living, (kind, hours))
    for name, step, most in (("sync once an hour", 3600, 0.3), ("one batch a day", _DAY, 1.2)):
        yield Cell(STUDY, name, _batches, (name, step, most))
    for kind in _NOTICED:
        yield Cell(STUDY, f"dead, {kind}", _dead, (kind,))


def _living(random: Random, scale: float, kind: str, hours: str) -> Iterator[SimulatedFigure]:
    opened = quarters = 0
    for per_week in _PER_WEEK:
        sources = scaled(min(60, _RECEIPTS // (_WEEKS * per_week)), scale)
        found = sum(_openings(_receipts(random, kind, hours, per_week, _WEEKS), kind) for _ in range(sources))
        opened, quarters = opened + found, quarters + sources * _QUARTERS
        case = f"{kind}, {hours} hours, {per_week} a week"
        yield SimulatedFigure(STUDY, case, "openings per source and quarter", found / (sources * _QUARTERS))
    case = f"{kind}, {hours} hours, all"
    yield SimulatedFigure(STUDY, case, "openings per source and quarter", opened / quarters, most=0.1)


def _batches(random: Random, scale: float, name: str, step: int, most: float) -> Iterator[SimulatedFigure]:
    """What happened since the last sync arrives together, at a fixed minute."""
    sources, opened = scaled(40, scale), 0
    for _ in range(sources):
        events = _receipts(random, "Poisson", "office", 200, _WEEKS)
        opened += _openings(sorted(-(-at // (step * _SECOND)) * step * _SECOND for at in events), "Poisson")
    what = "openings per source and quarter"
    yield SimulatedFigure(STUDY, name, what, opened / (sources * _QUARTERS), most=most)


def _dead(random: Random, scale: float, kind: str) -> Iterator[SimulatedFigure]:
    died = (_START + 12 * _WEEK + 3 * _DAY + 10 * 3600) * _SECOND
    waits = []
    for _ in range(scaled(60, scale)):
        receipts = [at for at in _receipts(random, kind, "office", 200, 13) if at < died]
        found = silence(receipts, _hours(kind), _BUDGET, died + 28 * _DAY * _SECOND).intervals
        opened = found[-1].opened_at if found and found[-1].cleared_at is None else None
        waits.append(inf if opened is None else max(0, opened - died) / 3600 / _SECOND)
    case = f"{kind}, 200 a week, dies on a Thursday at 10"
    yield SimulatedFigure(STUDY, case, "hours until noticed (median)", median(waits), most=_NOTICED[kind])


def _openings(receipts: Sequence[int], kind: str) -> int:
    if not receipts:
        return 0
    as_of = (_START + _WEEKS * _WEEK) * _SECOND
    return len(silence(receipts, _hours(kind), _BUDGET, as_of).intervals)


def _hours(kind: str) -> WallHours:
    return WallHours(Weeks(_START * _SECOND, "UTC"), _HOLIDAYS if kind == "ten days off" else [])


def _receipts(random: Random, kind: str, hours: str, per_week: float, weeks: int) -> list[int]:
    """Receipts in order. In office hours: on weekdays from 8 to 18, one in twenty at any other time."""
    burst, day_sd, week_sd = _KINDS.get(kind, (1, 0, 0))
    draw = _spread_flat if hours == "flat" else _spread_office
    found = list[int]()
    for week in range(weeks):
        rate = per_week / burst * _swing(random, week_sd)
        for day, share in enumerate(draw()):
            if kind == "ten days off" and _date(week, day) in _HOLIDAYS:
                continue
            found += _day(random, week, day, rate * share * _swing(random, day_sd), hours, burst)
    return sorted(found)


def _day(random: Random, week: int, day: int, mean: float, hours: str, burst: int) -> Iterator[int]:
    at, midnight = random.expovariate(mean), _START + week * _WEEK + day * _DAY
    while at < 1:
        is_office = hours == "office" and day < 5 and random.random() < 0.95
        second = random.uniform(8 * 3600, 18 * 3600) if is_office else random.uniform(0, _DAY)
        for _ in range(burst):
            yield int((midnight + second) * _SECOND)
            second += random.expovariate(1 / 60)
        at += random.expovariate(mean)


def _spread_flat() -> list[float]:
    return [1 / 7] * 7


def _spread_office() -> list[float]:
    return [0.196] * 5 + [0.01] * 2


def _swing(random: Random, sd: float) -> float:
    sigma = log(1 + sd * sd) ** 0.5
    return exp(random.gauss(-sigma * sigma / 2, sigma))


def _date(week: int, day: int) -> date:
    return _FIRST_MONDAY.date() + timedelta(days=7 * week + day)

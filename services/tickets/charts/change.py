"""The weeks after a change beside those that they are compared with."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from services.tickets.charts.measure import MeasureScale
from services.tickets.charts.spec import WeekGroups
from services.tickets.domain.seal import SealedPlan
from services.tickets.store.weekly_points import ChartWeeks
from services.tickets.study.change_weeks import weeks_around
from shared.policy import Policy
from shared.wording.measures import NAMES, with_unit

Named = list[tuple[str, float]]


def change_chart(sealed: SealedPlan, known: ChartWeeks, policy: Policy) -> WeekGroups | None:
    """The weeks of the seal's reference and those after the change. None before the first week after it is over."""
    around, measure = weeks_around(sealed, known.weeks), sealed.plan.measure
    scale, window = MeasureScale(measure, policy), sealed.ground.window
    after = range(around.first, min(known.over, around.first + window))
    before = _named(map(known.weeks.number, sealed.ground.measure.reference), known, scale)
    later = _named(after, known, scale)
    if not before or not later:
        return None
    groups = {f"{_weeks(before)} before the change": before, f"{_weeks(later)} after it": later}
    middles = [with_unit(median(value for _, value in weeks), scale.unit) for weeks in (before, later)]
    title = f"{NAMES[measure.column]}: usually {middles[0]} before the change, {middles[1]} after it"
    middle = median(value for _, value in before)
    return WeekGroups(title, scale.unit, groups, middle, "usual before the change")


def _named(weeks: Iterable[int], known: ChartWeeks, scale: MeasureScale) -> Named:
    values = known.charts[scale.chart]
    return [
        (known.weeks.name(week), scale.of(value))
        for week in weeks
        if 0 <= week < len(values) and (value := values[week]) is not None
    ]


def _weeks(named: Named) -> str:
    return "1 week" if len(named) == 1 else f"{len(named)} weeks"

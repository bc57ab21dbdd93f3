"""What can be said of a change before it takes place: what the weeks can show of it, from when on, how surely. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from services.tickets.domain.plan import Plan, Predicted
from services.tickets.domain.seal import SealedWeeks
from services.tickets.study.change_weeks import ChangeWeeks
from services.tickets.study.evaluate import ground_of
from services.tickets.study.known_weeks import ALL_KNOWN, RevisedChart
from services.tickets.study.trouble import TroubleWeeks
from shared.flow.statistics.columns import Chart, WeekValues
from shared.flow.statistics.effect import SizeUnit
from shared.flow.statistics.interim_looks import LEVELS, WINDOW, look_weeks
from shared.flow.statistics.sealing import LEAST_HISTORY, LEAST_REFERENCE, Ground, NotShown, Seal, seal, weigh
from shared.flow.statistics.smallest_effect import missed, smallest
from shared.flow.statistics.verification import oriented

# A change that does nothing is called verified so often, at most: the levels of the looks together.
FALSE_VERDICTS = sum(LEVELS, Fraction(0))


@dataclass(frozen=True)
class PlanOutline:
    """What a draft must have before anything can be said of it."""

    measure: Chart
    change_date: date
    new_entries_only: bool = False
    predicted: Predicted | None = None
    balancing: Chart | None = None

    @classmethod
    def of(cls, plan: Plan) -> PlanOutline:
        return cls(plan.measure, plan.change_date, plan.new_entries_only, plan.predicted, plan.balancing)

    @property
    def unit(self) -> SizeUnit:
        """What the prediction is counted in."""
        return self.predicted.unit if self.predicted else SizeUnit.DIFFERENCE


@dataclass(frozen=True)
class MeasureOutlook:
    """What a measure can show of a change.

    `weeks`: as they would be sealed. `testable_from`: the earliest change date that can be tested, where that is not so
    with the weeks that are over; None: now, or never. `smallest`: by number of weeks after the change the least effect
    that they can show, as `unit`; None: none. `missed`: the chance that a change of the predicted size is not found;
    None: not known. `clearer`: by how much farther a change must stand out as weeks resemble each other; 1: not.
    """

    weeks: SealedWeeks
    unit: SizeUnit
    testable_from: date | None = None
    smallest: Mapping[int, Fraction | None] | None = None
    missed: float | None = None
    clearer: float = 1.0


def outlook(
    chart: RevisedChart,
    around: ChangeWeeks,
    trouble: TroubleWeeks,
    since: str | None,
    outline: PlanOutline,
    *,
    higher_is_better: bool,
) -> MeasureOutlook:
    """`since`: the first week since the last relock."""
    before = oriented(chart.at(ALL_KNOWN)[1 : around.end_before], higher_is_better=higher_is_better)
    ground = ground_of(around, *trouble, since)
    weighed, sealed = weigh(before, ground), seal(before, ground)
    weeks = SealedWeeks(around.names(weighed.reference), around.names(weighed.history), since)
    if isinstance(sealed, NotShown):
        return _untestable(weeks, sealed, before, ground, around, outline)
    known = SealedWeeks(weeks.reference, weeks.history, since, sealed.phi, sealed.trend_z, sealed.slope)
    wanted = outline.predicted.size if outline.predicted else None
    share, m = outline.unit is SizeUnit.SHARE, len(weeks.reference)
    return MeasureOutlook(
        known,
        outline.unit,
        None,
        _smallest(sealed, before, share=share, higher=higher_is_better),
        None if wanted is None else missed(sealed, before, WINDOW, wanted, share=share, higher=higher_is_better),
        sealed.stretch(m, WINDOW),
    )


def _smallest(sealed: Seal, before: WeekValues, *, share: bool, higher: bool) -> Mapping[int, Fraction | None]:
    """Empty where a share is asked for, and the measure has values that are not above 0."""
    raw = [-value if higher else value for value in sealed.raw(before)]
    if share and min(raw) <= 0:
        return {}
    looks = zip(look_weeks(WINDOW), LEVELS, strict=True)
    found = {n: smallest(sealed, before, n, share=share, higher=higher, level=level) for n, level in looks}
    return {n: None if size is None else Fraction(size) for n, size in found.items()}


def _untestable(
    weeks: SealedWeeks,
    reason: NotShown,
    before: WeekValues,
    ground: Ground,
    around: ChangeWeeks,
    outline: PlanOutline,
) -> MeasureOutlook:
    """What is missing, and when it will be there. What will be there by the change is not missing."""
    more = _more_weeks(weeks, ground, len(before)) if reason is NotShown.TOO_FEW_WEEKS_BEFORE else None
    week = len(before) + 1 + (more or 0)
    is_in_time = more is not None and week <= around.end_before
    first = None if more is None else around.weeks.first_day(week)
    return MeasureOutlook(
        SealedWeeks(weeks.reference, weeks.history, weeks.since, untestable=None if is_in_time else reason),
        outline.unit,
        first,
    )


def _more_weeks(weeks: SealedWeeks, ground: Ground, known: int) -> int | None:
    """How many more weeks with a value are needed after `known`; None where no number of them is enough."""
    reference, history, opened = len(weeks.reference), len(weeks.history), ground.opened
    if opened is not None and history < LEAST_HISTORY:
        return None
    week = known
    while reference < LEAST_REFERENCE or history < LEAST_HISTORY:
        # Weeks of the trouble show memory and trend, and are not compared with.
        reference += week not in ground.trigger and (opened is None or week > opened)
        history += opened is None
        week += 1
    return week - known

"""What the weeks after a change say, from all that is known of them. Pure: the result of `andon verify` for each look.

Each look knows the weeks as they were known `lateness` after its end: what late events bring after that changes it no
more, in whatever order and however long after all of it comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from typing import NamedTuple

from services.tickets.domain.seal import SealedPlan, SealedWeeks
from services.tickets.study.change_weeks import ChangeWeeks
from services.tickets.study.known_weeks import RevisedChart
from services.tickets.study.measures import is_higher_better
from shared.contracts.measures import Column
from shared.flow.statistics.columns import Chart, WeekValues
from shared.flow.statistics.effect import Prediction
from shared.flow.statistics.held_gain import HOLD_WEEKS
from shared.flow.statistics.restored import RESTORED_WEEKS, is_silent
from shared.flow.statistics.sealing import Ground
from shared.flow.statistics.verification import (
    BalancingSeries,
    Conclusion,
    KnownAt,
    StudiedChange,
    Verdict,
    Verification,
    verify_as_known,
)
from shared.flow.statistics.windows import WindowTest
from shared.policy.watchable import Side

# [from, to) in microseconds since 1970; None: it goes on.
Span = tuple[int, int | None]


class Improvement(NamedTuple):
    """Whether the customer's lead time got better too, by the same test; None: that cannot be tested."""

    improved: bool | None


@dataclass(frozen=True)
class StudyEvidence:
    """All that a study rests on. `charts`: of measure, balancing measure, opening rule and lead time; others are left.

    `problem`: when the ticket's problem was open. `silent`: when a source of the pipeline was silent.
    `lead_since`: the first week since the last relock of the lead time, by ISO name. `lateness`: in microseconds.
    """

    kind: str
    sealed: SealedPlan
    weeks: ChangeWeeks
    charts: Mapping[Chart, RevisedChart]
    problem: Sequence[Span]
    silent: Sequence[Span]
    lateness: int
    lead_since: str | None = None

    @property
    def lead(self) -> Chart | None:
        """The chart of the customer's lead time, for a measure of a stage."""
        measure = self.sealed.plan.measure
        return Chart(measure.pipeline, "", Column.LEAD_TIME_MEDIAN) if measure.stage else None

    @property
    def is_ready(self) -> bool:
        """Whether all weeks before the change have come."""
        return all(self._over(chart) >= self.weeks.end_before for chart in self._judged)

    @property
    def weeks_over(self) -> int:
        """How many weeks after the change are over, and have come of all charts that are judged."""
        return max(min(self._over(chart) for chart in self._judged) - self.weeks.first, 0)

    @property
    def _judged(self) -> list[Chart]:
        plan, opening = self.sealed.plan, self.sealed.ground.opening
        others = [plan.balancing, opening.chart if opening else None]
        return [plan.measure, *(one for one in others if one is not None and self._over(one))]

    def _over(self, chart: Chart) -> int:
        found = self.charts.get(chart)
        return found.over if found else 0


class StudyResult(NamedTuple):
    """`lead`: None where it is not asked: no measure of a stage is verified. `predicted`: None: only its direction."""

    found: Verification
    weeks_over: int
    lead: Improvement | None
    predicted: Prediction | None = None


def charts_of(sealed: SealedPlan) -> set[Chart]:
    """All charts that a study looks at."""
    measure, opening = sealed.plan.measure, sealed.ground.opening
    charts = {measure, Chart(measure.pipeline, "", Column.LEAD_TIME_MEDIAN)}
    return charts | {one for one in (sealed.plan.balancing, opening.chart if opening else None) if one}


def evaluate(evidence: StudyEvidence, decided: Conclusion | None = None) -> StudyResult:
    """Judge a change whose weeks before have come. `decided`: the verdict, where nothing can change it any more."""
    at = _known_at(evidence)
    found = verify_as_known(at, decided)
    is_verified = found.conclusion.verdict is Verdict.VERIFIED
    lead = _lead(evidence, at, found.conclusion.week) if is_verified and evidence.lead else None
    return StudyResult(found, evidence.weeks_over, lead, _prediction(evidence.sealed))


def _known_at(evidence: StudyEvidence) -> KnownAt:
    """The change as known at each look."""

    @cache
    def at(week: int) -> StudiedChange:
        return _change_at(evidence, week)

    return at


def _change_at(evidence: StudyEvidence, week: int) -> StudiedChange:
    plan, ground = evidence.sealed.plan, evidence.sealed.ground
    instant = evidence.weeks.end_of(week) + evidence.lateness
    before, after = _sides(evidence, plan.measure, instant)
    return StudiedChange(
        higher_is_better=is_higher_better(plan.measure, evidence.kind),
        before=before,
        after=after,
        ground=ground_of(evidence.weeks, ground.trigger, ground.opened, ground.measure.since),
        silent_weeks=_silent_weeks(evidence),
        window=ground.window,
        prediction=_prediction(evidence.sealed),
        balancing=_balancing(evidence, instant),
        opening=_opening(evidence, instant) if week == RESTORED_WEEKS else None,
    )


def ground_of(weeks: ChangeWeeks, trigger: Iterable[str], opened: str | None, since: str | None) -> Ground:
    """Weeks by name as indices into those before the change."""
    return Ground(
        [weeks.index_of(name) for name in trigger],
        None if opened is None else weeks.index_of(opened),
        0 if since is None else max(weeks.index_of(since), 0),
    )


def _sides(evidence: StudyEvidence, chart: Chart, instant: int) -> tuple[WeekValues, WeekValues]:
    """A chart's values before and after the change. After it no more than all charts have, nor than are studied."""
    found = evidence.charts.get(chart)
    values = found.at(instant) if found else []
    first, longest = evidence.weeks.first, evidence.sealed.ground.window + HOLD_WEEKS
    return values[1 : evidence.weeks.end_before], values[first : first + min(evidence.weeks_over, longest)]


def _silent_weeks(evidence: StudyEvidence) -> frozenset[int]:
    """The weeks after the change in which a source was silent at any instant."""
    weeks = evidence.weeks
    return frozenset(
        number
        for number in range(1, evidence.weeks_over + 1)
        if _is_open(evidence.silent, weeks.start_of(number), weeks.end_of(number))
    )


def _is_open(spans: Iterable[Span], start: int, end: int) -> bool:
    return any(since < end and (until is None or until > start) for since, until in spans)


def _prediction(sealed: SealedPlan) -> Prediction | None:
    predicted = sealed.plan.predicted
    return None if predicted.size is None else Prediction(predicted.size, predicted.unit)


def _balancing(evidence: StudyEvidence, instant: int) -> BalancingSeries | None:
    chart, sealed = evidence.sealed.plan.balancing, evidence.sealed.ground.balancing
    if chart is None:
        return None
    before, after = _sides(evidence, chart, instant)
    since = _since(evidence.weeks, sealed)
    # A measure that has fewer weeks than the change has none before them.
    before = [*[None] * (evidence.weeks.end_before - 1 - len(before)), *before]
    return BalancingSeries(is_higher_better(chart, evidence.kind), before, after, since)


def _since(weeks: ChangeWeeks, sealed: SealedWeeks | None) -> int:
    return 0 if sealed is None or sealed.since is None else max(weeks.index_of(sealed.since), 0)


def _opening(evidence: StudyEvidence, instant: int) -> WindowTest | bool | None:
    """Whether the rule that opened the ticket was silent in the eight weeks after the change."""
    opening, weeks = evidence.sealed.ground.opening, evidence.weeks
    if opening is None:
        return not _is_open(evidence.problem, weeks.start_of(1), weeks.end_of(RESTORED_WEEKS))
    chart = evidence.charts.get(opening.chart)
    values = chart.at(instant) if chart else []
    numbers = [weeks.weeks.number(name) for name in opening.baseline]
    baseline = [Fraction(value) for week in numbers if 0 < week < len(values) and (value := values[week]) is not None]
    if not baseline:
        return None
    side = Side.LOW if is_higher_better(opening.chart, evidence.kind) else Side.HIGH
    after = values[weeks.first : weeks.first + RESTORED_WEEKS]
    silent = _silent_weeks(evidence)
    heard = [None if number in silent else value for number, value in enumerate(after, 1)]
    return is_silent(WindowTest.of(baseline, side, opening.level), heard)


def _lead(evidence: StudyEvidence, at: KnownAt, week: int | None) -> Improvement:
    """Look at the lead time as at the measure, up to the week of the verdict."""
    lead = evidence.lead
    assert lead is not None  # noqa: S101 (only asked where there is one)

    @cache
    def of_lead(number: int) -> StudiedChange:
        change = at(number)
        before, after = _sides(evidence, lead, evidence.weeks.end_of(number) + evidence.lateness)
        since = 0 if evidence.lead_since is None else max(evidence.weeks.index_of(evidence.lead_since), 0)
        ground = change.ground._replace(since=since)
        return replace(change, higher_is_better=False, before=before, after=after[:week], ground=ground, balancing=None)

    found = verify_as_known(of_lead)
    if found.seal is None or len(of_lead(0).after) < (week or 0):
        return Improvement(None)
    return Improvement(any(look.passed for look in found.looks))

"""Which weeks had the trouble that a ticket is about. Pure."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from services.tickets.domain.seal import SealedOpening
from shared.contracts.problems import CauseClass, ProblemData
from shared.flow.statistics.columns import Chart
from shared.flow.statistics.watched import LOOKS_A_QUARTER, pipeline_watches
from shared.flow.statistics.weeks import Weeks
from shared.policy import Policy
from shared.runtime.instants import micros

# The week of the opening, and those before it.
_TRIGGER_WEEKS = 4


class TroubleWeeks(NamedTuple):
    """By ISO name. `opened`: the week in which a special cause opened the problem; None where the cause is not."""

    trigger: tuple[str, ...]
    opened: str | None


def trouble_weeks(problem: ProblemData, weeks: Weeks) -> TroubleWeeks:
    """The trigger weeks of a problem: those of the windows that opened it, else the last four up to its opening."""
    opened = _week_of_opening(problem, weeks)
    trigger = [weeks.name(week) for week in range(opened - _TRIGGER_WEEKS + 1, opened + 1)]
    if problem.signal is not None:
        trigger = list(problem.signal.weeks)
    is_special = problem.cause_class is CauseClass.SPECIAL
    return TroubleWeeks(tuple(trigger), weeks.name(opened) if is_special else None)


def _week_of_opening(problem: ProblemData, weeks: Weeks) -> int:
    """A problem on weekly charts opens at the end of a week, and belongs to that one."""
    is_weekly = problem.signal is not None or problem.bottleneck is not None
    return weeks.of(micros(problem.opened_at) - is_weekly)


def sealed_opening(problem: ProblemData, policy: Policy) -> SealedOpening | None:
    """The window test that opened a problem; None for other kinds, where nothing is known of its level."""
    signal, level = problem.signal, _level(problem, policy)
    if signal is None or level is None:
        return None
    return SealedOpening(Chart(problem.pipeline, problem.stage or "", signal.measure), signal.baseline, level)


def _level(problem: ProblemData, policy: Policy) -> Fraction | None:
    """As the rule had it when it opened the problem: the policy's, unless that has changed since."""
    pipeline = policy.pipelines.get(problem.pipeline)
    watches = pipeline_watches(problem.pipeline, pipeline) if pipeline else []
    now = next((watch for watch in watches if watch.key == problem.key), None)
    if problem.chance is None:
        return now.level if now else None
    if now is not None and abs(float(now.per_quarter) - problem.chance) <= 1e-9 * problem.chance:
        return now.level
    return Fraction(problem.chance) / LOOKS_A_QUARTER or None

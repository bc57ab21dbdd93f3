"""Did a change work? Weeks after it against the weeks just before it, for the verdict, the effect and the prediction.

Nothing here remembers an earlier answer: it is a function of the weekly values as they are known.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from shared.flow.statistics.columns import Value, WeekValues
from shared.flow.statistics.effect import Effect, Prediction, PredictionResult, SizeUnit, effect, judge
from shared.flow.statistics.held_gain import HOLD_WEEKS, Hold, hold
from shared.flow.statistics.interim_looks import WINDOW, ChangeLook, look_at, look_weeks
from shared.flow.statistics.placebo import same_time_last_year
from shared.flow.statistics.restored import RESTORED_WEEKS, is_silent
from shared.flow.statistics.sealing import LEAST_REFERENCE, Ground, NotShown, Seal, Weighed, seal, weigh
from shared.flow.statistics.smallest_effect import smallest
from shared.flow.statistics.windows import WindowTest


class Verdict(StrEnum):
    """How a change came out. Restored: back where it was; that the change did it is not shown."""

    VERIFIED = "verified"
    NOT_SHOWN = "not-shown"
    RESTORED = "restored"


class BalancingSeries(NamedTuple):
    """The measure that must not get worse. `since`: its first week after its last relock."""

    higher_is_better: bool
    before: WeekValues
    after: WeekValues
    since: int = 0


@dataclass(frozen=True)
class StudiedChange:
    """A measure around a change: whole weeks that ended before it, and weeks that began after it and are over.

    `silent_weeks`: weeks after the change, from 1, in which a source of the pipeline was silent at any instant.
    `opening`: the rule that opened the problem, see `restored.is_silent`.
    """

    higher_is_better: bool
    before: WeekValues
    after: WeekValues
    ground: Ground
    silent_weeks: Collection[int] = ()
    window: int = WINDOW
    prediction: Prediction | None = None
    balancing: BalancingSeries | None = None
    opening: WindowTest | bool | None = None

    @property
    def predicts_share(self) -> bool:
        """Whether sizes are shares of the value before."""
        return self.prediction is not None and self.prediction.unit is SizeUnit.SHARE


class BalancingResult(NamedTuple):
    """The look at which the balancing measure got worse; or why it cannot be judged, which withholds nothing."""

    worse: ChangeLook | None = None
    unknown: NotShown | None = None


class Conclusion(NamedTuple):
    """The verdict, None where it is not yet known; why a change is not shown; the week of the look that decided."""

    verdict: Verdict | None = None
    reason: NotShown | None = None
    week: int | None = None


@dataclass(frozen=True)
class Verification:
    """All that is known of a change. `seal` is None where it cannot be tested, and then all that follows is empty."""

    conclusion: Conclusion
    weeks: Weighed
    seal: Seal | None = None
    looks: Sequence[ChangeLook] = ()
    # Whether the same weeks a year before showed a gain as well; None where this was not asked.
    placebo: bool | None = None
    balancing: BalancingResult | None = None
    smallest: Value | None = None
    effect: Effect | None = None
    prediction: PredictionResult | None = None
    hold: Hold | None = None


# A change as known when late events can no longer change the look at the end of a week after it; of week 0: when they
# can no longer change the weeks before.
KnownAt = Callable[[int], StudiedChange]


def verify(change: StudiedChange) -> Verification:
    """Judge a change by its weeks as they are known; with no week after it, say what could be shown."""
    return verify_as_known(lambda week: change)


def verify_as_known(at: KnownAt, decided: Conclusion | None = None) -> Verification:
    """Judge a change where each look has its own knowledge of the weeks: what becomes known later does not change it.

    `decided`: the verdict, where nothing can change it any more.
    """
    first = at(0)
    before = oriented(first.before, higher_is_better=first.higher_is_better)
    sealed = seal(before, first.ground)
    if isinstance(sealed, NotShown):
        weeks = weigh(before, first.ground)
        return Verification(decided or _untestable(at(RESTORED_WEEKS), weeks, sealed), weeks)
    return _study(at, sealed, before, decided)


def oriented(values: WeekValues, *, higher_is_better: bool) -> WeekValues:
    """The values such that less is better."""
    return [None if value is None else -value for value in values] if higher_is_better else values


def _study(at: KnownAt, sealed: Seal, before: WeekValues, decided: Conclusion | None) -> Verification:
    change = at(0)
    found = list(_looks(at, sealed))
    balancing = None if change.balancing is None else _balance(at)
    placebo = _placebo(at, sealed, found)
    is_over = len(at(change.window).after) >= change.window
    conclusion = decided or _conclude(found, placebo=placebo, balancing=balancing, is_over=is_over)
    verified = conclusion.verdict is Verdict.VERIFIED
    size = _effect(at(change.window), sealed)
    return Verification(
        conclusion,
        sealed.weeks,
        sealed,
        found,
        placebo,
        balancing,
        smallest(sealed, before, change.window, share=change.predicts_share, higher=change.higher_is_better),
        size,
        judge(change.prediction, size, verified=verified) if change.prediction and size else None,
        _hold(at(change.window + HOLD_WEEKS), sealed) if verified else None,
    )


def _looks(at: KnownAt, sealed: Seal) -> Iterator[ChangeLook]:
    """The looks at weeks that are over, up to the first that passes."""
    for week in look_weeks(at(0).window):
        change = at(week)
        if week > len(change.after):
            return
        look = look_at(sealed, *_sides(change), week, change.window)
        yield look
        if look.passed:
            return


def _placebo(at: KnownAt, sealed: Seal, found: Sequence[ChangeLook]) -> bool | None:
    """Asked only where a look passes, and not of a special cause."""
    if not found or not found[-1].passed:
        return None
    change = at(found[-1].week)
    if change.ground.opened is not None:
        return None
    return same_time_last_year(sealed, _sides(change)[0], change.ground.since)


def _sides(change: StudiedChange) -> tuple[WeekValues, WeekValues]:
    """The weeks before and after, oriented, without those in which a source was silent."""
    higher = change.higher_is_better
    after = oriented(_heard(change, change.after), higher_is_better=higher)
    return oriented(change.before, higher_is_better=higher), after


def _conclude(
    found: Sequence[ChangeLook], *, placebo: bool | None, balancing: BalancingResult | None, is_over: bool
) -> Conclusion:
    last = found[-1] if found else None
    if last is not None and last.passed:
        if placebo:
            return Conclusion(Verdict.NOT_SHOWN, NotShown.SAME_TIME_LAST_YEAR, last.week)
        if balancing is not None and balancing.worse is not None and balancing.worse.week <= last.week:
            return Conclusion(Verdict.NOT_SHOWN, NotShown.BALANCING, last.week)
        return Conclusion(Verdict.VERIFIED, None, last.week)
    if last is None or not is_over:
        return Conclusion()
    return Conclusion(Verdict.NOT_SHOWN, _reason(found, last), last.week)


def _reason(found: Sequence[ChangeLook], last: ChangeLook) -> NotShown:
    """Why no look passed."""
    if last.twice_u is None:
        return NotShown.TOO_FEW_WEEKS_AFTER
    if last.worse:
        return NotShown.WORSE
    could_pass = any(look.can_pass for look in found)
    return NotShown.NO_DIFFERENCE if could_pass else NotShown.CANNOT_SHOW


def _untestable(change: StudiedChange, weeks: Weighed, reason: NotShown) -> Conclusion:
    """The verdict where the weeks before are too few or all equal."""
    is_fresh = change.ground.opened is not None and len(weeks.reference) < LEAST_REFERENCE
    if is_fresh and change.opening is not None:
        if len(change.after) < RESTORED_WEEKS:
            return Conclusion()
        if is_silent(change.opening, _heard(change, change.after)):
            return Conclusion(Verdict.RESTORED, None, RESTORED_WEEKS)
    return Conclusion(Verdict.NOT_SHOWN, reason)


def _balance(at: KnownAt) -> BalancingResult:
    """Look for a change to the worse, as for a gain, with both sides exchanged."""

    def turned(week: int) -> StudiedChange:
        return _turned(at(week))

    first = turned(0)
    sealed = seal(oriented(first.before, higher_is_better=first.higher_is_better), first.ground)
    if isinstance(sealed, NotShown):
        return BalancingResult(unknown=sealed)
    return BalancingResult(next((look for look in _looks(turned, sealed) if look.passed), None))


def _turned(change: StudiedChange) -> StudiedChange:
    """The change of the balancing measure, for which worse is better; never of a special cause."""
    series = change.balancing
    assert series is not None  # noqa: S101 (only asked where there is one)
    shift = len(series.before) - len(change.before)
    return replace(
        change,
        higher_is_better=not series.higher_is_better,
        before=series.before,
        after=series.after[: len(change.after)],
        ground=Ground([week + shift for week in change.ground.trigger], None, series.since),
        balancing=None,
    )


def _effect(change: StudiedChange, sealed: Seal) -> Effect | None:
    if len(change.after) < change.window:
        return None
    before, after = _sides(change)
    share, higher = change.predicts_share, change.higher_is_better
    return effect(sealed, before, after[: change.window], share=share, higher=higher)


def _hold(change: StudiedChange, sealed: Seal) -> Hold | None:
    return hold(sealed, *_sides(change), change.window)


def _heard(change: StudiedChange, after: WeekValues) -> WeekValues:
    """The weeks after the change, without the values of weeks in which a source was silent."""
    return [None if week in change.silent_weeks else value for week, value in enumerate(after, 1)]

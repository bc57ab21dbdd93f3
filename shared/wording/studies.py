"""What a study of a change found, in a manager's words. No statistic is named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from shared.contracts.measures import Column
from shared.flow.statistics.effect import Effect, Prediction, PredictionResult, SizeUnit
from shared.flow.statistics.held_gain import Hold
from shared.flow.statistics.interim_looks import LEVELS, ChangeLook, look_weeks
from shared.flow.statistics.sealing import LEAST_HISTORY, LEAST_REFERENCE, NotShown
from shared.flow.statistics.verification import Verdict, Verification
from shared.wording.measures import SHARE, in_unit, in_words, unit_of
from shared.wording.quantities import rounded

RESTORED = "Back where it was. That the change did it is not shown."
TREND = "It was already getting better: it must beat its own trend."
FLATTERING = "Flattering: verified effects of this size are on average smaller than they look."
LATE = "Late events changed the verdict."
RESULTS = {
    PredictionResult.HIT: "The prediction held.",
    PredictionResult.HIT_COARSE: "The prediction fits, but the weeks vary too much to say how closely.",
    PredictionResult.WRONG_SIZE_LESS: "It got better, by less than predicted.",
    PredictionResult.WRONG_SIZE_MORE: "It got better, by more than predicted.",
    PredictionResult.WRONG_DIRECTION: "It went against the prediction: it got worse.",
    PredictionResult.OPEN: "The prediction stays open: the weeks do not say how large the change is.",
}


@dataclass(frozen=True)
class StudyNames:
    """What sentences call things. `balancing`: empty without one; `day`: seconds of a day on the measure's clock."""

    measure: str
    column: Column
    day: int
    balancing: str = ""
    window: int = 13


def verdict_sentence(found: Verification, names: StudyNames) -> str | None:
    """Why the verdict is as it is; None while there is none."""
    verdict, reason, _ = found.conclusion
    if verdict is Verdict.RESTORED:
        return RESTORED
    if verdict is Verdict.VERIFIED:
        return _verified(found.looks[-1], names.window)
    return None if reason is None else not_shown_sentence(found, reason, names)


def not_shown_sentence(found: Verification, reason: NotShown, names: StudyNames) -> str:
    """Why a change is not shown to have worked."""
    match reason:
        case NotShown.TOO_FEW_WEEKS_BEFORE:
            return too_few_before(len(found.weeks.reference), len(found.weeks.history))
        case NotShown.NO_VARIATION:
            return no_variation(names.measure)
        case NotShown.SAME_TIME_LAST_YEAR:
            return "It got better, but at the same time last year too: the season explains it as well."
        case NotShown.BALANCING:
            return _balancing(found, names)
        case NotShown.CANNOT_SHOW:
            return (
                f"{names.measure} remembers too much from week to week: no result of these weeks could have shown a"
                " change."
            )
    return _by_last_look(found.looks[-1], reason, names.window)


def _by_last_look(look: ChangeLook, reason: NotShown, window: int) -> str:
    if reason is NotShown.TOO_FEW_WEEKS_AFTER:
        return f"Only {look.points} of {window} weeks after the change have a value."
    if reason is NotShown.WORSE:
        return f"In {100 - (pairs_of(look) or 0)} of 100 pairs the later week was worse."
    return (
        f"In {pairs_of(look)} of 100 pairs the later week was better; {needed_of(look)} were needed. The weeks do not"
        " show a change."
    )


def too_few_before(reference: int, history: int) -> str:
    """`reference`: weeks to compare with; `history`: weeks that show how the measure moves."""
    if reference < LEAST_REFERENCE:
        return f"Only {_weeks(reference)} to compare with; {LEAST_REFERENCE} are needed."
    return f"Only {_weeks(history)} show how the measure moves; {LEAST_HISTORY} are needed."


def no_variation(measure: str) -> str:
    return f"{measure} never moved before the change: there is nothing to compare with."


def _verified(look: ChangeLook, window: int) -> str:
    level = LEVELS[look_weeks(window).index(look.week)]
    return (
        f"Of 100 pairs of a week before and a week after, in {pairs_of(look)} the later was better; by chance fewer"
        f" than {1000 * level} in 1,000."
    )


def _balancing(found: Verification, names: StudyNames) -> str:
    worse = found.balancing.worse if found.balancing else None
    pairs = pairs_of(worse) if worse else None
    return f"{names.measure} got better, but {_within(names.balancing)} got worse: in {pairs} of 100 pairs."


def pairs_of(look: ChangeLook) -> int | None:
    """Of 100 pairs, in how many the later week was the better one; of a balancing measure: the worse one."""
    return None if look.twice_u is None else 100 * look.twice_u // (2 * look.m * look.points)


def needed_of(look: ChangeLook) -> int | None:
    """Of 100 pairs, how many are needed; above 100 where no weeks could show a change."""
    return None if look.needed is None else ceil(100 * look.needed / (look.m * look.points) - 1e-9)


def look_sentence(look: ChangeLook) -> str:
    """One look at the weeks after a change."""
    if look.twice_u is None:
        return f"After {_weeks(look.week)}: skipped, as only {look.points} of them have a value."
    needed = needed_of(look)
    enough = "no weeks could show it" if needed is None or needed > 100 else f"{needed} are needed"
    return f"After {_weeks(look.week)}: in {pairs_of(look)} of 100 pairs the later week was better; {enough}."


def effect_sentence(effect: Effect, names: StudyNames) -> str:
    """How large the change is, and between which limits probably."""
    middle, low, high = effect.estimate, effect.low, effect.high
    if low is None or high is None:
        return f"{_change(effect.unit, middle, names)}. No bound: the weeks vary too much."
    is_gain = low >= 0 and middle > 0
    ends = [
        size_in_words(end, effect.unit, names) if is_gain else _change(effect.unit, end, names)
        for end in (Fraction(low), Fraction(high))
    ]
    return f"{_change(effect.unit, middle, names)}, probably between {ends[0]} and {ends[1]} (90 %)."


def _change(unit: SizeUnit, size: Fraction | float, names: StudyNames) -> str:
    text = size_in_words(-size if size < 0 else size, unit, names)
    return f"{text} {'worse' if size < 0 else 'better'}"


def size_in_words(size: Fraction | float, unit: SizeUnit, names: StudyNames) -> str:
    """`3 days`, `12 %` of the value before, `5 percentage points`; `size`: 0 or more, in the printed unit."""
    if unit is SizeUnit.SHARE:
        return f"{rounded(float(100 * size))} %"
    if unit_of(names.column, names.day) == SHARE:
        points = rounded(in_unit(names.column, size, names.day))
        return f"{points} percentage point{'' if points == '1' else 's'}"
    return in_words(names.column, float(size), names.day)


def result_sentence(result: PredictionResult, predicted: Prediction | None, names: StudyNames) -> str:
    """What became of a prediction; its size where it held. `predicted`: None: only that it gets better."""
    if result is not PredictionResult.HIT or predicted is None:
        return RESULTS[result]
    return f"The prediction of {size_in_words(Fraction(predicted.size), predicted.unit, names)} held."


def balancing_note(found: Verification, names: StudyNames) -> str | None:
    """What a verdict does not say of the balancing measure; None where it is well, or the verdict says it."""
    balancing = found.balancing
    if balancing is None or found.conclusion.reason is NotShown.BALANCING:
        return None
    if balancing.unknown is not None:
        return f"Whether {_within(names.balancing)} got worse cannot be told: it has too few weeks, or never moved."
    if balancing.worse is None:
        return None
    return (
        f"{names.balancing} got worse: in {pairs_of(balancing.worse)} of 100 pairs, after {balancing.worse.week} weeks."
    )


def moved_note(improved: bool | None, place: str, pipeline: str) -> str | None:
    """What a gain of one stage did for the customer. None: the lead time got better too."""
    if improved:
        return None
    if improved is None:
        return f"Whether deals go faster through {pipeline} as a whole cannot be told yet: it has too few weeks."
    return f"Moved, not improved: {place} got better, but deals do not go faster through {pipeline} as a whole."


def hold_sentence(hold: Hold, window: int) -> str:
    """What became of a gain in the 13 weeks after it was studied."""
    match hold:
        case Hold.HELD:
            return "The gain holds."
        case Hold.FADING:
            return "Part of the gain may be lost."
        case Hold.DECAYED:
            return (
                f"The gain is lost: weeks {window + 1} to {window + 13} are worse than the weeks after the change, and"
                " no better than before it."
            )
    return f"Whether the gain holds is not known: too few of weeks {window + 1} to {window + 13} have a value."


def confounded_note(tickets: Sequence[int]) -> str | None:
    """A warning where other changes of the same stage fall into the same weeks."""
    if not tickets:
        return None
    names = [f"{number}" for number in tickets]
    others = f"ticket {names[0]}" if len(names) == 1 else f"tickets {', '.join(names[:-1])} and {names[-1]}"
    return (
        f"The change of {others} falls into the same weeks of the same stage: no study can tell which of them did it."
    )


def _within(name: str) -> str:
    """The name of a measure within a sentence."""
    return name[:1].lower() + name[1:]


def _weeks(count: int) -> str:
    return "1 week" if count == 1 else f"{count} weeks"

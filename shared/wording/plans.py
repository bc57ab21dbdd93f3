"""What is said of a change before it takes place: what its study can show, from when on, and how surely."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from fractions import Fraction

from shared.flow.statistics.effect import SizeUnit
from shared.flow.statistics.sealing import NotShown
from shared.wording.quantities import rounded, week_begin
from shared.wording.studies import StudyNames, no_variation, size_in_words, too_few_before


def compared_sentence(reference: Sequence[str]) -> str:
    """Which weeks stand for the time before the change, by ISO name."""
    first, last = (week_begin(name) for name in (reference[0], reference[-1]))
    return f"The weeks after the change are compared with {len(reference)} weeks before it, from {first} to {last}."


def untestable_sentence(
    reason: NotShown, reference: int, history: int, testable_from: date | None, measure: str
) -> str:
    """Why a change cannot be tested. `testable_from`: from which change date on it can; None: from none."""
    if reason is NotShown.NO_VARIATION:
        return no_variation(measure)
    missing = too_few_before(reference, history)
    if testable_from is None:
        return f"{missing} No later change date helps: the weeks before the trouble began are too few."
    return f"{missing} The earliest change date that can be tested is {_day(testable_from)}."


def in_time_sentence(reference: int, history: int) -> str:
    """The weeks that are missing will be over by the change date."""
    return f"{too_few_before(reference, history)} By the change date there will be enough."


def smallest_sentence(size: Fraction | None, weeks: int, unit: SizeUnit, names: StudyNames) -> str:
    """The least change that a measure can show in so many weeks; None: none."""
    if size is None:
        return cannot_sentence(weeks, names.measure)
    return f"The smallest change that {weeks} weeks can show surely enough is {size_in_words(size, unit, names)}."


def cannot_sentence(weeks: int, measure: str) -> str:
    """Of a prediction that is smaller than what can be shown, or where nothing can be."""
    return f"{measure} cannot show that in {weeks} weeks."


def no_share_sentence(measure: str) -> str:
    return f"{measure} is 0 or less in some weeks: no share of it can be told. Predict an amount."


def false_sentence(false: Fraction) -> str:
    """How often a change that does nothing is called a success, at most."""
    return f"If the change does nothing, the study calls it a success in at most {1000 * false} of 1,000 cases."


def missed_sentence(missed: float) -> str:
    """How often a change of the predicted size is not found."""
    percent = round(100 * missed)
    shown = "fewer than 1" if percent < 1 else f"about {min(percent, 99)}"
    return f"If it works just as predicted, the study misses that in {shown} of 100 cases."


def memory_sentence(clearer: float) -> str:
    """Whether the measure remembers from week to week. `clearer`: how much farther a change must stand out."""
    if rounded(clearer) == "1":
        return "One week of it says nothing of the next: every week counts in full."
    return (
        f"It remembers from week to week, so that weeks count for less: a change must stand out {rounded(clearer)}"
        " times as far."
    )


def balancing_sentence(measure: str) -> str:
    """Of a balancing measure that cannot be judged."""
    name = measure[:1].lower() + measure[1:]
    return f"Whether {name} gets worse cannot be told: it has too few weeks, or never moved."


def settling_sentence(weeks: int) -> str:
    """Of a change that touches only deals that newly enter."""
    count = "1 week" if weeks == 1 else f"{weeks} weeks"
    return f"Only new deals are changed: the study begins {count} later, when half of them have left the stage."


def looks_sentence(days: Sequence[date]) -> str:
    """When the system looks whether the change has worked."""
    return f"The system looks on {', '.join(map(_day, days[:-1]))} and {_day(days[-1])}."


def _day(day: date) -> str:
    return f"{day.day} {day:%B} {day.year}"

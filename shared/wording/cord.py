"""Wording of `cord`: somebody pulled the cord of a stage, without a name."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from shared.contracts.measures import Column
from shared.contracts.problems import CauseClass, CordDetail, ProblemData, StageNumber
from shared.policy.model import RulePolicy
from shared.wording.kind import KindWording, ProblemFacts
from shared.wording.measures import NAMES, in_words
from shared.wording.quantities import week

# Letters of what was seen in a sentence; the history has all of it.
MAX_QUOTED = 240
NO_DATE = "Ask what gets in the way each time, and change the way of working: no single day will explain this."
TOO_FEW = "Ask those who work in this stage what gets in the way, before you change anything."


class CordWording(KindWording[RulePolicy]):
    """The count of its problems is the number of pulls."""

    label = "cord pulled"
    chart = None
    says_chance = True
    opened = "The cord was pulled"
    began = "The cord was first pulled"
    ends_by_person = True
    no_deals = "No deal that Andon knows was named when the cord was pulled."

    def title(self, place: str, measure: Column | None) -> str:
        return f"Somebody pulled the cord in {place}"

    def sentence(self, facts: ProblemFacts) -> str:
        if facts.cord is None:
            return self.title(facts.stage, None)
        times = "Seen" if facts.count == 1 else f"Pulled {facts.count} times"
        seen = _at(facts.cord)
        if facts.count > 1:
            seen = f". The last time,{seen}" if seen else ". The last time"
        return f"{times} in {facts.stage}{seen}: “{quoted(facts.cord.seen)}”"

    def finding(self, facts: ProblemFacts) -> str:
        return f"How long deals usually stay in {facts.stage}, week by week"

    def counted(self, count: int) -> str:
        return f"{count} pull{'' if count == 1 else 's'}"

    def watched(self, rule: RulePolicy, day: str) -> str:
        return "anyone may pull it"

    def asks_for(self, problem: ProblemData, day_seconds: int) -> str | None:
        """Whether the stage's own numbers are as usual: who reacts to a movement within them makes it worse."""
        numbers = problem.cord.numbers if problem.cord else ()
        if problem.cause_class is CauseClass.SPECIAL:
            return None
        if problem.cause_class is CauseClass.UNKNOWN:
            known = f"{problem.cause_points} of {problem.cause_needed}"
            return f"{TOO_FEW} There are too few weeks to tell whether its numbers are unusual: {known}."
        unusual = [one for one in numbers if not one.is_usual]
        if unusual:
            return f"Something stands out: {_listed(unusual, day_seconds)}. Look at that week first."
        shown = f": {_listed(numbers, day_seconds)}" if numbers else ""
        return (
            f"{NO_DATE} The stage's own numbers are as usual{shown}. A reaction to a single week makes a"
            " stable stage swing more."
        )


def quoted(seen: str) -> str:
    """What was seen as part of a sentence: in one line, without the full stop, cut where it is long."""
    line = " ".join(seen.split())
    return line.removesuffix(".") if len(line) <= MAX_QUOTED else f"{line[: MAX_QUOTED - 1].rstrip()}…"


def _at(cord: CordDetail) -> str:
    """` on 3 November with the deal Miller & Co`"""
    deal = f" with the deal {quoted(cord.deal)}" if cord.deal else ""
    if cord.day is None:
        return deal
    seen = date.fromisoformat(cord.day)
    return f" on {seen.day} {seen:%B}{deal}"


def _listed(numbers: Sequence[StageNumber], day_seconds: int) -> str:
    """`in the week of 16 November, time in stage (median): 12 days (usually 5 to 21 days), ...`"""
    shown = [f"{_name(one)} {_value(one.value, one, day_seconds)} ({_usual(one, day_seconds)})" for one in numbers]
    return f"in {week(numbers[0].week)}, {'; '.join(shown)}"


def _name(number: StageNumber) -> str:
    name = NAMES[number.measure]
    return f"{name[0].lower()}{name[1:]}:"


def _usual(number: StageNumber, day_seconds: int) -> str:
    """`usually 5 to 21 days`, `usually up to 40 deals`"""
    high = _value(number.high, number, day_seconds)
    if not number.low:
        return f"usually up to {high}"
    low = _value(number.low, number, day_seconds)
    if low == high:
        return f"usually {low}"
    (least, unit), (_, same) = low.split(" ", 1), high.split(" ", 1)
    has_one_unit = least[0].isdigit() and unit.removesuffix("s") == same.removesuffix("s")
    return f"usually {least if has_one_unit else low} to {high}"


def _value(value: float, number: StageNumber, day_seconds: int) -> str:
    return in_words(number.measure, value, day_seconds)

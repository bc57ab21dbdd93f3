"""Wording that the kinds on weekly measures share: recent weeks rank worse than the locked baseline."""

from __future__ import annotations

from abc import abstractmethod

from shared.contracts.measures import Column
from shared.contracts.problems import SignalDetail
from shared.policy.model import MeasureRule
from shared.wording.kind import FOUND, KindWording, ProblemFacts
from shared.wording.measures import in_words
from shared.wording.quantities import rounded

# What became worse, by measure, of a stage or pipeline.
WORSE = {
    Column.TIME_IN_STAGE_MEDIAN: "Deals stay longer in {place}",
    Column.TIME_IN_STAGE_P85: "The slowest deals stay longer in {place}",
    Column.WIP_END: "More deals are in {place} than before",
    Column.OPEN_AGE_MEAN: "Deals in {place} are older than before",
    Column.REWORK_RATE: "More deals come back to {place}",
    Column.ARRIVALS: "Fewer deals come into {place}",
    Column.DEPARTURES: "Fewer deals leave {place}",
    Column.LEAD_TIME_MEDIAN: "Deals take longer in {place}",
    Column.LEAD_TIME_P85: "The slowest deals take longer in {place}",
    Column.PUSHED_SHARE: "More close dates are put off in {place}",
    Column.THROUGHPUT: "Fewer deals are won or lost in {place}",
    Column.WIN_RATE: "Fewer of the closed deals are won in {place}",
}
# How much it is in a middle week, by measure; the same of the baseline follows with the value alone.
MIDDLE = {
    Column.TIME_IN_STAGE_MEDIAN: "deals usually stayed {value}",
    Column.TIME_IN_STAGE_P85: "the slowest 15 % of deals usually stayed {value} or more",
    Column.WIP_END: "the number at the end of a week was usually {value}",
    Column.OPEN_AGE_MEAN: "open deals were usually {value} old on average",
    Column.REWORK_RATE: "usually {value} of the deals that entered had come back from a later stage",
    Column.ARRIVALS: "the number that came in was usually {value} a week",
    Column.DEPARTURES: "the number that left was usually {value} a week",
    Column.LEAD_TIME_MEDIAN: "closed deals had usually taken {value}",
    Column.LEAD_TIME_P85: "the slowest 15 % of closed deals had usually taken {value} or more",
    Column.PUSHED_SHARE: "usually {value} of the close dates were put off in a week",
    Column.THROUGHPUT: "the number won or lost was usually {value} a week",
    Column.WIN_RATE: "usually {value} of the closed deals were won",
}


class SignalWording(KindWording[MeasureRule]):
    """A measure that became worse. The count of its problems is a number of pairs of weeks in 100."""

    chart = None
    says_chance = is_weekly = True
    opened = FOUND
    eased = "No longer worse than the baseline"
    look_first = "Look at the deals of these weeks before you change anything."
    no_deals = "No single deal is behind this problem: it is about all deals of these weeks."

    def title(self, place: str, measure: Column | None) -> str:
        return WORSE[measure].format(place=place) if measure in WORSE else f"{self.label.capitalize()} in {place}"

    def sentence(self, facts: ProblemFacts) -> str:
        signal = facts.signal
        if signal is None:
            return f"In {facts.count} of 100 pairs of a baseline week and a recent week, the recent week was worse"
        pairs = (
            f"Of 100 pairs of a baseline week and one of the last {len(signal.weeks)} weeks, in {signal.pairs} the"
            " recent week was worse"
        )
        return f"{how_much(signal, facts.day_seconds)}{pairs}{_by_chance(facts.chance)}"

    def finding(self, facts: ProblemFacts) -> str:
        return self.title(facts.stage, facts.signal.measure if facts.signal else None)

    def counted(self, count: int) -> str:
        return f"{count} of 100 pairs of weeks"

    @abstractmethod
    def watched(self, rule: MeasureRule, day: str) -> str:
        """What a rule looks for."""


def how_much(signal: SignalDetail, day_seconds: int) -> str:
    """The measure in the recent weeks beside the baseline, as a sentence with the space after it.

    Empty where that is not known, or both are the same in words: ranks tell weeks apart that their middles do not.
    """
    if signal.recent is None or signal.usual is None or signal.measure not in MIDDLE:
        return ""
    recent, usual = (in_words(signal.measure, one, day_seconds) for one in (signal.recent, signal.usual))
    if recent == usual:
        return ""
    shown = MIDDLE[signal.measure].format(value=recent)
    compared = f"in the {len(signal.baseline)} weeks they are compared with, {usual}"
    return f"In the last {len(signal.weeks)} weeks, {shown}; {compared}. "


def _by_chance(per_quarter: float | None) -> str:
    if not per_quarter:
        return ""
    return f". By chance this chart says so about once in {rounded(1 / per_quarter)} quarters"

"""Sealed plans and their studies as the pages show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from services.tickets.domain.plan import SealedGround, SealedPlan, SealedWeeks
from services.tickets.web import plan_words
from services.tickets.web.chart_links import chart_address
from services.tickets.web.plan_form import ENTRIES
from services.tickets.web.plan_words import day_words
from shared.contracts.tickets import StudyFacts
from shared.flow.statistics.effect import PredictionResult
from shared.flow.statistics.held_gain import Hold
from shared.policy import Policy, StageTitles
from shared.wording.quantities import week_begin

RESULTS = {
    PredictionResult.HIT: "The prediction held.",
    PredictionResult.HIT_COARSE: "The prediction held, as far as these weeks can tell: they vary too much for more.",
    PredictionResult.WRONG_SIZE_LESS: "It got better, but by less than was predicted.",
    PredictionResult.WRONG_SIZE_MORE: "It got better by more than was predicted.",
    PredictionResult.WRONG_DIRECTION: "It got worse: the opposite of what was predicted.",
    PredictionResult.OPEN: "Whether the prediction held stays open.",
}
VERDICTS = {
    "verified": "The change worked",
    "not-shown": "The weeks do not show that the change worked",
    "restored": "Back where it was",
}
HOLDS = {
    Hold.HELD: "The gain holds.",
    Hold.FADING: "Part of the gain may be lost.",
    Hold.DECAYED: "The gain is lost.",
    Hold.UNKNOWN: "Whether the gain holds cannot be told: too many of the later weeks have no value.",
}


@dataclass(frozen=True)
class SealedView:
    """A sealed plan in words. `settled_by`: why the weeks that count begin later than the change."""

    sealed: SealedPlan
    measure: str
    measure_link: str
    countermeasure: str
    prediction: str
    balancing: str | None
    entries: str
    change_date: str
    looks: Sequence[date]
    looks_in_words: str
    reference: Sequence[str]
    reference_words: str
    left_out: Sequence[str]
    can_show: Sequence[str]

    @property
    def short_hash(self) -> str:
        """The first digits, by which two seals are told apart."""
        return self.sealed.hash[:12]


def sealed_view(sealed: SealedPlan, kind: str, policy: Policy, titles: StageTitles) -> SealedView:
    """`kind`: of the ticket's problem."""
    plan, ground, looks = sealed.plan, sealed.ground, sealed.looks
    return SealedView(
        sealed,
        plan_words.measure_words(plan.measure, policy, titles),
        chart_address(plan.measure),
        plan_words.countermeasure_words(plan.countermeasure),
        plan_words.prediction_words(plan, kind, policy),
        plan_words.measure_words(plan.balancing, policy, titles) if plan.balancing else None,
        ENTRIES[plan.new_entries_only],
        day_words(plan.change_date),
        looks,
        plan_words.looks_words(looks),
        [week_begin(week) for week in ground.measure.reference],
        _reference_words(ground.measure),
        [week_begin(week) for week in ground.trigger],
        list(_can_show(sealed, policy)),
    )


def _reference_words(weeks: SealedWeeks) -> str:
    """`20 weeks, from that of 1 June 2026 to that of 12 October 2026`"""
    if not weeks.reference:
        return "no week: there is nothing to compare with"
    ends = [week_begin(weeks.reference[at]) for at in (0, -1)]
    return f"{len(weeks.reference)} weeks, from that of {ends[0]} to that of {ends[1]}"


def _can_show(sealed: SealedPlan, policy: Policy) -> Sequence[str]:
    """What the measure can show, as it was known when the plan was sealed."""
    plan, ground = sealed.plan, sealed.ground
    if ground.measure.untestable is not None:
        return [plan_words.untestable_words(ground.measure.untestable, is_special=ground.opened is not None)]
    sizes = {plan.predicted.unit: ground.smallest}
    words = [plan_words.smallest_words(sizes, plan.measure, ground.window, policy), *weeks_words(ground.measure)]
    return [*words, *_settling(ground)]


def weeks_words(weeks: SealedWeeks) -> list[str]:
    """Memory and trend of a measure."""
    if weeks.phi is None or weeks.trend_z is None or weeks.slope is None:
        return []
    return [plan_words.memory_words(weeks.phi), plan_words.trend_words(weeks.trend_z, weeks.slope)]


def _settling(ground: SealedGround) -> list[str]:
    if not ground.settling:
        return []
    weeks = "week" if ground.settling == 1 else f"{ground.settling} weeks"
    return [f"The first {weeks} after the change do not count: deals that came in before it are still on their way."]


@dataclass(frozen=True)
class StudyView:
    """What a study has found. `verdict`: None while it is not known; `next_look`: None when all looks are over."""

    facts: StudyFacts
    verdict: str | None
    is_verified: bool
    result: str | None
    hold: str | None
    next_look: date | None
    looks_done: int


def study_view(facts: StudyFacts | None, looks: Sequence[date], today: date) -> StudyView:
    """`facts`: None before the system has looked for the first time; `today`: in the policy's zone."""
    found = facts or StudyFacts()
    done = [look for look in looks if look <= today]
    is_over = found.verdict is not None
    return StudyView(
        found,
        VERDICTS[found.verdict] if found.verdict else None,
        found.verdict == "verified",
        RESULTS[PredictionResult(found.result)] if found.result else None,
        HOLDS[Hold(found.hold)] if found.hold else None,
        None if is_over or len(done) == len(looks) else looks[len(done)],
        len(done),
    )

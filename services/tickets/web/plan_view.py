"""Sealed plans and their studies as the pages show them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from services.tickets.domain.seal import SealedPlan, SealedWeeks
from services.tickets.domain.ticket import Ticket
from services.tickets.plan_facts import measure_words
from services.tickets.study.change_weeks import looks_of
from services.tickets.study.findings import StudyFindings
from services.tickets.study.outlook_words import study_names
from services.tickets.study.planning import PlanOutline
from services.tickets.study.record import Study
from services.tickets.web import plan_words
from services.tickets.web.chart_links import chart_address
from services.tickets.web.plan_form import ENTRIES, day_words
from shared.contracts.tickets import TicketChange
from shared.flow.statistics.held_gain import Hold
from shared.flow.statistics.verification import Verdict
from shared.policy import Policy, StageTitles
from shared.wording.quantities import week_begin
from shared.wording.studies import TREND, confounded_note, size_in_words

VERDICTS = {
    Verdict.VERIFIED: "The change worked",
    Verdict.NOT_SHOWN: "The weeks do not show that the change worked",
    Verdict.RESTORED: "Back where it was",
}
DECISIONS = {
    TicketChange.ADOPTED: "The change was adopted",
    TicketChange.ADAPTED: "The change is to be adapted",
    TicketChange.DROPPED: "The change was dropped",
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
    judged: Sequence[str]

    @property
    def short_hash(self) -> str:
        """The first digits, by which two seals are told apart."""
        return self.sealed.hash[:12]


def sealed_view(sealed: SealedPlan, kind: str, policy: Policy, titles: StageTitles) -> SealedView:
    """`kind`: of the ticket's problem."""
    plan, ground, looks = sealed.plan, sealed.ground, looks_of(sealed)
    return SealedView(
        sealed,
        measure_words(plan.measure, policy, titles),
        chart_address(plan.measure),
        plan_words.countermeasure_words(plan.countermeasure),
        plan_words.prediction_words(plan, kind, policy),
        measure_words(plan.balancing, policy, titles) if plan.balancing else None,
        ENTRIES[plan.new_entries_only],
        day_words(plan.change_date),
        looks,
        plan_words.looks_words(looks),
        [week_begin(week) for week in ground.measure.reference],
        _reference_words(ground.measure),
        [week_begin(week) for week in ground.trigger],
        list(_judged(sealed, policy, titles)),
    )


def _reference_words(weeks: SealedWeeks) -> str:
    """`20 weeks, from that of 1 June 2026 to that of 12 October 2026`, `1 week, that of 1 June 2026`"""
    if not weeks.reference:
        return "no week: there is nothing to compare with"
    if len(weeks.reference) == 1:
        return f"1 week, that of {week_begin(weeks.reference[0])}"
    ends = [week_begin(weeks.reference[at]) for at in (0, -1)]
    return f"{len(weeks.reference)} weeks, from that of {ends[0]} to that of {ends[1]}"


def _judged(sealed: SealedPlan, policy: Policy, titles: StageTitles) -> Iterator[str]:
    """How the measure will be judged, as it was known when the plan was sealed."""
    plan, ground = sealed.plan, sealed.ground
    if ground.measure.untestable is not None:
        yield "When it was sealed, too few weeks were there to test it."
    elif ground.smallest is None:
        yield f"This measure cannot show a change of any size in {ground.window} weeks."
    else:
        names = study_names(PlanOutline.of(plan), policy, titles)
        smallest = size_in_words(ground.smallest, plan.predicted.unit, names)
        yield f"In {ground.window} weeks this measure can show a lasting change of {smallest} or more."
    if ground.measure.slope:
        yield TREND
    if ground.settling:
        weeks = "week" if ground.settling == 1 else f"{ground.settling} weeks"
        yield f"The first {weeks} after the change do not count: deals that came in before it are still on their way."


@dataclass(frozen=True)
class StudyView:
    """A study in words. `verdict`: None while it is not known; `next_look`: None when all looks are over.

    `notes`: what else is to be known about the verdict. `decided`: what a person decided, and why.
    """

    verdict: str | None
    is_verified: bool
    is_lost: bool
    sentence: str | None
    effect: str | None
    result: str | None
    hold: str | None
    notes: Sequence[str]
    looks: Sequence[str]
    next_look: date | None
    decided: str | None
    decided_because: str | None


NO_STUDY = StudyView(None, False, False, None, None, None, None, (), (), None, None, None)


def study_view(study: Study | None, looks: Sequence[date], today: date) -> StudyView:
    """`study`: None before it begins. `looks`: when they are; `today`: in the policy's zone."""
    if study is None:
        return NO_STUDY
    found, verdict = study.findings or StudyFindings(weeks_over=0), study.conclusion.verdict
    coming = [look for look in looks if look > today]
    confounded = confounded_note(found.confounded_with)
    return StudyView(
        VERDICTS[verdict] if verdict else None,
        verdict is Verdict.VERIFIED,
        study.hold is Hold.DECAYED,
        found.sentence,
        found.effect_sentence,
        found.result_sentence,
        found.hold_sentence,
        # The page names these tickets itself, with links.
        [note for note in found.notes if note != confounded],
        [look.sentence for look in found.looks],
        coming[0] if coming and verdict is None else None,
        DECISIONS[study.decision] if study.decision else None,
        study.decided_because,
    )


@dataclass(frozen=True)
class EarlierAttempt:
    """An earlier cycle of a ticket: its plan and what came of it."""

    plan: SealedView
    study: StudyView


def earlier_attempts(
    seals: Sequence[SealedPlan], found: Sequence[Study], ticket: Ticket, policy: Policy, titles: StageTitles
) -> list[EarlierAttempt]:
    """The cycles before the plan in force, the newest first; of each, its newest seal."""
    newest = {sealed.cycle: sealed for sealed in seals}
    studies = {study.key.cycle: study for study in found}
    before = [cycle for cycle in sorted(newest, reverse=True) if cycle < ticket.cycle]
    kind = ticket.problem.kind
    return [
        EarlierAttempt(sealed_view(newest[cycle], kind, policy, titles), study_view(studies.get(cycle), (), date.max))
        for cycle in before
    ]

"""What follows from what a study found: for the ticket, for its chart, and for the study itself. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from services.tickets.domain.seal import SealedPlan
from services.tickets.domain.studying import conclude, follow_gain, resume_study
from services.tickets.domain.ticket import Ticket, TicketStep, advance
from services.tickets.study.change_weeks import ChangeWeeks
from services.tickets.study.evaluate import StudyResult
from services.tickets.study.findings import StudyFindings
from services.tickets.study.record import Study
from shared.contracts.relocks import RelockData
from shared.contracts.tickets import TicketChange, TicketOutcome, TicketState
from shared.flow.statistics.held_gain import HOLD_WEEKS
from shared.flow.statistics.segments import BASELINE_POINTS
from shared.flow.statistics.verification import Conclusion, Verdict
from shared.runtime.instants import moment
from shared.wording.studies import LATE

# Weeks of the first baseline after a verified change.
FIRST_BASELINE = 13
# How much longer than the lateness an event may take to here, where a service is stopped meanwhile.
_DELAY = timedelta(days=7)


class StudiedTicket(NamedTuple):
    """A ticket with the study of one of its cycles, and its plan. `is_newest`: of the tickets of the problem.

    `around`: the weeks around the change. `now`: of the clock that counts for tickets.
    """

    ticket: Ticket
    study: Study
    sealed: SealedPlan
    around: ChangeWeeks
    is_newest: bool
    now: datetime


def settled(study: Study, wall: datetime, lateness: timedelta) -> Conclusion | None:
    """The verdict that nothing changes any more: a person has decided on it, or late events would have come by now.

    Late events cannot change the weeks of an old look anyway; another policy or problem interval could change the rest.
    `wall`: now, by the wall clock.
    """
    seen_at = study.findings.verdict_seen_at if study.findings else None
    if study.conclusion.verdict is None or seen_at is None:
        return None
    return study.conclusion if study.decision is not None or is_past(seen_at, wall, lateness) else None


def is_past(seen_at: datetime, wall: datetime, lateness: timedelta) -> bool:
    """Whether all late events have come that may change what was seen then."""
    return wall > seen_at + lateness + _DELAY


def is_new(study: Study, found: Conclusion) -> bool:
    """Whether the verdict, or the reason of one that is not shown, is another."""
    return found[:2] != study.conclusion[:2]


def verdict_steps(at: StudiedTicket, found: Conclusion, sentence: str | None) -> list[TicketStep] | None:
    """What a new verdict does to the ticket; None where it comes too late for it."""
    ticket, verdict = at.ticket, found.verdict
    if ticket.cycle != at.study.key.cycle:
        return None
    if verdict is None:
        can_go_on = ticket.has_verdict and at.is_newest
        return [resume_study(ticket, LATE, _no_earlier(ticket, at.now))] if can_go_on else None
    outcome = TicketOutcome(verdict.value)
    if at.study.conclusion.verdict is None and ticket.state is TicketState.VERIFYING:
        return [conclude(ticket, outcome, sentence, _no_earlier(ticket, reached_at(at, found)))]
    if at.study.conclusion.verdict is not None and ticket.has_verdict:
        return [conclude(ticket, outcome, f"{LATE} {sentence}", _no_earlier(ticket, at.now))]
    return None


def reached_at(at: StudiedTicket, found: Conclusion) -> datetime:
    """When a verdict became true: at the end of its week; without one, when the study began."""
    return at.study.started_at if found.week is None else moment(at.around.end_of(found.week))


def effect_steps(at: StudiedTicket, ticket: Ticket, result: StudyResult, findings: StudyFindings) -> list[TicketStep]:
    """What is said once of the size of a change, where its verdict came before the end of the window.

    `ticket`: after the verdict.
    """
    before, week, window = at.study.findings, result.found.conclusion.week, at.sealed.ground.window
    is_told = before is not None and before.effect_sentence is not None
    if findings.effect_sentence is None or is_told or week is None or week >= window:
        return []
    if not ticket.has_verdict or ticket.cycle != at.study.key.cycle:
        return []
    text = " ".join(one for one in (findings.effect_sentence, findings.result_sentence) if one)
    return [advance(ticket, TicketChange.UPDATED, _no_earlier(ticket, moment(at.around.end_of(window))), text)]


def gain_steps(at: StudiedTicket, ticket: Ticket, result: StudyResult, sentence: str | None) -> list[TicketStep]:
    """What is said of a gain, once. `ticket`: after the verdict. Of an adapted change nothing: another one follows."""
    hold = result.found.hold
    if hold is None or hold is at.study.hold or at.study.decision is TicketChange.ADAPTED:
        return []
    end = moment(at.around.end_of(at.sealed.ground.window + HOLD_WEEKS))
    instant, cycle = _no_earlier(ticket, end), at.study.key.cycle
    return follow_gain(ticket, cycle, hold, sentence, instant, is_newest=at.is_newest)


def is_complete(at: StudiedTicket, result: StudyResult) -> bool:
    """Whether nothing more is to be found."""
    found = result.found
    if found.conclusion.verdict is None:
        return False
    if found.conclusion.verdict is Verdict.VERIFIED and at.study.decision is not TicketChange.ADAPTED:
        return found.hold is not None
    return found.seal is None or result.weeks_over >= at.sealed.ground.window


def new_baseline(
    at: StudiedTicket, result: StudyResult, points: int, relocked: int, known: Sequence[RelockData]
) -> RelockData | None:
    """The baseline that a verified change gives its chart; None where it has it, or a person decided on another.

    `points`: after the change. `relocked`: how many weeks it was given before. `known`: the chart's relocks.
    """
    week = at.around.weeks.name(at.around.first)
    size = BASELINE_POINTS if points >= BASELINE_POINTS else FIRST_BASELINE
    if result.found.conclusion.verdict is not Verdict.VERIFIED or size <= relocked:
        return None
    first = at.around.first
    later = [one for one in known if one.from_week and at.around.weeks.number(one.from_week) >= first]
    if any(one.actor == "person" or one.from_week != week for one in later):
        return None
    return RelockData(
        chart=at.sealed.plan.measure.name,
        from_week=week,
        points=size,
        reason=f"The change of ticket {at.ticket.id} is verified: from this week on other weeks are usual.",
        actor="system",
        at=at.now,
    )


def _no_earlier(ticket: Ticket, instant: datetime) -> datetime:
    """No change of a ticket comes before the one before it."""
    return max(ticket.changed_at, instant)

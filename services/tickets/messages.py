"""A change of a ticket as its message on `improvement.tickets`."""

from __future__ import annotations

from services.tickets.domain.ticket import TicketStep
from shared.contracts.envelope import content_id
from shared.contracts.problems import ProblemInterval
from shared.contracts.tickets import CordFacts, PlanFacts, StudyFacts, TicketChange, TicketData, TicketEvent
from shared.wording.problem_text import ProblemText

# Changes that may be mailed, with the chart as it was then.
WITH_CHART = (
    TicketChange.OPENED,
    TicketChange.GREW,
    TicketChange.REOPENED,
    TicketChange.CLEARED,
    TicketChange.UNDONE,
    TicketChange.PULLED,
    TicketChange.VERDICT,
    TicketChange.HELD,
    TicketChange.FADING,
    TicketChange.DECAYED,
)


def ticket_event(
    step: TicketStep,
    text: ProblemText,
    url: str,
    plan: PlanFacts | None = None,
    study: StudyFacts | None = None,
    cord: CordFacts | None = None,
) -> TicketEvent:
    """The message of a change, without its chart. `url`: address of the pages."""
    return TicketEvent.new(
        id=content_id(step.ticket.id, step.ticket.seq, step.ticket.key, step.change.value, step.at),
        source="andon/tickets",
        type=f"andon.ticket.{step.change.value}",
        subject=str(step.ticket.id),
        time=step.at,
        data=_data(step, text, url).model_copy(update={"plan": plan, "study": study, "cord": cord}),
    )


def _data(step: TicketStep, text: ProblemText, url: str) -> TicketData:
    ticket, problem = step.ticket, step.ticket.problem
    return TicketData(
        ticket=ticket.id,
        seq=ticket.seq,
        change=step.change,
        at=step.at,
        actor=step.actor,
        reason=step.reason,
        key=ticket.key,
        kind=problem.kind,
        pipeline=problem.pipeline,
        pipeline_name=text.pipeline,
        source=problem.source,
        pipelines=problem.pipelines,
        stage=problem.stage,
        stage_name=text.stage,
        state=ticket.state,
        outcome=ticket.outcome,
        title=text.title,
        sentence=text.sentence,
        asks_for=text.asks_for,
        cause_class=problem.cause_class,
        count=problem.count,
        peak=problem.peak,
        usual=problem.usual,
        chance=problem.chance,
        exceed=problem.exceed,
        opened_at=ticket.opened_at,
        problem=ProblemInterval(opened_at=problem.opened_at, cleared_at=problem.cleared_at, peak=problem.peak),
        detected_at=problem.detected_at,
        snoozed_until=ticket.snoozed_until,
        evidence=problem.evidence,
        chart_png=None,
        chart_alt=text.finding,
        url=f"{url}/tickets/{ticket.id}?of={ticket.mark}",
        issue=ticket.issue,
    )

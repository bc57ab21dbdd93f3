"""What a receiver is told about a ticket. It names nobody and no deal, and repeats nothing that a person wrote."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field, FiniteFloat

from services.notifier.domain.mail import CoveredChange, Notice
from services.notifier.domain.safe_text import one_line
from services.notifier.render.reason_text import DatedNotice, reason_text
from shared.contracts.envelope import Count, Message, Moment, Name, Number, OptionalName, Words
from shared.contracts.notices import NoticeReason
from shared.contracts.tickets import TicketData, TicketOutcome, TicketState

FOUND, PULLED = "A problem was found", "The cord was pulled"
TYPE = "andon.ticket."


class HookData(Message):
    """A ticket after one change of it, or on a day on which something falls due."""

    ticket: Number
    seq: Count = Field(description="counts the changes of the ticket: an older message has a smaller one")
    reason: NoticeReason = Field(description="why this is sent")
    key: Name = Field(description="the problem")
    kind: Name
    pipeline: OptionalName = Field(description="empty for a problem of a source")
    pipeline_name: Words
    source: Name | None = None
    stage: Name | None = None
    stage_name: Words | None = None
    state: TicketState
    outcome: TicketOutcome | None = None
    headline: Words = Field(description="what is new, in a few words")
    title: Words = Field(description="never changes")
    sentence: Words
    asks_for: Words = Field(description="what to do, in one sentence")
    count: Count
    usual: FiniteFloat | None = None
    opened_at: Moment
    cleared_at: Moment | None = Field(None, description="when the problem was over")
    change_date: date | None = Field(None, description="of the plan")
    verdict: Literal["verified", "not-shown", "restored"] | None = None
    verdict_sentence: Words | None = None
    url: Words = Field(description="address of the ticket's page")
    issue: Words | None = Field(None, description="address of the issue in Jira that the ticket is linked to")


class HookEvent(Message):
    """The body of a webhook. `timestamp`: when it became true."""

    type: str = Field(pattern=r"^andon\.ticket\.[a-z-]+$", description="andon.ticket. and the reason")
    timestamp: Moment
    data: HookData


def event_of(facts: TicketData, reason: NoticeReason, covered: CoveredChange) -> HookEvent:
    """The message about a change, or about an occasion."""
    study = facts.study
    data = HookData(
        **facts.model_dump(include=_SAME),
        reason=reason,
        headline=_headline(facts, reason, covered),
        cleared_at=facts.problem.cleared_at,
        change_date=facts.plan.change_date if facts.plan else None,
        verdict=study.verdict if study else None,
        verdict_sentence=study.sentence if study else None,
    )
    return HookEvent(type=f"{TYPE}{reason}", timestamp=covered.at, data=data)


_SAME = set(HookData.model_fields) & set(TicketData.model_fields) - {"reason"}


def _headline(facts: TicketData, reason: NoticeReason, covered: CoveredChange) -> str:
    notice = Notice(facts.ticket, facts.seq, reason, facts, (covered,))
    found = reason_text(DatedNotice(notice, covered.at.date())).headline
    return one_line(found or (PULLED if reason is NoticeReason.CORD else FOUND))

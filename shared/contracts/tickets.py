"""`improvement.tickets`: every change of a ticket, with the ticket after it. Record key: the ticket."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, FiniteFloat

from shared.contracts.envelope import Count, Envelope, Message, Moment, Name, Number, OptionalName, Words
from shared.contracts.problems import CauseClass, Evidence, ProblemInterval


class TicketState(StrEnum):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    CLOSED = "closed"


class TicketOutcome(StrEnum):
    """How a ticket ended. `changed-unplanned`: something was changed without a plan, so what it did is not known."""

    CLEARED_WITHOUT_CHANGE = "cleared-without-change"
    CHANGED_UNPLANNED = "changed-unplanned"
    ABANDONED = "abandoned"
    WONT_FIX = "wont-fix"
    RETRACTED = "retracted"


class TicketChange(StrEnum):
    """What happened to the ticket. `reopened`: its problem came back, or a person (the actor) opened it again;
    `undone`: a person took back what a person did last.
    """

    OPENED = "opened"
    GREW = "grew"
    UPDATED = "updated"
    CLEARED = "cleared"
    REOPENED = "reopened"
    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    WOKE = "woke"
    CLOSED = "closed"
    NOTICED = "noticed"
    UNDONE = "undone"


class Actor(StrEnum):
    """Who made the change: the system, or a person on the page. People are not named, as there is no sign-in."""

    SYSTEM = "system"
    PERSON = "person"


class TicketData(Message):
    """One change of one ticket. `seq` counts the changes of a ticket from 1 without a gap."""

    ticket: Number
    seq: Count
    change: TicketChange
    at: Moment
    actor: Actor
    reason: Words | None = None
    key: Name
    kind: Name
    pipeline: OptionalName = Field(description="empty for a problem of a source")
    pipeline_name: Words
    source: Name | None = Field(None, description="of a problem of a source")
    pipelines: tuple[Name, ...] = Field((), description="of a problem of a source: where it has had deals")
    stage: Name | None = None
    stage_name: Words | None = None
    state: TicketState
    outcome: TicketOutcome | None = None
    title: Words = Field(description="title in plain words, never changes: `Deals wait too long in Proposal`")
    sentence: Words = Field(description="`12 deals have been in Proposal for more than 21 days; usually 3.`")
    asks_for: Words = Field(description="what to do about this class of cause, in one sentence")
    cause_class: CauseClass
    count: Count
    peak: Count
    usual: FiniteFloat | None = None
    chance: FiniteFloat | None = Field(None, description="openings in 91 days that chance alone brings, at most")
    exceed: FiniteFloat | None = Field(None, description="share of deals expected to stay longer than the limit")
    opened_at: Moment = Field(description="when the ticket was opened")
    problem: ProblemInterval
    snoozed_until: Moment | None = None
    evidence: Evidence | None = None
    chart_png: Words | None = Field(None, description="the ticket's chart in base64, on changes that cause a mail")
    chart_alt: Words | None = Field(None, description="what the chart shows, in words")
    url: Words = Field(description="address of the ticket's page")


class TicketEvent(Envelope[TicketData]):
    type: str = Field(pattern=r"^andon\.ticket\.[a-z]+$")

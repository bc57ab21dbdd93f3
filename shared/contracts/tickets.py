"""`improvement.tickets`: every change of a ticket, with the ticket as it is after it. Record key: the ticket."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, FiniteFloat

from shared.contracts.envelope import Count, Envelope, Message, Moment, Name, Number, Words
from shared.contracts.problems import CauseClass, Evidence, ProblemInterval


class TicketState(StrEnum):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    CLOSED = "closed"


class TicketOutcome(StrEnum):
    CLEARED_WITHOUT_CHANGE = "cleared-without-change"
    ABANDONED = "abandoned"
    WONT_FIX = "wont-fix"
    RETRACTED = "retracted"


class TicketChange(StrEnum):
    """What happened to the ticket."""

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


class Actor(StrEnum):
    """Who made the change: the system, or somebody on the page (nobody is named before sign-in exists)."""

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
    pipeline: Name
    pipeline_name: Words
    stage: Name | None = None
    stage_name: Words | None = None
    state: TicketState
    outcome: TicketOutcome | None = None
    title: Words = Field(
        description="a manager's words, stable over the ticket's life: `Deals wait too long in Proposal`"
    )
    sentence: Words = Field(description="`12 deals have been in Proposal for more than 21 days; usually 3 are.`")
    asks_for: Words = Field(description="what the cause class asks of the manager, one sentence")
    cause_class: CauseClass
    count: Count
    peak: Count
    usual: FiniteFloat | None = None
    opened_at: Moment = Field(description="of the ticket")
    problem: ProblemInterval
    snoozed_until: Moment | None = None
    evidence: Evidence | None = None
    chart_png: Words | None = Field(None, description="base64 of the ticket's chart, on changes that are told by mail")
    chart_alt: Words | None = Field(None, description="the chart's finding in words")
    url: Words = Field(description="address of the ticket's page")


class TicketEvent(Envelope[TicketData]):
    type: str = Field(pattern=r"^andon\.ticket\.[a-z]+$")

"""What the API answers."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from services.tickets.domain.draft import PlanDraft
from shared.contracts.envelope import Moment
from shared.contracts.problems import CauseClass, Evidence, ProblemInterval
from shared.contracts.tickets import Actor, CordFacts, PlanFacts, StudyFacts, TicketChange, TicketOutcome, TicketState


class TicketNow(BaseModel):
    """How the problem stands now."""

    as_of: Moment
    count: int
    peak: int
    breached: bool = Field(description="whether the condition is true")
    since: Moment | None = Field(description="since when `breached` is as it is")
    clears_at: Moment | None = Field(description="when the problem clears, while the condition stays false")


class TicketFound(BaseModel):
    """How the problem was when it was found."""

    at: Moment
    count: int


class TicketSummary(BaseModel):
    """One ticket as it is now. `seq`: how many changes it has had."""

    id: int
    seq: int
    key: str = Field(description="of the problem: kind/pipeline/stage, or silence/source")
    title: str
    sentence: str
    state: TicketState
    outcome: TicketOutcome | None
    cause_class: CauseClass
    pipeline: str = Field(description="empty for a problem of a source")
    stage: str | None
    source: str | None = Field(description="of a problem of a source")
    kind: str
    mode: str
    count: int
    count_at: Moment | None = Field(
        description="as of when `count`, `peak` and `sentence` are; empty once the problem is over"
    )
    peak: int
    threshold: int
    usual: float | None = Field(description="mean of the count over the past year")
    chance: float | None = Field(description="openings in 91 days that chance alone brings, at most")
    exceed: float | None = Field(description="share of deals expected to stay longer than the limit")
    opened_at: Moment
    changed_at: Moment
    closed_at: Moment | None
    closed_because: str | None = Field(description="the reason of the closing")
    snoozed_until: Moment | None
    problem: ProblemInterval
    now: TicketNow | None = Field(description="empty once the problem is over, and until the first count has come")
    found: TicketFound
    cord: CordFacts | None = Field(description="of `cord`: its pulls and their answers")
    issue: str | None = Field(description="address of the issue in Jira that it is linked to")


class HistoryEntry(BaseModel):
    """One change in a ticket's history. `was`, `became`: the problem's interval, where late events moved it."""

    seq: int
    change: TicketChange
    at: Moment
    actor: Actor
    reason: str | None
    outcome: TicketOutcome | None
    snoozed_until: Moment | None
    was: ProblemInterval | None
    became: ProblemInterval | None


class TicketMail(BaseModel):
    """What became of a mail about the ticket."""

    reason: str
    result: str
    at: Moment
    detail: str | None


class TicketWhole(TicketSummary):
    """One ticket with evidence, history and mails."""

    asks_for: str
    evidence: Evidence | None = Field(description="the deals that are in it now; once it is over, the last that were")
    evidence_found: Evidence | None = Field(description="the deals that were in it when it was found")
    history: list[HistoryEntry]
    mails: list[TicketMail]
    cycle: int = Field(description="of plan, change and study")
    decision: Literal["adopted", "dropped"] | None = Field(description="what a person decided after the verdict")
    plan: PlanFacts | None = Field(description="the sealed plan in force, or that was studied")
    study: StudyFacts | None
    draft_version: int = Field(description="how often the draft of the plan was saved; 0: there is none")


class PlanMeasure(BaseModel):
    """A measure that the plan may be about."""

    name: str
    words: str
    unit: str = Field(description="of a predicted size: days, working days, %, deals")


class TicketSeal(BaseModel):
    """One sealed plan. `content`: the text that `hash` is the SHA-256 of."""

    cycle: int
    number: int
    sealed_at: Moment
    reason: str | None = Field(description="why it was sealed anew")
    hash: str
    before: str = Field(description="hash of the seal before it; empty: it is the first")
    content: str


class TicketPlan(BaseModel):
    """The draft of a ticket's plan, what it may be about, and every seal, the oldest first."""

    draft: PlanDraft
    draft_version: int
    saved_at: Moment | None
    measures: list[PlanMeasure]
    seals: list[TicketSeal]


class TicketList(BaseModel):
    """Tickets, newest first. `next_before`: pass it as `before` for the next page; empty at the end."""

    tickets: list[TicketSummary]
    next_before: int | None

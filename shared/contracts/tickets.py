"""`improvement.tickets`: every change of a ticket, with the ticket after it. Record key: the ticket."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Literal

from pydantic import Field, FiniteFloat

from shared.contracts.envelope import Count, Envelope, Message, Moment, Name, Number, OptionalName, Words
from shared.contracts.problems import CauseClass, Evidence, ProblemInterval


class TicketState(StrEnum):
    """How far the work on a ticket is. `planned`: a plan is sealed; `doing`: its change is under way; `verifying`: the
    change has taken place, and the system studies the weeks after it.
    """

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    PLANNED = "planned"
    DOING = "doing"
    VERIFYING = "verifying"
    CLOSED = "closed"


class TicketOutcome(StrEnum):
    """How a ticket ended. `changed-unplanned`: something was changed without a plan, so what it did is not known.

    The verdicts of a study: `verified`, `not-shown`, and `restored`, which is back where it was, without knowing why.
    """

    CLEARED_WITHOUT_CHANGE = "cleared-without-change"
    CHANGED_UNPLANNED = "changed-unplanned"
    ABANDONED = "abandoned"
    WONT_FIX = "wont-fix"
    RETRACTED = "retracted"
    VERIFIED = "verified"
    NOT_SHOWN = "not-shown"
    RESTORED = "restored"


class TicketChange(StrEnum):
    """What happened to the ticket. `reopened`: its problem came back, its gain was lost, or a person (the actor) opened
    it again; `undone`: a person took back what a person did last; `pulled`: somebody pulled the cord again;
    `linked`: a person set, changed or removed the address of its issue in Jira.

    Of a plan: `planned` (sealed), `rescheduled`, `withdrawn`, `started`, `verifying` (the change date has come). Of its
    study: `verdict`, then what a person decides (`adopted`, `adapted`: a next cycle, `dropped`) and what becomes of the
    gain (`held`, `fading`, `decayed`).
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
    PLANNED = "planned"
    RESCHEDULED = "rescheduled"
    WITHDRAWN = "withdrawn"
    STARTED = "started"
    VERIFYING = "verifying"
    VERDICT = "verdict"
    ADOPTED = "adopted"
    ADAPTED = "adapted"
    DROPPED = "dropped"
    HELD = "held"
    FADING = "fading"
    DECAYED = "decayed"
    PULLED = "pulled"
    LINKED = "linked"


class Actor(StrEnum):
    """Who made the change: the system, or a person on the page. People are never named here."""

    SYSTEM = "system"
    PERSON = "person"


class PredictedFacts(Message):
    """How much better the measure is to be; `size` null: only that it gets better."""

    size: Words | None = Field(pattern=r"^[0-9]+(/[1-9][0-9]*)?$", description="exact, as 5 or 5/7, above 0")
    unit: Literal["difference", "share"] = Field(description="of the measure's unit, or of its value before the change")
    why: Words


class TaskFacts(Message):
    """One task of a plan. `who`: a role or a team, never a person."""

    what: Words
    who: Words
    by: date


class PlanFacts(Message):
    """The sealed plan in force; of a ticket that a study closed, the plan that was studied."""

    cycle: Count = Field(description="of the ticket: 1, then 2 after an adapted or lost change")
    number: Count = Field(1, description="how often the plan of this cycle was sealed")
    measure: Name = Field(description="pipeline/stage/measure, `-` for the stage of a pipeline's measure")
    measure_words: Words
    change: Words
    change_date: date
    predicted: PredictedFacts
    hash: Words = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the sealed content")
    looks: tuple[date, ...] = Field(description="the days on which the weeks of each look are over")
    tasks: tuple[TaskFacts, ...] = ()


class StudyFacts(Message):
    """What the study of the plan has found so far. `verdict` null: not yet known."""

    verdict: Literal["verified", "not-shown", "restored"] | None = None
    reason: Name | None = Field(None, description="of `not-shown`")
    week: Count | None = Field(None, description="the week after the change at whose end the verdict was reached")
    sentence: Words | None = Field(None, description="the verdict in words")
    effect_sentence: Words | None = None
    result: Name | None = Field(None, description="what became of the prediction: hit, wrong-size-less, open, ...")
    result_sentence: Words | None = Field(None, description="the same in words")
    notes: tuple[Words, ...] = Field((), description="what is to be said beside the verdict: warnings, in words")
    hold: Name | None = Field(None, description="what became of the gain: held, fading, decayed, unknown")
    confounded_with: tuple[Number, ...] = Field((), description="tickets whose changes overlap with this one's")


class CordFacts(Message):
    """The pulls of the cord that a ticket is about, all of them since it was first opened.

    Counts and times only: nothing of who pulled, and none of what they wrote.
    """

    pulls: Count
    first_at: Moment
    last_at: Moment
    waited: Count = Field(description="pulls that came while nobody was at work on the ticket; others need no answer")
    answered: Count = Field(description="of those that waited, how many a person has answered")
    waiting_since: Moment | None = Field(None, description="when the first pull came that still waits for an answer")
    answer_seconds: FiniteFloat | None = Field(
        None, ge=0, description="the longest time from a pull that waited to its answer, of those answered"
    )


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
    sentence: Words = Field(description="`12 deals, usually 3, have been in Proposal for more than 21 days.`")
    asks_for: Words = Field(description="what to do about this class of cause, in one sentence")
    cause_class: CauseClass
    count: Count
    peak: Count
    usual: FiniteFloat | None = None
    chance: FiniteFloat | None = Field(None, description="openings in 91 days that chance alone brings, at most")
    exceed: FiniteFloat | None = Field(None, description="share of deals expected to stay longer than the limit")
    opened_at: Moment = Field(description="when the ticket was opened")
    problem: ProblemInterval
    detected_at: Moment | None = Field(None, description="when the problem was found; null: written before 0.1.0")
    snoozed_until: Moment | None = None
    evidence: Evidence | None = None
    chart_png: Words | None = Field(None, description="the ticket's chart in base64, on changes that cause a mail")
    chart_alt: Words | None = Field(None, description="what the chart shows, in words")
    url: Words = Field(description="address of the ticket's page")
    issue: Words | None = Field(None, description="address of the issue in Jira that the ticket is linked to")
    plan: PlanFacts | None = None
    study: StudyFacts | None = None
    cord: CordFacts | None = Field(None, description="of `cord`; null: nobody has pulled a cord for this ticket")


class TicketEvent(Envelope[TicketData]):
    type: str = Field(pattern=r"^andon\.ticket\.[a-z]+$")

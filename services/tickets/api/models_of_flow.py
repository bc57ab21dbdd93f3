"""What the API answers about pipelines, charts, attempts and the meeting."""

from __future__ import annotations

from datetime import date

from pydantic import BaseModel, Field

from services.tickets.domain.plan import Countermeasure
from services.tickets.store.ledger import AttemptOutcome
from services.tickets.web.meeting_view import Asked
from shared.contracts.envelope import Moment
from shared.contracts.measures import Column
from shared.contracts.stages import StageOutcome
from shared.contracts.tickets import StudyFacts


class StageInPolicy(BaseModel):
    """A stage as the policy has it."""

    id: str
    name: str
    outcome: StageOutcome


class PipelineSummary(BaseModel):
    """A pipeline as the policy has it. `charts`: their names."""

    id: str
    name: str
    stages: list[StageInPolicy]
    charts: list[str]


class PipelineList(BaseModel):
    """All pipelines of the policy."""

    pipelines: list[PipelineSummary]


class StageRuleNow(BaseModel):
    """How a rule of a stage stands. `breached`: whether its condition is true, `since` when that is so."""

    kind: str
    count: int
    threshold: int
    breached: bool
    since: Moment | None


class StageOnBoard(BaseModel):
    """An open stage as of `as_of`. `wip`: None until the detector has reported on it."""

    id: str
    name: str
    wip: int | None
    oldest_entered_at: Moment | None
    arrived: int | None = Field(description="deals that came in the last week")
    left: int | None = Field(description="deals that left in the last week")
    rules: list[StageRuleNow]
    tickets: list[int] = Field(description="open tickets of the stage")


class PipelineBoard(BaseModel):
    """A pipeline at a glance. `week`: the last one that is over."""

    id: str
    name: str
    as_of: Moment | None
    week: str | None
    closed: int | None = Field(description="deals closed in the last week")
    won: int | None
    lost: int | None
    stages: list[StageOnBoard]
    tickets: list[int] = Field(description="open tickets of the whole pipeline")


class ChartPoint(BaseModel):
    """A week that is over. `value`: a count, a share of 1, or seconds."""

    week: str
    value: float


class ChartBaseline(BaseModel):
    """What the weeks from `from_week` on are judged by. Without limits: none are drawn."""

    from_week: str
    points: int = Field(description="weeks that make it")
    is_complete: bool
    centre: float | None
    lower: float | None
    upper: float | None
    reason: str | None = Field(description="why it began; empty for the first of a chart")
    decided_at: Moment | None


class ChartWhole(BaseModel):
    """A weekly measure with its baselines, the oldest first. `version`: of what was decided on its baselines."""

    name: str
    pipeline: str
    stage: str | None
    measure: Column
    version: str
    points: list[ChartPoint]
    baselines: list[ChartBaseline]


class AttemptWhole(BaseModel):
    """One plan and what came of it. `because`: why it was stopped, or what was decided on its verdict."""

    ticket: int
    cycle: int
    kind: str
    pipeline: str
    stage: str | None
    sealed_at: Moment
    hash: str
    aim: str
    measure: str
    change: str
    countermeasure: Countermeasure
    change_date: date
    predicted_size: float | None
    predicted_in: str = Field(description="difference: in the measure's unit; share: of its value before")
    why: str
    found: AttemptOutcome
    study: StudyFacts
    decision: str | None
    because: str | None


class LedgerList(BaseModel):
    """Attempts, newest first. `next_before`: pass it as `before` for the next page; empty at the end."""

    attempts: list[AttemptWhole]
    next_before: str | None


class WaitingDecision(BaseModel):
    """A ticket that waits for a decision since `since`. `day`: of the change or the look, where that is asked."""

    ticket: int
    since: Moment
    day: date | None


class MeetingSection(BaseModel):
    """Decisions of one kind, those that have waited longest first."""

    asked: Asked
    heading: str
    waiting: list[WaitingDecision]


class MeetingList(BaseModel):
    """What waits for a decision, in the order in which to take it. `baselines`: charts whose baseline is old."""

    sections: list[MeetingSection]
    baselines: list[str]

"""`pipeline.events`: one canonical event of a deal. Record key: the deal, `source:id`."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import Field

from shared.contracts.envelope import AnyMoment, Count, Decimal, Envelope, Indexed, Moment, Name, SparseData, Text


class EventType(StrEnum):
    """What happened to a deal. Declared by rank: of events at one instant, lower ranks come first."""

    rank: int

    def __new__(cls, text: str) -> Self:
        member = str.__new__(cls, text)
        member._value_ = text
        member.rank = len(cls.__members__)
        return member

    CREATED = "andon.deal.created"
    CHANGED = "andon.deal.changed"
    TOUCHED = "andon.deal.touched"
    REOPENED = "andon.deal.reopened"
    MOVED = "andon.deal.moved"
    WON = "andon.deal.won"
    LOST = "andon.deal.lost"
    MERGED = "andon.deal.merged"
    DELETED = "andon.deal.deleted"


class DealData(SparseData):
    """What an event tells about a deal. An absent field means "not known"; null clears a value."""

    pipeline: Indexed | None = None
    stage: Indexed | None = None
    entered_at: Moment | None = Field(None, description="when the deal entered the stage, if the CRM tells")
    name: Text | None = None
    amount: Decimal | None = Field(None, description="decimal number as a string")
    currency: str | None = Field(None, max_length=12, pattern=r"^[^\x00]*$")
    owner: Text | None = Field(None, description="id of the owner; neither stored nor shown")
    expected_close: Text | None = None
    next_step_at: AnyMoment | None = Field(
        None, description="time of the planned next step; null: there is none any more"
    )
    reason: Text | None = None
    into: Name | None = Field(None, description="after a merge: the deal that continues")
    primary: bool | None = Field(
        None, description="true: `into` is a new deal, and continues where this one was when it was merged"
    )
    merged_from: Name | None = Field(
        None,
        description="set by Andon when a merge makes a new deal: where the deal of this id was, this one continues;"
        " counts only while nothing else has said where this one is",
    )
    activity: Text | None = None
    buyer: bool | None = Field(None, description="true: the buyer took part in the activity")
    url: Text | None = None


class DealEvent(Envelope[DealData]):
    """One event of one deal; `subject` is the deal, `source:id`."""

    id: Indexed
    subject: Indexed
    type: EventType
    translation: Count = Field(
        0,
        description="of two events with one id the greater wins, so that a corrected translation replaces a wrong one",
    )

    @property
    def deal(self) -> str:
        return self.subject

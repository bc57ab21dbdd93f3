"""`pipeline.events`: one canonical event of a deal. Record key: the deal, `source:id`."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import Field

from shared.contracts.envelope import AnyMoment, Count, Decimal, Envelope, Indexed, Moment, Name, SparseData, Text


class EventType(StrEnum):
    """What became true of a deal. Declared in the order of rank: at one instant, those of a lower rank come first."""

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
    """What an event says. Every field may be absent; `null` takes a value back where that has a meaning."""

    pipeline: Indexed | None = None
    stage: Indexed | None = None
    entered_at: Moment | None = Field(
        None, description="since when the deal has been in the stage, where the CRM tells"
    )
    name: Text | None = None
    amount: Decimal | None = Field(None, description="decimal as a string")
    currency: str | None = Field(None, max_length=12, pattern=r"^[^\x00]*$")
    owner: Text | None = Field(None, description="key of the owner; neither kept nor shown")
    expected_close: Text | None = None
    next_step_at: AnyMoment | None = Field(None, description="planned next step; null takes it back")
    reason: Text | None = None
    into: Name | None = Field(None, description="the deal that goes on after a merge")
    activity: Text | None = None
    buyer: bool | None = Field(None, description="true: the buyer took part in the activity")
    url: Text | None = None


class DealEvent(Envelope[DealData]):
    """One event of one deal; `subject` is the deal, `source:id`."""

    id: Indexed
    subject: Indexed
    type: EventType
    translation: Count = Field(
        0, description="of two that share an id the greater counts: a mended translation takes the place of a wrong one"
    )

    @property
    def deal(self) -> str:
        return self.subject

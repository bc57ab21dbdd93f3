"""`flow.receipts` (compacted): when events of each source were received, and up to when all of them are known.

Record key: source/hour/part of an hour, `judged` for the other. One partition, so that the latter comes after the hours
that it speaks of.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from shared.contracts.envelope import Count, Envelope, Message, Moment, Name

JUDGED_KEY = "judged"


class ReceiptType(StrEnum):
    """`hour`: receipts of a source; `judged`: how far judgement time has come."""

    HOUR = "andon.receipts.hour"
    JUDGED = "andon.receipts.judged"


class HourReceipts(Message):
    """Distinct events of a source that were received within an hour. Published again when there are more."""

    source: Name
    start: Moment = Field(description="start of the hour, in UTC")
    part: Count = Field(description="from 0; a busy hour comes in several parts, all but the last of which are full")
    receipts: tuple[int, ...] = Field(description="microseconds from the start of the hour, in order")
    pipelines: tuple[Name, ...] = Field((), description="those in which the source has had deals so far")

    @property
    def key(self) -> str:
        return f"{self.source}/{self.start:%Y-%m-%dT%H}/{self.part}"


class Judged(Message):
    """Whatever was received up to `until` is published, unless it reaches us late."""

    until: Moment
    since: Moment | None = Field(
        None, description="after `andon reevaluate`: problems that cleared later than this are to be found anew"
    )

    @property
    def key(self) -> str:
        return JUDGED_KEY


class ReceiptsEvent(Envelope[HourReceipts | Judged]):
    type: ReceiptType

"""Which facts about a deal are known, and whether to fetch the rest from its CRM. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from shared.connectors.base.deal_parts import DealPart
from shared.contracts.events import DealEvent, EventType

_FIELDS = {"stage": DealPart.STAGE, "pipeline": DealPart.PIPELINE, "name": DealPart.NAME}
_GONE = (EventType.DELETED, EventType.MERGED)


class GapState(StrEnum):
    """Whether facts about a deal are missing.

    WHOLE: none. THIN: some, and the source has no API access. WANTED: some, to be fetched. READ: some, fetched, and the
    CRM had no more. REFUSED: the CRM does not know the deal, or does not show it.
    """

    WHOLE = "whole"
    THIN = "thin"
    WANTED = "wanted"
    READ = "read"
    REFUSED = "refused"


@dataclass(frozen=True)
class Knowledge:
    """What is known of one deal. `due`: when to fetch it; `read_at`: when it was last fetched."""

    parts: int = 0
    state: GapState = GapState.THIN
    due: datetime | None = None
    read_at: datetime | None = None


@dataclass(frozen=True)
class ReadPolicy:
    """When to fetch a deal of a source.

    `needs`: parts without which it has a gap. `has_api`: whether the source has API access. `patience`: how long
    to wait for events that complete it. `read_again`: minimum time between two fetches of one deal.
    """

    needs: int
    has_api: bool
    patience: timedelta
    read_again: timedelta


def parts_of(events: Iterable[DealEvent]) -> int:
    """The parts that events give."""
    parts = 0
    for event in events:
        if event.type is EventType.CREATED:
            parts |= DealPart.CREATED
        elif event.type in _GONE:
            parts |= DealPart.GONE
        for field, part in _FIELDS.items():
            if getattr(event.data, field):
                parts |= part
    return parts


def after(known: Knowledge, parts: int, policy: ReadPolicy, now: datetime) -> Knowledge:
    """What is known after events gave more parts. A deal that was fetched recently is not fetched again."""
    parts |= known.parts
    if parts & DealPart.GONE or parts & policy.needs == policy.needs:
        return replace(known, parts=parts, state=GapState.WHOLE, due=None)
    read_recently = known.read_at is not None and now - known.read_at < policy.read_again
    if known.state is GapState.WANTED or not policy.has_api or read_recently:
        return replace(known, parts=parts)
    return replace(known, parts=parts, state=GapState.WANTED, due=now + policy.patience)

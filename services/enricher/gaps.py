"""Which of the things that are needed of a deal have been said, and whether its CRM is to be asked. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import IntFlag, StrEnum

from shared.contracts.events import DealEvent, EventType


class DealPart(IntFlag):
    """What may have been said of a deal. GONE: deleted or merged, after which nothing more is of use."""

    CREATED = 1
    STAGE = 2
    PIPELINE = 4
    NAME = 8
    GONE = 16


ALL = DealPart.CREATED | DealPart.STAGE | DealPart.PIPELINE | DealPart.NAME
_FIELDS = {"stage": DealPart.STAGE, "pipeline": DealPart.PIPELINE, "name": DealPart.NAME}
_GONE = (EventType.DELETED, EventType.MERGED)


class GapState(StrEnum):
    """WHOLE: nothing is missing. THIN: something is, and nobody asks. READ, REFUSED: asked, and answered so."""

    WHOLE = "whole"
    THIN = "thin"
    WANTED = "wanted"
    READ = "read"
    REFUSED = "refused"


@dataclass(frozen=True)
class Known:
    """What is known of one deal. `due`: when it is to be read; `read_at`: when it last was."""

    said: int = 0
    state: GapState = GapState.THIN
    due: datetime | None = None
    read_at: datetime | None = None


@dataclass(frozen=True)
class ReadPolicy:
    """What is needed of the deals of a source, whether its CRM can be asked, and how patiently."""

    needs: int
    asked: bool
    patience: timedelta
    again: timedelta


def said_by(events: Iterable[DealEvent]) -> int:
    """The parts that events say."""
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


def after(known: Known, said: int, wish: ReadPolicy, now: datetime) -> Known:
    """What is known once more was said. A deal that was read lately is not asked for again."""
    said |= known.said
    if said & DealPart.GONE or said & wish.needs == wish.needs:
        return replace(known, said=said, state=GapState.WHOLE, due=None)
    lately = known.read_at is not None and now - known.read_at < wish.again
    if known.state is GapState.WANTED or not wish.asked or lately:
        return replace(known, said=said)
    return replace(known, said=said, state=GapState.WANTED, due=now + wish.patience)

"""`dead-letters.handled` (compacted): what became of dead letters. Record key: the letter's id.

A mark counts for letters with its id that were written before it.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Self

from shared.contracts.envelope import Envelope, Message, Moment

HANDLED_TYPE = "andon.dead.handled"


class Handling(StrEnum):
    """`redriven`: its record is back on its topic; `dismissed`: somebody decided that nothing is to be done."""

    REDRIVEN = "redriven"
    DISMISSED = "dismissed"


class HandledData(Message):
    """One letter waits no longer."""

    letter: str
    handling: Handling
    at: Moment


class HandledEvent(Envelope[HandledData]):
    type: str = HANDLED_TYPE

    @classmethod
    def of(cls, letter: str, handling: Handling, now: datetime) -> Self:
        """The mark of a letter."""
        data = HandledData(letter=letter, handling=handling, at=now)
        return cls(
            id=f"{letter}@{now:%Y-%m-%dT%H:%M:%S.%f}", source="andon/dead-letters", subject=letter, time=now, data=data
        )

"""Time as a parameter: the pure core never reads a clock, the edges read a `Clock`."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol


class ClockKind(StrEnum):
    """`wall`: live. `log`: for replays; now is the time of the last record in the log."""

    WALL = "wall"
    LOG = "log"


class Clock(Protocol):
    """The present, in UTC."""

    def now(self) -> datetime: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class WholeMinutes:
    """Another clock without its seconds."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def now(self) -> datetime:
        return self.clock.now().replace(second=0, microsecond=0)

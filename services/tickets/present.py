"""What time it is for tickets: the wall clock's, or in a replay the judgement time of the log."""

from __future__ import annotations

from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from shared.postgres.pool import Executor
from shared.runtime.clock import Clock, ClockKind, WholeMinutes
from shared.stream import stages_now


class LogClock:
    """The judgement time, as last read from the database; the wall clock's time until there is one."""

    def __init__(self, wall: Clock) -> None:
        self._wall = wall
        self._judged: datetime | None = None

    def now(self) -> datetime:
        return self._judged or self._wall.now()

    async def follow(self, executor: Executor) -> None:
        """Read the judgement time."""
        self._judged = await stages_now.judged_at(executor)


def clock_of(kind: ClockKind, wall: Clock) -> Clock:
    """The clock that counts for tickets."""
    return LogClock(wall) if kind is ClockKind.LOG else wall


async def present(executor: Executor, clock: Clock) -> datetime:
    """The time now, as the database knows it where the log's clock counts."""
    followed = clock.clock if isinstance(clock, WholeMinutes) else clock
    if isinstance(followed, LogClock):
        await followed.follow(executor)
    return clock.now()


def day_in(zone: str, instant: datetime) -> date:
    """The day of an instant in the zone."""
    return instant.astimezone(ZoneInfo(zone)).date()


def start_of(day: date, zone: str) -> datetime:
    """The first instant of a day in the zone."""
    return datetime.combine(day, time(), ZoneInfo(zone))

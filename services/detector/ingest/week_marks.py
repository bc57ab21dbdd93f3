"""Marks what a batch changes of weeks that may be over: their measures are computed again."""

from __future__ import annotations

from collections.abc import Iterable

from services.detector.store import weeks
from shared.flow.statistics.weeks import Weeks
from shared.flow.visits import Event
from shared.postgres.pool import Connection
from shared.runtime.clock import Clock
from shared.runtime.instants import micros
from shared.stream.transaction import Transaction

# Microseconds by which the watermark may be ahead of our estimate of the database's clock.
_SLACK = 1_000_000


class WeekMarks:
    """One for each writer. `clock`: the present; None in replays, where any week may be over.

    A week is over once the watermark has passed its end. The watermark is never later than now, nor than what a batch
    in progress has to apply. So what changes in the present week needs no mark, whatever another replica publishes
    meanwhile.
    """

    def __init__(self, zone: str, clock: Clock | None = None) -> None:
        self._zone, self._clock = zone, clock
        self._weeks: Weeks | None = None
        # An upper bound of the time of the log's first event.
        self._first_event: int | None = None

    async def mark(self, connection: Connection, first: int | None) -> None:
        """Something changes at the instant, and maybe after it; None: nothing does."""
        if first is not None and self._may_be_over(first):
            await weeks.mark(connection, first)

    async def note_events(self, transaction: Transaction, first: int, replaced: Iterable[Event]) -> None:
        """The first of new events is at the instant; others replaced events."""
        connection = transaction.connection
        if self._first_event is None:
            self._first_event = await weeks.first_event(connection)
        known = self._first_event
        if known is None or first <= known:
            await weeks.lower_first_event(connection, first)
        if known is not None and any(event.key.time <= known for event in replaced):
            await weeks.find_first_event(connection)
            transaction.after_commit(self._forget)
        elif known is None or first < known:
            transaction.after_commit(lambda: self._lower(first))

    def _lower(self, first: int) -> None:
        self._first_event = first if self._first_event is None else min(first, self._first_event)

    def _forget(self) -> None:
        self._first_event = None

    def _may_be_over(self, instant: int) -> bool:
        """Whether the week that holds the instant may be over."""
        if self._clock is None:
            return True
        present = micros(self._clock.now()) + _SLACK
        if self._weeks is None or present >= self._weeks.end(0):
            self._weeks = Weeks(present, self._zone)
        return instant < self._weeks.start(0)

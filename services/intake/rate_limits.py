"""What one source may ask of intake, so that one that floods does not slow the others, nor take all memory."""

from __future__ import annotations

import time
from collections.abc import Callable


class RateLimit:
    """At most `at_once` requests together, and `per_second` in the long run with a burst of as many (0: no limit).

    A token bucket: its level is told by the time that has passed, so that nothing runs in between.
    """

    def __init__(self, per_second: float, at_once: int, now: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._most, self._now = per_second, at_once, now
        self._burst = max(1.0, per_second)
        self._level, self._seen = self._burst, now()
        self.together = 0

    def crowded(self) -> bool:
        """Whether there are too many at once, this one among them."""
        return self.together > self._most

    def wait(self) -> float:
        """Take one request from the allowance: 0 when it may pass, else the seconds after which one may."""
        if not self._rate:
            return 0.0
        now = self._now()
        self._level = min(self._burst, self._level + (now - self._seen) * self._rate)
        self._seen = now
        if self._level < 1:
            return (1 - self._level) / self._rate
        self._level -= 1
        return 0.0


class LogThrottle:
    """Counts what happens, and tells the count once in so many seconds: a flood is no flood of log lines."""

    def __init__(self, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._now = seconds, now
        self._next, self._count = now(), 0

    def count(self) -> int:
        """One more. How many since the last time this was told; 0 while it is too early to tell again."""
        self._count += 1
        if self._now() < self._next:
            return 0
        self._next = self._now() + self._seconds
        count, self._count = self._count, 0
        return count


# So much of every body is free: what is that small is limited by the number of connections.
SMALL_BODY = 64 * 1024


class MemoryBudget:
    """How many bytes of bodies may be in hand, from the first that is read until the answer: `most`, and half of it
    for one source. A body that is alone may be larger, so that every body that its source may send is taken.
    """

    def __init__(self, most: int) -> None:
        self.most, self.held = most, 0
        self.of_source: dict[str, int] = {}

    def share(self, source: str) -> Reservation:
        """What one request of this source takes of the room: nothing yet."""
        return Reservation(self, source)


class Reservation:
    """The room that one request holds."""

    __slots__ = ("_held", "_read", "_room", "_source")

    def __init__(self, room: MemoryBudget, source: str) -> None:
        self._room, self._source = room, source
        self._read = self._held = 0

    def take(self, size: int) -> bool:
        """Make room for so many bytes more; false when there is none."""
        self._read += size
        more = max(0, self._read - SMALL_BODY) - self._held
        if not more:
            return True
        room, of_source = self._room, self._room.of_source.get(self._source, 0)
        if (of_source > self._held and of_source + more > room.most // 2) or (
            room.held > self._held and room.held + more > room.most
        ):
            return False
        self._hold(more)
        return True

    def give_back(self) -> None:
        """All of it, once the request is answered."""
        if self._held:
            self._hold(-self._held)

    def _hold(self, more: int) -> None:
        self._held += more
        self._room.held += more
        self._room.of_source[self._source] = self._room.of_source.get(self._source, 0) + more

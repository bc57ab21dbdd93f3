"""Limits per source, so that a flood from one slows no other and cannot exhaust memory."""

from __future__ import annotations

import time
from collections.abc import Callable


class RateLimit:
    """At most `max_in_flight` concurrent requests, and `per_second` on average with a burst of that size (0: no limit).

    A token bucket, refilled on access, so that no timer runs.
    """

    def __init__(self, per_second: float, max_in_flight: int, now: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._max_in_flight, self._now = per_second, max_in_flight, now
        self._burst = max(1.0, per_second)
        self._tokens, self._refilled_at = self._burst, now()
        self.in_flight = 0

    def is_exceeded(self) -> bool:
        """Whether too many requests are in flight, the current one included."""
        return self.in_flight > self._max_in_flight

    def acquire(self) -> float:
        """Take a token: 0 if there was one, otherwise the seconds until there is one."""
        if not self._rate:
            return 0.0
        now = self._now()
        self._tokens = min(self._burst, self._tokens + (now - self._refilled_at) * self._rate)
        self._refilled_at = now
        if self._tokens < 1:
            return (1 - self._tokens) / self._rate
        self._tokens -= 1
        return 0.0


class LogThrottle:
    """Counts events and reports the count at most once per interval, so that a flood does not flood the log."""

    def __init__(self, interval_seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._interval, self._now = interval_seconds, now
        self._next_report, self._count = now(), 0

    def count(self) -> int:
        """Count one event. Returns the number since the last report, or 0 if it is too early for another."""
        self._count += 1
        if self._now() < self._next_report:
            return 0
        self._next_report = self._now() + self._interval
        count, self._count = self._count, 0
        return count


# The part of each body that costs no budget: the number of connections already limits small bodies.
FREE_BODY_BYTES = 64 * 1024


class MemoryBudget:
    """Bytes of bodies in flight and of what is made of them, until the reply: `limit` in all, half of it per source.

    A body that is alone may exceed the budget, so that every body its source allows is accepted.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.used = limit, 0
        self.used_by_source: dict[str, int] = {}

    def reserve(self, source: str) -> Reservation:
        """An empty reservation for one request of this source."""
        return Reservation(self, source)


class Reservation:
    """The bytes that one request holds of the budget."""

    __slots__ = ("_budget", "_held", "_read", "_source")

    def __init__(self, budget: MemoryBudget, source: str) -> None:
        self._budget, self._source = budget, source
        self._read = self._held = 0

    @property
    def held(self) -> int:
        """Bytes of the budget that this request holds."""
        return self._held

    def grow(self, size: int) -> bool:
        """Reserve `size` more bytes; false if that would exceed the budget."""
        self._read += size
        more = max(0, self._read - FREE_BODY_BYTES) - self._held
        if not more:
            return True
        budget, of_source = self._budget, self._budget.used_by_source.get(self._source, 0)
        if (of_source > self._held and of_source + more > budget.limit // 2) or (
            budget.used > self._held and budget.used + more > budget.limit
        ):
            return False
        self._hold(more)
        return True

    def release(self) -> None:
        """Return everything to the budget."""
        if self._held:
            self._hold(-self._held)

    def _hold(self, more: int) -> None:
        self._held += more
        self._budget.used += more
        self._budget.used_by_source[self._source] = self._budget.used_by_source.get(self._source, 0) + more

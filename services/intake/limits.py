"""What one source may ask of intake, so that one that floods does not slow the others."""

from __future__ import annotations

import time
from collections.abc import Callable


class Limit:
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

"""Which mails of the canary are handed over, and which the mail server is only asked about."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

# How long a mail of the canary may wait: later it says nothing of the way as it is.
STALE = timedelta(hours=1)


class TrialMails:
    """Hands one over at most each `every`; of one replica. `now`: a clock that only goes forward, in seconds."""

    def __init__(self, every: timedelta, now: Callable[[], float] = time.monotonic) -> None:
        self._every, self._now = every.total_seconds(), now
        self._handed_over_at = float("-inf")

    def is_due(self) -> bool:
        """Whether the next one is handed over."""
        return self._now() - self._handed_over_at >= self._every

    def handed_over(self) -> None:
        """The mail server has taken one."""
        self._handed_over_at = self._now()

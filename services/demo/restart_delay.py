"""How long to wait before a process that ended is started again."""

from __future__ import annotations

# A process that ran this long did not fail at startup.
STEADY_SECONDS = 60
MAX_RESTART_DELAY = 10.0


class RestartDelay:
    """1, 2, 4 ... 10 seconds while the process ends soon after each start. Times are monotonic."""

    def __init__(self) -> None:
        self._restarted_at, self._short_runs = 0.0, 0
        self._due: float | None = None

    def left(self, now: float) -> float:
        """Seconds until the next restart is due. The first call after each end starts the delay."""
        if self._due is None:
            self._short_runs = self._short_runs + 1 if now - self._restarted_at < STEADY_SECONDS else 0
            self._due = now + min(MAX_RESTART_DELAY, 2.0**self._short_runs)
        return max(0.0, self._due - now)

    def restarted(self, now: float) -> None:
        """The process has been started again."""
        self._due, self._restarted_at = None, now

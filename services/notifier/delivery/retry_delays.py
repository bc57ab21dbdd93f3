"""How long to wait before the next attempt."""

from __future__ import annotations

from datetime import timedelta

MAX_BACKOFF_SECONDS = 300.0
MAX_OUTAGE_SECONDS = 60.0
# After a lost answer the server may have the mail: each further attempt may be a duplicate.
_RESEND_HOURS = (1, 4, 24, 72)
MAX_RESEND_HOURS = 168


def backoff(attempts: int, chance: float, longest: float = MAX_BACKOFF_SECONDS) -> timedelta:
    """1, 2, 4 ... 300 seconds, half of it random, so that replicas do not retry together."""
    seconds = min(longest, 2.0 ** min(attempts - 1, 20))
    return timedelta(seconds=seconds * (0.5 + chance / 2))


def resend_pause(unanswered: int) -> timedelta:
    """After the first lost answer an hour, then 4 hours, a day, three days, and from then on a week."""
    hours = _RESEND_HOURS[unanswered - 1] if unanswered <= len(_RESEND_HOURS) else MAX_RESEND_HOURS
    return timedelta(hours=hours)

"""When a message is sent again, and until when."""

from __future__ import annotations

from datetime import timedelta

GIVE_UP = timedelta(days=3)
_FIRST_SECONDS, _FACTOR = 5.0, 4
MAX_PAUSE_SECONDS = 6 * 3600.0


def pause_after(attempts: int, chance: float) -> timedelta:
    """5, 20, 80 ... seconds up to 6 hours, up to half of it left out at random."""
    seconds = min(MAX_PAUSE_SECONDS, _FIRST_SECONDS * _FACTOR ** min(attempts - 1, 10))
    return timedelta(seconds=seconds * (0.5 + chance / 2))

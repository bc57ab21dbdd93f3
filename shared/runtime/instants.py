"""Instants as integers: microseconds since 1970 in UTC, exact in both directions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO = timedelta(microseconds=1)


def micros(moment: datetime) -> int:
    """Microseconds since the epoch, exactly."""
    return (moment - EPOCH) // _MICRO


def moment(instant: int) -> datetime:
    """The instant as a time in UTC."""
    return EPOCH + timedelta(microseconds=instant)

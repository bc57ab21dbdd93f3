"""Quiet hours and times of the week on a wall clock, over changes of its offset. Pure.

Quiet is every instant at which the wall clock of the zone shows a quiet time: an hour that daylight saving skips is
skipped, and one that comes twice is quiet twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from shared.flow.calendars import offsets
from shared.policy import QuietHours, WeeklyReport
from shared.policy.parts import DAYS
from shared.runtime.instants import micros, moment

_SECOND = 1_000_000
_WEEK = 7 * 86_400
# 1 January 1970 was a Thursday.
_THURSDAY = 3 * 86_400
# Quiet hours leave some time in each week, and no zone skips a week.
_AHEAD = timedelta(days=15)


def end_of_quiet(quiet: Iterable[QuietHours], zone: str, instant: datetime) -> datetime:
    """The first instant from this one on that is not quiet."""
    spans = [span for one in quiet for span in one.spans]
    if not spans:
        return instant
    start = micros(instant)
    for begin, stop, offset in offsets(ZoneInfo(zone), start, micros(instant + _AHEAD)):
        ends = _wall_end(spans, begin + offset) - offset
        if ends < stop:
            return moment(ends)
    raise ValueError("quiet hours without an end")


def _wall_end(spans: Sequence[tuple[int, int]], wall: int) -> int:
    """The first time that is not quiet, on a wall clock that runs on. In microseconds since 1970."""
    while (end := _covering(spans, wall)) is not None:
        wall = end
    return wall


def _covering(spans: Sequence[tuple[int, int]], wall: int) -> int | None:
    """The latest end of a span that covers a time."""
    in_week = (wall // _SECOND + _THURSDAY) % _WEEK
    week = (wall // _SECOND - in_week) * _SECOND
    ends = [
        week + (end - shift) * _SECOND
        for begin, end in spans
        for shift in (0, _WEEK)
        if begin - shift <= in_week < end - shift
    ]
    return max(ends) if ends else None


def last_report(report: WeeklyReport, zone: str, now: datetime) -> datetime:
    """The latest instant up to now at which a weekly report goes out.

    A time that the clock skips is the instant of the change; of one that comes twice the first counts.
    """
    place = ZoneInfo(zone)
    today = now.astimezone(place).date()
    back = (today.weekday() - DAYS.index(report.day)) % 7
    days = [today - timedelta(days=back + 7 * weeks) for weeks in (-1, 0, 1)]
    instants = [_instant(datetime.combine(day, _time(report.at)), place) for day in days]
    return max(instant for instant in instants if instant <= now)


def next_time(at: int, zone: str, instant: datetime) -> datetime:
    """The first instant from this one on at which the clock shows a time of day, in seconds, or has passed it."""
    place = ZoneInfo(zone)
    today = instant.astimezone(place).date()
    found = [_instant(datetime.combine(today + timedelta(days=days), _time(at)), place) for days in (-1, 0, 1, 2)]
    return min(one for one in found if one >= instant)


def _time(seconds: int) -> time:
    return time(seconds // 3600, seconds // 60 % 60, seconds % 60)


def _instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """The first instant at which the clock shows a time, or has passed it."""
    first, later = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first <= later:
        return first
    # Skipped: the clock jumps at the instant at which its offset changes.
    *_, (jump, _, _) = offsets(zone, micros(later), micros(first) + 1)
    return moment(jump)

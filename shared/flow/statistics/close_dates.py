"""Expected close dates over time: which deals have one, and which were pushed to a later date within a week.

The date at an instant t is that of the last event of the deal that tells it and has a time before t. Every event
counts, also one that comes while the deal is deleted: when it is restored it has the date that was told last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from shared.flow.visits import Event

_FIELD = "expected_close"
_DATE_LENGTH = len("2026-12-31")


class CloseChange(NamedTuple):
    """At `time` an event told the expected close date; None takes it back."""

    time: int
    date: date | None


class CloseWeek(NamedTuple):
    """A week in which the date was told, and the date at its end. `pushed`: it is later than before."""

    week: int
    date: date | None
    pushed: bool


def tells_close(event: Event) -> bool:
    """Whether the event tells the date, or takes it back."""
    return _FIELD in event.data


def close_changes(events: Iterable[Event], zone: ZoneInfo) -> list[CloseChange]:
    """What the events of one deal, each once and in order, tell of the date.

    What is no date tells nothing, nor does the same date again.
    """
    found, last = list[CloseChange](), object()
    for event in events:
        if _FIELD not in event.data or (value := event.data[_FIELD]) == last:
            continue
        told = None if value is None else close_date(value, zone)
        if told is None and value is not None:
            continue
        last = value
        if not found or found[-1].date != told:
            found.append(CloseChange(event.key.time, told))
    return found


@lru_cache(maxsize=4096)
def close_date(text: str, zone: ZoneInfo) -> date | None:
    """The date of a text of ten characters, or of a longer one that is an instant: its date in the zone. Else None."""
    try:
        if len(text) <= _DATE_LENGTH:
            return date.fromisoformat(text) if len(text) == _DATE_LENGTH else None
        instant = datetime.fromisoformat(text)
        return None if instant.tzinfo is None else instant.astimezone(zone).date()
    except (ValueError, OverflowError):
        return None


def close_weeks(changes: Iterable[CloseChange], week_of: Callable[[int], int]) -> list[CloseWeek]:
    """The weeks in which the date was told, in order. There and back within a week is no push, nor is a first date."""
    found, then, last = list[CloseWeek](), None, None
    for time, told in changes:
        week = week_of(time)
        if found and found[-1].week == week:
            found.pop()
        else:
            then = last
        # Where a week begins without a date, the first one told in it stands for that.
        then = told if then is None else then
        last = told
        found.append(CloseWeek(week, told, told is not None and then is not None and told > then))
    return found

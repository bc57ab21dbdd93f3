"""Moments for people: short in the text, exact on hover.

They are written in the policy's zone; where scripts run, `andon.js` turns them into the reader's.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from markupsafe import Markup

_MICROSECOND = timedelta(microseconds=1)


class Times:
    """Filters of the templates: a moment as an element of HTML."""

    def __init__(self, zone: str) -> None:
        self._zone = ZoneInfo(zone)

    def moment(self, at: datetime, now: datetime) -> Markup:
        """`26 October at 09:20`, `today at 09:20`"""
        return self._element(at, "moment", human(at, now, self._zone))

    def when(self, at: datetime, now: datetime) -> Markup:
        """The same in a sentence: `on 26 October at 09:20`, `today at 09:20`"""
        text = human(at, now, self._zone)
        return self._element(at, "when", f"on {text}" if text[0].isdigit() else text)

    def day(self, at: datetime, now: datetime) -> Markup:
        """`26 October`, `today`"""
        return self._element(at, "day", _day(local(at, self._zone).date(), local(now, self._zone).date()))

    def moment_at_home(self, at: datetime, now: datetime) -> Markup:
        """A moment that belongs to the policy's zone, and is told in it to every reader: `8 April at 08:00`"""
        return self._element(at, None, human(at, now, self._zone))

    def day_at_home(self, at: datetime, now: datetime) -> Markup:
        return self._element(at, None, _day(local(at, self._zone).date(), local(now, self._zone).date()))

    def day_ended(self, at: datetime) -> str:
        """The day that a daily point belongs to: `Mon 26 October`; a point within a day is the newest one."""
        ended = local(at, self._zone)
        last = ended - _MICROSECOND
        return f"{last:%a} {last.day} {last:%B}" if (ended.hour, ended.minute) == (0, 0) else "as it was told last"

    def _element(self, at: datetime, form: str | None, text: str) -> Markup:
        """`form`: how `andon.js` writes it anew in the reader's zone; without one it stays."""
        here = local(at, self._zone)
        exact = f"{here:%a} {here.day} {here:%b %Y, %H:%M %Z}"
        turned = Markup(' data-form="{}"').format(form) if form else ""
        return Markup('<time datetime="{}" title="{}"{}>{}</time>').format(
            at.astimezone(UTC).isoformat(timespec="seconds"), exact, turned, text
        )


def human(at: datetime, now: datetime, zone: ZoneInfo) -> str:
    here = local(at, zone)
    return f"{_day(here.date(), local(now, zone).date())} at {here:%H:%M}"


def local(at: datetime, zone: ZoneInfo) -> datetime:
    """The moment there; some CRMs plan a next step for the last second of the year 9999: other zones are past it."""
    try:
        return at.astimezone(zone)
    except OverflowError:
        return at


def _day(day: date, today: date) -> str:
    near = {-1: "yesterday", 0: "today", 1: "tomorrow"}.get((day - today).days)
    return near or f"{day.day} {day:%B}" + ("" if day.year == today.year else f" {day.year}")


def ago(moment: datetime, now: datetime) -> str:
    """`2 days`, `5 hours`, `3 minutes`: how long it has lasted."""
    seconds = max(0, int((now - moment).total_seconds()))
    for size, name in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = seconds // size
            return f"{count} {name}{'' if count == 1 else 's'}"
    return "less than a minute"

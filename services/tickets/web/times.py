"""Moments for people: short in the text, exact on hover.

They are written in the policy's zone; where scripts run, `andon.js` rewrites them in the reader's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from markupsafe import Markup

_MICROSECOND = timedelta(microseconds=1)


class Times:
    """Filters of the templates: a moment as an element of HTML."""

    def __init__(self, zone: str) -> None:
        self._zone = ZoneInfo(zone)

    def filters(self) -> Mapping[str, Callable[..., str]]:
        """The filters by name."""
        named = (self.moment, self.when, self.day, self.day_ended, self.moment_in_policy_zone, self.day_in_policy_zone)
        return {one.__name__: one for one in named}

    def moment(self, at: datetime, now: datetime) -> Markup:
        """`26 October at 09:20`, `today at 09:20`"""
        return self._element(at, "moment", _moment(at, now, self._zone))

    def when(self, at: datetime, now: datetime) -> Markup:
        """The same in a sentence: `on 26 October at 09:20`, `today at 09:20`"""
        text = _moment(at, now, self._zone)
        return self._element(at, "when", f"on {text}" if text[0].isdigit() else text)

    def day(self, at: datetime, now: datetime) -> Markup:
        """`26 October`, `today`"""
        return self._element(at, "day", _day(_local(at, self._zone).date(), _local(now, self._zone).date()))

    def moment_in_policy_zone(self, at: datetime, now: datetime) -> Markup:
        """A moment that every reader sees in the policy's zone: `8 April at 08:00`"""
        return self._element(at, None, _moment(at, now, self._zone))

    def day_in_policy_zone(self, at: datetime, now: datetime) -> Markup:
        """A day that every reader sees in the policy's zone: `8 April`"""
        return self._element(at, None, _day(_local(at, self._zone).date(), _local(now, self._zone).date()))

    def day_ended(self, at: datetime) -> str:
        """The day that a daily point belongs to: `Mon 26 October`. Only the newest point may be within a day."""
        ended = _local(at, self._zone)
        last = ended - _MICROSECOND
        return f"{last:%a} {last.day} {last:%B}" if (ended.hour, ended.minute) == (0, 0) else "newest count"

    def _element(self, at: datetime, form: str | None, text: str) -> Markup:
        """`form`: how `andon.js` rewrites it in the reader's zone; None leaves it as it is."""
        local = _local(at, self._zone)
        exact = f"{local:%a} {local.day} {local:%b %Y, %H:%M %Z}"
        data_form = Markup(' data-form="{}"').format(form) if form else ""
        return Markup('<time datetime="{}" title="{}"{}>{}</time>').format(
            at.astimezone(UTC).isoformat(timespec="seconds"), exact, data_form, text
        )


def _moment(at: datetime, now: datetime, zone: ZoneInfo) -> str:
    local = _local(at, zone)
    return f"{_day(local.date(), _local(now, zone).date())} at {local:%H:%M}"


def _local(at: datetime, zone: ZoneInfo) -> datetime:
    """The moment in a zone. Some CRMs plan a next step for the last second of the year 9999: that stays in UTC."""
    try:
        return at.astimezone(zone)
    except OverflowError:
        return at


def _day(day: date, today: date) -> str:
    near = {-1: "yesterday", 0: "today", 1: "tomorrow"}.get((day - today).days)
    return near or f"{day.day} {day:%B}" + ("" if day.year == today.year else f" {day.year}")


def ago(moment: datetime, now: datetime) -> str:
    """How long ago a moment is: `2 days`, `5 hours`, `3 minutes`."""
    seconds = max(0, int((now - moment).total_seconds()))
    for size, name in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = seconds // size
            return f"{count} {name}{'' if count == 1 else 's'}"
    return "less than a minute"

"""Moments for people: short in the text, exact on hover, all of a page in one zone, which its footer names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from services.tickets.web.zones import page_zone

_MICROSECOND, _MINUTE = timedelta(microseconds=1), timedelta(minutes=1)


class Times:
    """Filters of the templates: a moment as an element of HTML, in the zone of the page that is being made."""

    def __init__(self, policy_zone: str) -> None:
        self._policy_zone = policy_zone

    def filters(self) -> Mapping[str, Callable[..., str]]:
        """The filters by name."""
        named = (self.moment, self.when, self.day, self.lasting, self.day_ended)
        return {one.__name__: one for one in named}

    @property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(page_zone(self._policy_zone))

    def moment(self, at: datetime, now: datetime) -> Markup:
        """`26 October at 09:20`, `today at 09:20`"""
        return self._element(at, _moment(at, now, self._zone))

    def when(self, at: datetime, now: datetime) -> Markup:
        """The same in a sentence: `on 26 October at 09:20`, `today at 09:20`"""
        text = _moment(at, now, self._zone)
        return self._element(at, f"on {text}" if text[0].isdigit() else text)

    def day(self, at: datetime, now: datetime) -> Markup:
        """`26 October`, `today`"""
        return self._element(at, _day(_local(at, self._zone).date(), _local(now, self._zone).date()))

    def lasting(self, since: datetime, now: datetime) -> Markup:
        """`began just now`, `for 3 hours`; from the next day on `for 12 days, since 26 October`, of another year
        `since 26 October 2024`.
        """
        if now - since < _MINUTE:
            return self._element(since, "began just now")
        day = _day(_local(since, self._zone).date(), _local(now, self._zone).date())
        if day[-4:].isdigit():
            return self._element(since, f"since {day}")
        whole = [f"for {ago(since, now)}"] + ([] if day == "today" else [f"since {day}"])
        # In a narrow column a line may end after the comma only.
        parts = ", ".join(f'<span class="whole">{escape(part)}</span>' for part in whole)
        return self._element(since, Markup(parts))

    def day_ended(self, at: datetime) -> str:
        """What a daily point belongs to: `Mon 26 October`, or where the page's days end at other times, its end.

        Only the newest point may lie within a day of the policy's zone.
        """
        return _day_ended(at, self._policy_zone, page_zone(self._policy_zone))

    def _element(self, at: datetime, text: str) -> Markup:
        return _element(at, text, page_zone(self._policy_zone))


# Pages have hundreds of moments, and ask for themselves every few seconds.
@lru_cache(8192, typed=True)
def _element(at: datetime, text: str, zone: str) -> Markup:
    local = _local(at, ZoneInfo(zone))
    exact = f"{local:%a} {local.day} {local:%b %Y, %H:%M %Z}"
    utc = at.astimezone(UTC).isoformat(timespec="seconds")
    # `Markup.format` would take several times as long.
    return Markup(f'<time datetime="{utc}" title="{escape(exact)}">{escape(text)}</time>')


# The charts of all stages have the same days.
@lru_cache(4096)
def _day_ended(at: datetime, policy_zone: str, zone: str) -> str:
    if not _is_midnight(_local(at, ZoneInfo(policy_zone))):
        return "newest count"
    ended = _local(at, ZoneInfo(zone))
    if not _is_midnight(ended):
        return f"until {ended:%a} {ended.day} {ended:%B}, {ended:%H:%M}"
    last = ended - _MICROSECOND
    return f"{last:%a} {last.day} {last:%B}"


def _is_midnight(local: datetime) -> bool:
    return (local.hour, local.minute) == (0, 0)


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

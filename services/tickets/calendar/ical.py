"""A calendar of whole days as iCalendar text (RFC 5545). Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

MEDIA_TYPE = "text/calendar; charset=utf-8"
# RFC 5545, 3.1: a longer line is folded, without its line break.
MAX_OCTETS = 75
# A calendar holds a component at least (3.6): where there is no event, this one.
_NOTHING = (
    "BEGIN:VTIMEZONE",
    "TZID:Etc/UTC",
    "BEGIN:STANDARD",
    "DTSTART:19700101T000000",
    "TZOFFSETFROM:+0000",
    "TZOFFSETTO:+0000",
    "END:STANDARD",
    "END:VTIMEZONE",
)


@dataclass(frozen=True)
class DayEvent:
    """Something on one day. `uid` never changes; `sequence` never falls, and grows where the day moves.

    `changed_at`: when what it says last changed.
    """

    uid: str
    day: date
    summary: str
    description: str
    url: str
    changed_at: datetime
    sequence: int


def calendar(name: str, events: Iterable[DayEvent]) -> bytes:
    """The whole calendar. The same events give the same bytes."""
    lines = [line for event in events for line in _event(event)] or _NOTHING
    whole = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Andon//Due dates//EN",
        "CALSCALE:GREGORIAN",
        f"NAME:{_text(name)}",
        # What programs knew before RFC 7986.
        f"X-WR-CALNAME:{_text(name)}",
        "REFRESH-INTERVAL;VALUE=DURATION:PT1H",
        *lines,
        "END:VCALENDAR",
    ]
    return b"".join(_folded(line) for line in whole)


def _event(event: DayEvent) -> Iterator[str]:
    yield "BEGIN:VEVENT"
    yield f"UID:{_text(event.uid)}"
    yield f"DTSTAMP:{event.changed_at.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    yield f"SEQUENCE:{event.sequence}"
    yield f"DTSTART;VALUE=DATE:{_day(event.day)}"
    if event.day < date.max:
        yield f"DTEND;VALUE=DATE:{_day(event.day + timedelta(days=1))}"
    # Nobody is busy on such a day.
    yield "TRANSP:TRANSPARENT"
    yield f"SUMMARY:{_text(event.summary)}"
    yield f"DESCRIPTION:{_text(event.description)}"
    yield f"URL:{event.url}"
    yield "END:VEVENT"


def _day(day: date) -> str:
    return day.isoformat().replace("-", "")


def _text(text: str) -> str:
    """A value of type TEXT (3.3.11). Control characters may not be in it, but for line breaks, which are escaped."""
    lines = text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").splitlines()
    return "\\n".join("".join(one for one in line if unicodedata.category(one) != "Cc") for line in lines)


def _folded(line: str) -> bytes:
    """A line with its line break, in parts of 75 octets at most. No character is divided."""
    parts, part = [], b""
    for character in line:
        octets = character.encode()
        # Each further part begins with a space, which counts.
        if len(part) + len(octets) > MAX_OCTETS:
            parts.append(part)
            part = b" "
        part += octets
    return b"\r\n".join([*parts, part]) + b"\r\n"

"""Durations in the notation of the policy file: `30s`, `90m`, `4h`, `3d`, `2w`, `1d 4h`."""

from __future__ import annotations

import re
from dataclasses import dataclass

_PART = re.compile(r"(\d{1,6})\s*([wdhms])")
_WHOLE = re.compile(r"^\s*(\d{1,6}\s*[wdhms]\s*)+$")
_SECONDS = {"h": 3600, "m": 60, "s": 1}
_NAMES = {"w": "week", "d": "day", "h": "hour", "m": "minute", "s": "second"}
CALENDAR_DAY = 86_400
# A hundred years, so that every due instant is within the calendar.
LONGEST_DAYS = 36_525


@dataclass(frozen=True, slots=True)
class Duration:
    """Days and seconds separately, because the length of a day depends on the clock. A week is seven days."""

    text: str
    days: int
    seconds: int

    def micros(self, day_seconds: int = CALENDAR_DAY) -> int:
        """Microseconds, where a day has `day_seconds`."""
        return (self.days * day_seconds + self.seconds) * 1_000_000

    def words(self, day: str = "day") -> str:
        """`1 day 4 hours`; `day` names what a day is on the clock."""
        parts = [(int(n), _NAMES[unit]) for n, unit in _PART.findall(self.text)]
        named = [(n, day if name == "day" else name) for n, name in parts if n]
        return " ".join(f"{n} {name}{'' if n == 1 else 's'}" for n, name in named) or "0 seconds"


def parse_duration(text: str) -> Duration:
    """Read a duration. Raises ValueError, whose text gives the format and the longest duration."""
    if not isinstance(text, str) or not _WHOLE.match(text):
        raise ValueError(f"{text!r} is not a duration; write for example 30s, 90m, 4h, 3d, 2w or 1d 4h")
    days = seconds = 0
    for number, unit in _PART.findall(text):
        if unit in "wd":
            days += int(number) * (7 if unit == "w" else 1)
        else:
            seconds += int(number) * _SECONDS[unit]
    if days * CALENDAR_DAY + seconds > LONGEST_DAYS * CALENDAR_DAY:
        raise ValueError(f"{text!r} is longer than 100 years; write at most {LONGEST_DAYS}d")
    return Duration(" ".join(text.split()), days, seconds)

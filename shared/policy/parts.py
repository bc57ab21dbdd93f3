"""What all parts of the policy share: a base that refuses unknown fields, time zones, days and times of day."""

from __future__ import annotations

import re
from datetime import time
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict

WeekDay = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[WeekDay, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_SECONDS = 86_400


class Part(BaseModel):
    """A mapping of the policy file. A field that it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


def _zone(name: object) -> str:
    try:
        ZoneInfo(str(name))
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{name!r} is not a time zone; use a name such as Europe/Berlin or UTC") from None
    return str(name)


Zone = Annotated[str, BeforeValidator(_zone)]


def seconds_of_day(text: str) -> int:
    """`09:30` as seconds since midnight; `24:00` is the day's end. Raises ValueError."""
    if text.strip() == "24:00":
        return DAY_SECONDS
    if not re.fullmatch(r"\d{2}:\d{2}(:\d{2})?", text.strip()):
        raise ValueError
    moment = time.fromisoformat(text.strip())
    return moment.hour * 3600 + moment.minute * 60 + moment.second

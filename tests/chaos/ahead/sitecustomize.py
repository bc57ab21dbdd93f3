"""Sets the clock of this process ahead by CHAOS_CLOCK_AHEAD seconds. Python imports it at its start from PYTHONPATH.

The monotonic clock stays as it is.
"""

import datetime
import os
import time
from typing import Any

AHEAD_SECONDS = int(os.environ["CHAOS_CLOCK_AHEAD"])
_real_time, _real_time_ns, _real_datetime = time.time, time.time_ns, datetime.datetime


class _AnyDatetime(type):
    """Values that others made, such as asyncpg, are instances too."""

    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, _real_datetime)


class _AheadDatetime(datetime.datetime, metaclass=_AnyDatetime):
    """`datetime` with another present. Its values are plain ones: orjson takes no others."""

    def __new__(cls, *args: Any, **named: Any) -> Any:
        return _real_datetime(*args, **named)

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Any:
        return _real_datetime.now(tz) + datetime.timedelta(seconds=AHEAD_SECONDS)


time.time = lambda: _real_time() + AHEAD_SECONDS
time.time_ns = lambda: _real_time_ns() + AHEAD_SECONDS * 1_000_000_000
datetime.datetime = _AheadDatetime  # type: ignore[misc]

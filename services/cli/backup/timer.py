"""`andon backup --every`: makes a backup whenever one is due, for as long as the process runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NoReturn

from services.cli.console import message

# After a backup that failed. Its reason may be gone by then, and a disk that is full is not filled more often.
RETRY = timedelta(minutes=15)


def seconds_left(last: datetime | None, every: timedelta, now: datetime) -> float:
    """Until the next backup is due; 0 if it is. `last`: when the newest one was begun, None where there is none."""
    return 0 if last is None else max(0.0, (last + every - now).total_seconds())


def run(every: timedelta, last: Callable[[], datetime | None], back_up: Callable[[], bool]) -> NoReturn:
    """Back up whenever that is due, until the process is ended. `back_up` returns whether it did."""
    while True:
        if left := seconds_left(last(), every, datetime.now(UTC)):
            message(f"next backup in {timedelta(seconds=round(left))}")
            time.sleep(left)
        if not back_up():
            message(f"tried again in {RETRY}")
            time.sleep(RETRY.total_seconds())

"""The present of reminders: the wall clock's, or with a log's clock the judgement time that the detector published."""

from __future__ import annotations

from datetime import datetime

from shared.postgres.pool import Executor


async def present(executor: Executor, now: datetime, follows_log: bool) -> datetime:
    """`now`, or the log's time where reminders follow it and one is known."""
    if not follows_log:
        return now
    judged: datetime | None = await executor.fetchval("SELECT at FROM judged")
    return judged or now

"""Runs a loop that works on a backlog in the database, one portion in each step."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from structlog.typing import FilteringBoundLogger

from shared.postgres.pool import TRANSIENT
from shared.runtime.pace import WorkShare


async def run_backlog(
    step: Callable[[], Awaitable[bool]], pace: WorkShare, log: FilteringBoundLogger, unavailable: str
) -> None:
    """Run `step` until cancelled; it returns whether nothing is left.

    Waits while the database is unavailable, and logs that as the event `unavailable`.
    """
    while True:
        is_complete = True
        try:
            is_complete = await step()
        except TRANSIENT as error:
            log.warning(unavailable, error=repr(error))
        await pace.rest(has_backlog=not is_complete)

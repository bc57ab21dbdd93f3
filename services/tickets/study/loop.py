"""The loop of studies: looks at each study again when weeks of its pipeline have come or changed.

Any number of replicas may run it: a study is looked at with its ticket locked, and all that follows is written with it
in one transaction. What was looked at is written as a version, so that the same input changes nothing again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from services.tickets.metrics import TicketMetrics
from services.tickets.store import studies
from services.tickets.study.record import StudyKey
from services.tickets.study.student import Student
from shared.postgres.pool import TRANSIENT, Pool
from shared.runtime.health import Progress
from shared.runtime.log import logger
from shared.runtime.waiting import wait_within

_log = logger(__name__)
LOOP = "studies"
# How often to look for studies that a crashed replica left.
POLL_SECONDS = 15.0
# A week comes as many messages: they are looked at together.
PAUSE_SECONDS = 1.0


class StudyLoop:
    """Set `wake` after a commit of something that studies rest on. `changed`, after one that changed a ticket."""

    def __init__(
        self,
        pool: Pool,
        student: Student,
        metrics: TicketMetrics,
        progress: Progress,
        changed: Callable[[], None],
        pause: float = PAUSE_SECONDS,
    ) -> None:
        self._pool, self._student, self._metrics, self._progress = pool, student, metrics, progress
        self._changed, self._pause = changed, pause
        self.wake = asyncio.Event()

    async def run(self) -> None:
        """Work until cancelled. Waits while the database is unavailable."""
        self._progress.expect(LOOP, 120)
        while True:
            await asyncio.sleep(self._pause)
            self.wake.clear()
            try:
                await self.run_once()
            except TRANSIENT as error:
                _log.warning("studies wait: database unavailable", error=repr(error))
            await wait_within(self.wake, POLL_SECONDS)

    async def run_once(self) -> int:
        """Look at all studies that are due. Returns how many of them changed their ticket."""
        changed = 0
        self._progress.beat(LOOP)
        for key in await studies.due(self._pool):
            changed += await self._look_or_log(key)
            self._progress.beat(LOOP)
        return changed

    async def _look_or_log(self, key: StudyKey) -> bool:
        """One study that cannot be looked at must not hold up all others; it is tried again."""
        try:
            return await self._look(key)
        except TRANSIENT:
            raise
        except Exception as error:
            self._metrics.studies_failed.inc()
            _log.error("study failed", ticket=key.ticket, cycle=key.cycle, error=repr(error), exc_info=error)
            return False

    async def _look(self, key: StudyKey) -> bool:
        async with self._pool.acquire() as connection, connection.transaction():
            steps = await self._student.look(connection, key)
        if steps:
            _log.info("study changed its ticket", ticket=key.ticket, changes=[step.change.value for step in steps])
            self._changed()
        return bool(steps)

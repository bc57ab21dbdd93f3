"""Looks for what falls due by time alone: late acknowledgements, plans, looks of studies, weekly reports."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from services.notifier.domain import decide, remind
from services.notifier.domain.decide import Decision, NoticeHistory
from services.notifier.domain.mail import CoveredChange
from services.notifier.domain.readers import Addressee, Choice
from services.notifier.hooks.writing import HookWriter
from services.notifier.present import present
from services.notifier.reports import ReportWriter
from services.notifier.store import addresses, ticket_now
from services.notifier.store.notices import News
from services.notifier.writing import NoticeWriter
from shared.contracts.notices import NoticeReason
from shared.policy import Policy
from shared.postgres.pool import TRANSIENT, Connection, Pool
from shared.runtime.health import Progress
from shared.runtime.log import logger
from shared.runtime.service import every
from shared.stream import outbox

_log = logger(__name__)
LOOK_SECONDS = 20.0
# A replica that does not look for this long is stuck.
STUCK_SECONDS = 300.0


class Reminders:
    """One loop. Any number of replicas may run it: each ticket and each report is locked by one, and written once.

    `follows_log`: days are those of the log's clock. `written` is called when mails may be due.
    """

    def __init__(
        self,
        pool: Pool,
        policy: Policy,
        writer: NoticeWriter,
        hooks: HookWriter,
        progress: Progress,
        follows_log: bool,
        written: Callable[[], None],
    ) -> None:
        self._pool, self._policy, self._writer, self._progress = pool, policy, writer, progress
        self._hooks, self._follows_log, self._written = hooks, follows_log, written
        self._reports = ReportWriter(policy, writer.readers, writer.domain)
        self._within = {
            name: timedelta(microseconds=pipeline.ack_within.micros())
            for name, pipeline in policy.pipelines.items()
            if pipeline.ack_within is not None
        }

    async def run(self) -> None:
        """Look until cancelled."""
        self._progress.expect("remind", STUCK_SECONDS)
        await every(LOOK_SECONDS, self._look)

    async def _look(self) -> None:
        try:
            await self.once()
        except TRANSIENT as error:
            _log.warning("reminders wait: database unavailable", error=repr(error))
        self._progress.beat("remind")

    async def once(self) -> None:
        """Write all that has fallen due."""
        now = self._writer.clock.now()
        await addresses.know(self._pool, list(self._writer.readers.by_address), now)
        while await self._remind(now):
            self._progress.beat("remind")
        await self._report(now)
        self._written()

    async def _remind(self, now: datetime) -> bool:
        """Write the notices of one ticket that has something due; False: none has."""
        async with self._pool.acquire() as connection, connection.transaction():
            moment = await present(connection, now, self._follows_log)
            day = remind.today(moment, self._policy.timezone)
            due = await ticket_now.next_due(connection, self._within, now, day)
            if due is None:
                return False
            choices = await self._writer.choices(connection)
            if due.is_late:
                late = CoveredChange(change=NoticeReason.ESCALATED, at=now, count=due.facts.count)
                await self._write(connection, News(due.facts, late, f"escalated {due.facts.seq}"), choices)
            reason = remind.due_reason(due.facts, due.reminded, day)
            if reason in (NoticeReason.PLAN_DUE, NoticeReason.LOOK_DUE):
                near = CoveredChange(change=reason, at=moment, count=due.facts.count)
                await self._write(connection, News(due.facts, near, f"{reason} {day}"), choices)
            await ticket_now.reminded(connection, due, day)
        return True

    async def _write(self, connection: Connection, news: News, choices: dict[str, Choice]) -> None:
        what = NoticeReason(news.covered.change)
        await self._hooks.write_occasion(connection, news)

        def about(history: NoticeHistory, to: Addressee, now: datetime) -> Decision | None:
            return decide.report(what, now, history, self._writer.every, to.wanted)

        await outbox.put(connection, await self._writer.write(connection, news, choices, about))

    async def _report(self, now: datetime) -> None:
        """Write the weekly reports that are due."""
        for known in await addresses.read(self._pool):
            await self._reports.write(self._pool, known, now)

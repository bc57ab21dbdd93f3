"""The parts of a notifier that write, on a real Postgres, with a clock that stands still."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from prometheus_client import CollectorRegistry

from services.notifier.domain.links import Links
from services.notifier.hooks.writing import HookWriter
from services.notifier.metrics import NotifierMetrics
from services.notifier.preferences import Preferences
from services.notifier.reminders import Reminders
from services.notifier.store import addresses
from shared.contracts.notices import NoticeEvent
from shared.contracts.now import NowEvent
from shared.contracts.tickets import TicketEvent
from shared.contracts.topics import NOTICES
from shared.policy import Policy
from shared.postgres.pool import Pool
from shared.runtime.health import Progress
from shared.stream.processor import Received
from shared.stream.transaction import PostgresTransactions
from tests.support.notices import NoticeClock, handler_of, writer_of

_MAILS = """
SELECT coalesce(string_agg(reason, ' ' ORDER BY notice.id), kind) AS about, to_mail, state, due, wanted_at
FROM mail LEFT JOIN notice ON notice.mail = mail.id AND NOT dropped GROUP BY mail.id ORDER BY mail.id
"""
LINKS = Links(b"a key of the tests", "https://andon.example", "bounce.example")


class NoticeRig:
    """One replica. `at`: when it begins; no report is for a time before."""

    def __init__(self, pool: Pool, rules: Policy, at: datetime, hooks: HookWriter | None = None) -> None:
        hooks = hooks or HookWriter()
        self.pool, self.policy, self.clock = pool, rules, NoticeClock(at)
        writer = writer_of(rules, clock=self.clock)
        self.readers = writer.readers
        self._handler = handler_of(writer, hooks=hooks)
        self.reminders = Reminders(pool, rules, writer, hooks, Progress(), follows_log=False, written=lambda: None)
        self.metrics = NotifierMetrics(CollectorRegistry())
        self.preferences = Preferences(
            pool, rules, self.readers, LINKS, self.metrics, NOTICES, self.clock, lambda: None
        )

    async def begin(self) -> NoticeRig:
        """Know the addresses of the policy."""
        await addresses.know(self.pool, list(self.readers.by_address), self.clock.now())
        return self

    async def handle(self, *events: TicketEvent | NowEvent) -> None:
        """Each message in a batch of its own."""
        for event in events:
            async with PostgresTransactions(self.pool).begin() as transaction:
                await self._handler.handle(transaction, [Received(None, event)])  # type: ignore[arg-type]

    async def at(self, moment: datetime) -> None:
        """Move the clock, and write what has fallen due."""
        self.clock.at = moment
        await self.reminders.once()

    async def send(self) -> None:
        """Everything that waits is sent now."""
        await self.pool.execute(
            "UPDATE mail SET state = 'sent', ended_at = $1 WHERE state = 'waiting'", self.clock.now()
        )

    async def mails(self) -> list[tuple[str, str, str]]:
        """What each mail is about, whom it goes to, and its state, in order."""
        return [(row["about"], row["to_mail"].partition("@")[0], row["state"]) for row in await self.rows()]

    async def rows(self) -> list[Any]:
        return list(await self.pool.fetch(_MAILS))

    async def results(self) -> list[tuple[str, str, str | None]]:
        """Reason, result and role of what was published."""
        rows = await self.pool.fetch("SELECT value FROM outbox ORDER BY id")
        events = [NoticeEvent.model_validate_json(row["value"]).data for row in rows]
        return [(one.reason.value, one.result.value, one.role) for one in events]

    async def due_in(self, number: int) -> timedelta:
        """How long after now a mail is due."""
        wait: timedelta = (await self.rows())[number]["due"] - self.clock.now()
        return wait

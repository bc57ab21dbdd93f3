"""What readers choose, and what returned mails say about addresses. Mails that nobody takes any more are dropped."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from services.notifier.bounces.dsn import DeliveryReport, DsnAction, RecipientStatus
from services.notifier.domain.links import Links
from services.notifier.domain.readers import Choice, MailPace, MailReaders, reached
from services.notifier.metrics import NotifierMetrics
from services.notifier.publish import result_message
from services.notifier.store import addresses
from services.notifier.store.addresses import Address
from services.notifier.store.notices import drop
from shared.contracts.notices import NoticeReason, NoticeResult
from shared.policy import Policy
from shared.postgres.pool import Connection, Pool, Record
from shared.runtime.clock import Clock
from shared.runtime.log import logger
from shared.stream import outbox

_log = logger(__name__)
UNSUBSCRIBED = "its reader does not want it"
BOUNCED = "mails to this address are returned"
_MAIL = "SELECT to_mail, message_id, bounce FROM mail WHERE id = $1 FOR UPDATE"
_SAVE_BOUNCE = "UPDATE mail SET bounce = $2 WHERE id = $1"
_NOTICES = """
SELECT name, notice.ticket, key, reason, mail.message_id, role
FROM notice JOIN mail ON mail.id = notice.mail JOIN thread ON thread.id = notice.thread
WHERE mail.id = $1 AND NOT dropped ORDER BY notice.id
"""


@dataclass(frozen=True)
class Preferences:
    """The choices of all readers, on one Postgres. `published` is called after a commit that has results."""

    pool: Pool
    policy: Policy
    readers: MailReaders
    links: Links
    metrics: NotifierMetrics
    topic: str
    clock: Clock
    published: Callable[[], None]

    async def of_token(self, token: str) -> Address | None:
        """The address whose page this is; None: no link of ours, or of an address that was forgotten."""
        known = {one.address: one for one in await addresses.read(self.pool)}
        found = self.links.address_of(token, known)
        return known[found] if found else None

    def is_operator(self, token: str) -> bool:
        """Whether a link opens the page of all addresses now."""
        return self.links.is_operator(token, self.clock.now())

    async def all(self) -> list[Address]:
        """All addresses that are in the policy."""
        return [one for one in await addresses.read(self.pool) if one.address in self.readers.by_address]

    async def choose(
        self, address: str, version: int | None, pace: MailPace, unwanted: Collection[NoticeReason] | None
    ) -> bool:
        """Save a reader's choice. False: it has changed since the version that the page showed.

        Without a version it holds in any case; without `unwanted` the reasons stay.
        """
        async with self.pool.acquire() as connection, connection.transaction():
            known = await addresses.lock(connection, address)
            if known is None or version not in (None, known.version):
                return False
            reasons = known.choice.unwanted if unwanted is None else frozenset(unwanted)
            await addresses.choose(connection, address, pace, reasons)
            await self._drop(connection, address, replace(known.choice, pace=pace, unwanted=reasons), UNSUBSCRIBED)
        self.published()
        _log.info("a reader chose other mails", pace=pace.value)
        return True

    async def revive(self, address: str) -> bool:
        """Mails go out again to an address that returned some; False: they did already."""
        return await addresses.revive(self.pool, address)

    async def record(self, mail: int, report: DeliveryReport) -> None:
        """A mail was returned, or is late. One that is returned for good turns its address off."""
        failed = next((one for one in report.recipients if one.action is DsnAction.FAILED), None)
        if failed is None:
            _log.info("a mail server reports on a mail", mail=mail, actions=[one.action for one in report.recipients])
            return
        permanent = next((one for one in report.recipients if one.is_permanent), None)
        async with self.pool.acquire() as connection, connection.transaction():
            row = await connection.fetchrow(_MAIL, mail)
            if row is None or row["bounce"] is not None:
                return
            await self._record(connection, mail, row, permanent or failed)
            if permanent is not None:
                await self._turn_off(connection, str(row["to_mail"]).lower(), permanent)
        self.metrics.bounces.labels("permanent" if permanent else "passing").inc()
        self.published()

    async def _record(self, connection: Connection, mail: int, row: Record, failed: RecipientStatus) -> None:
        """Show it on the pages of the tickets that the mail was about."""
        words = f"{failed.status} {failed.words}".strip()
        _log.warning("a mail was returned", mail=row["message_id"], answer=words)
        await connection.execute(_SAVE_BOUNCE, mail, words)
        rows = await connection.fetch(_NOTICES, mail)
        await self._publish(connection, rows, NoticeResult.BOUNCED, words)

    async def _turn_off(self, connection: Connection, address: str, failed: RecipientStatus) -> None:
        words = f"{failed.status} {failed.words}".strip()
        if await addresses.turn_off(connection, address, words, self.clock.now()):
            _log.error("an address takes no mails: it is turned off until somebody turns it on", answer=words)
            await self._drop(connection, address, Choice(bounced=True), BOUNCED)

    async def _drop(self, connection: Connection, address: str, choice: Choice, why: str) -> None:
        notices = await addresses.unwanted_notices(connection, address, choice)
        await self._publish(connection, await drop(connection, notices), NoticeResult.DROPPED, why)

    async def _publish(self, connection: Connection, rows: Sequence[Record], result: NoticeResult, detail: str) -> None:
        now = self.clock.now()
        await outbox.put(connection, [result_message(self.topic, row, result, detail, now) for row in rows])

    async def measure(self) -> None:
        """Refresh the gauges of addresses that are off, and of pipelines that nobody hears of."""
        known = await self.all()
        choices = {one.address: one.choice for one in known}
        self.metrics.off.set(sum(one.choice.bounced for one in known), "bounce")
        self.metrics.off.set(sum(one.choice.pace is MailPace.OFF for one in known), "reader")
        pipelines = self.policy.pipelines.values()
        self.metrics.unheard.set(sum(not reached(pipeline, choices) for pipeline in pipelines))

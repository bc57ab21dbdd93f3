"""SQL of mail addresses: what readers chose, and which addresses no longer take mails."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from services.notifier.domain.readers import Choice, MailPace
from shared.contracts.notices import NoticeReason
from shared.postgres.pool import Connection, Executor, Record

_KNOW = """
INSERT INTO address (address, since) SELECT DISTINCT a, $2::timestamptz FROM unnest($1::text[]) AS w (a)
ON CONFLICT (address) DO NOTHING
"""
_COLUMNS = "address, pace, unwanted, version, bounced_at, bounce, since"
_READ = f"SELECT {_COLUMNS} FROM address"
# A reader who turns mails off waits for a change that is just being written for them: its mail is dropped, too.
_SHARE = f"{_READ} WHERE address = ANY($1::text[]) ORDER BY address FOR SHARE"
_LOCK = f"{_READ} WHERE address = $1 FOR UPDATE"
_CHOOSE = "UPDATE address SET pace = $2, unwanted = $3, version = version + 1 WHERE address = $1"
_BOUNCED = """
UPDATE address SET bounced_at = $2, bounce = $3, version = version + 1 WHERE address = $1 AND bounced_at IS NULL
RETURNING address
"""
_REVIVE = """
UPDATE address SET bounced_at = NULL, bounce = NULL, version = version + 1 WHERE address = $1 AND bounced_at IS NOT NULL
"""
_WAITING = """
SELECT notice.id, reason FROM notice JOIN mail ON mail.id = notice.mail
WHERE lower(to_mail) = $1 AND state = 'waiting' AND NOT dropped AND claimed_until IS NULL FOR UPDATE OF mail
"""
_DROP_REPORTS = """
UPDATE mail SET state = 'dropped', ended_at = clock_timestamp()
WHERE lower(to_mail) = $1 AND kind = 'report' AND state = 'waiting' AND claimed_until IS NULL
"""


@dataclass(frozen=True)
class Address:
    """One address. `version`: of the choice; `since`: when it came into the policy. `bounce`: the words of the server
    that returned a mail at `bounced_at`.
    """

    address: str
    choice: Choice
    version: int
    since: datetime
    bounced_at: datetime | None = None
    bounce: str | None = None


async def know(executor: Executor, addresses: Collection[str], now: datetime) -> None:
    """Begin to know the addresses of the policy."""
    await executor.execute(_KNOW, list(addresses), now)


async def read(executor: Executor) -> list[Address]:
    """All addresses, those that the policy no longer has too."""
    return [_address(row) for row in await executor.fetch(f"{_READ} ORDER BY address")]


async def choices(connection: Connection, addresses: Collection[str]) -> dict[str, Choice]:
    """What the readers chose. Nobody changes it until the transaction ends."""
    found = [_address(row) for row in await connection.fetch(_SHARE, list(addresses))]
    return {one.address: one.choice for one in found}


async def lock(connection: Connection, address: str) -> Address | None:
    """An address, locked until the transaction ends."""
    row = await connection.fetchrow(_LOCK, address)
    return _address(row) if row else None


async def choose(connection: Connection, address: str, pace: MailPace, unwanted: Collection[NoticeReason]) -> None:
    """Save what a reader chose."""
    await connection.execute(_CHOOSE, address, pace.value, sorted(reason.value for reason in unwanted))


async def turn_off(connection: Connection, address: str, words: str, now: datetime) -> bool:
    """The address takes no mails any more; False: that was known."""
    return await connection.fetchval(_BOUNCED, address, now, words) is not None


async def revive(executor: Executor, address: str) -> bool:
    """Mails go out to it again; False: they did."""
    return str(await executor.execute(_REVIVE, address)).endswith(" 1")


async def unwanted_notices(connection: Connection, address: str, choice: Choice) -> list[int]:
    """Notices that wait for an address and that its reader no longer takes. Drops reports that wait."""
    if not choice.takes(NoticeReason.WEEKLY_REPORT):
        await connection.execute(_DROP_REPORTS, address)
    rows = await connection.fetch(_WAITING, address)
    return [row["id"] for row in rows if not choice.takes(NoticeReason(row["reason"]))]


def _address(row: Record) -> Address:
    known = {reason.value: reason for reason in NoticeReason}
    unwanted = frozenset(known[name] for name in row["unwanted"] if name in known)
    choice = Choice(MailPace(row["pace"]), unwanted, row["bounced_at"] is not None)
    return Address(row["address"], choice, row["version"], row["since"], row["bounced_at"], row["bounce"])

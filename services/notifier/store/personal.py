"""SQL of what is kept of a mail address, to show it to its reader and to erase it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shared.postgres.pool import Connection, Executor

# With the schema: a role that may not use it is told so, and not that there are no such tables.
_PARTS = {
    "choices": """
        SELECT address, pace, unwanted, version, since, bounced_at, bounce FROM notices.address WHERE address = $1
    """,
    "mails": """
        SELECT id AS number, message_id, kind, to_name, to_mail, state, created_at, wanted_at, ended_at, answer, bounce
        FROM notices.mail WHERE lower(to_mail) = $1 ORDER BY id
    """,
    "threads": "SELECT ticket, subject, message_id FROM notices.thread WHERE address = $1 ORDER BY id",
    "reports": "SELECT due FROM notices.report WHERE address = $1 ORDER BY due",
}
_LOCK = "SELECT claimed_until FROM notices.mail WHERE lower(to_mail) = $1 ORDER BY id FOR UPDATE"
# A mail stays as a row without its recipient: tickets name it as sent, and so it is not sent twice.
_FORGET = (
    """
    UPDATE notices.mail SET to_name = '', to_mail = '', answer = NULL, bounce = NULL, report = NULL,
        state = CASE state WHEN 'waiting' THEN 'dropped' ELSE state END,
        ended_at = coalesce(ended_at, clock_timestamp())
    WHERE lower(to_mail) = $1
    """,
    "UPDATE notices.thread SET address = 'forgotten ' || id WHERE address = $1",
    "DELETE FROM notices.report WHERE address = $1",
    "DELETE FROM notices.address WHERE address = $1",
)


async def rows(executor: Executor, address: str) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """All rows that hold an address, by what they are. `address`: in lower case."""
    return {name: [dict(row) for row in await executor.fetch(sql, address)] for name, sql in _PARTS.items()}


async def is_sending(connection: Connection, address: str) -> bool:
    """Whether a mail to the address is being sent. None begins to be until the transaction ends."""
    return any(row["claimed_until"] is not None for row in await connection.fetch(_LOCK, address))


async def forget(connection: Connection, address: str) -> None:
    """Erase an address. Mails that wait for it are dropped."""
    for sql in _FORGET:
        await connection.execute(sql, address)

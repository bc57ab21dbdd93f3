"""SQL that lets each mail pull a cord once, though it may come twice: over SMTP, or read again in the mailbox.

Kept is a hash of its date and text under a random key of the week. The key is deleted after the next week: from then on
nobody can find out which mails these were. Nothing of the sender is part of it.
"""

from __future__ import annotations

import hmac
import secrets
from datetime import UTC, datetime, timedelta

from services.tickets.store.cord_links import CordLink
from shared.postgres.pool import Connection

# Servers try to deliver a mail for up to five days.
WINDOW = timedelta(days=7)
_OPEN = "INSERT INTO cord_window (begins_at, key) VALUES ($1, $2) ON CONFLICT DO NOTHING"
_KEYS = "SELECT begins_at, key FROM cord_window WHERE begins_at >= $1 ORDER BY begins_at"
_FORGET = "DELETE FROM cord_window WHERE begins_at < $1"
_KNOWN = """
SELECT EXISTS (
    SELECT FROM cord_mail JOIN unnest($1::timestamptz[], $2::bytea[]) AS w (begins_at, hash) USING (begins_at, hash))
"""
_ADD = "INSERT INTO cord_mail (begins_at, hash) VALUES ($1, $2)"


async def is_new(connection: Connection, link: CordLink, content: str, now: datetime) -> bool:
    """Whether a mail has not pulled this cord yet; from now on it has. The caller holds the cord's lock.

    `content`: date and text of the mail.
    """
    begins = window_of(now)
    await connection.execute(_OPEN, begins, secrets.token_bytes(32))
    await connection.execute(_FORGET, begins - WINDOW)
    rows = await connection.fetch(_KEYS, begins - WINDOW)
    hashes = [digest_of(row["key"], link, content) for row in rows]
    if await connection.fetchval(_KNOWN, [row["begins_at"] for row in rows], hashes):
        return False
    # The newest key is the last one.
    await connection.execute(_ADD, rows[-1]["begins_at"], hashes[-1])
    return True


def window_of(now: datetime) -> datetime:
    """When the week began that an instant is in."""
    return datetime.fromtimestamp(now.timestamp() // WINDOW.total_seconds() * WINDOW.total_seconds(), UTC)


def digest_of(key: bytes, link: CordLink, content: str) -> bytes:
    """What stands for a mail at one cord."""
    text = "\x00".join((link.pipeline, link.stage, content))
    return hmac.digest(key, text.encode("utf-8", "surrogatepass"), "sha256")

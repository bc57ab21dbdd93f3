"""SQL of a cord's links: each is known by the hash of its token, belongs to one stage, and has a rate of its own.

The rate is that of a link, never of who uses it. Source: the generic cell rate algorithm (ITU-T I.371), which keeps one
instant: when the link would be as if it had never been used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.tickets.domain.pull_faults import LinkRevoked, TooManyPulls
from services.tickets.domain.tokens import digest
from shared.postgres.pool import Connection, Executor

_ADD = "INSERT INTO cord_link (hash, pipeline, stage, made_at, unused_at) VALUES ($1, $2, $3, $4, $4) RETURNING id"
_REVOKE = "UPDATE cord_link SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL RETURNING id"
_COLUMNS = "id, pipeline, stage, made_at, revoked_at"
_LIST = f"SELECT {_COLUMNS} FROM cord_link ORDER BY id"
_FIND = f"SELECT {_COLUMNS} FROM cord_link WHERE hash = $1"
_GET = f"SELECT {_COLUMNS} FROM cord_link WHERE id = $1"
_TAKE = """
UPDATE cord_link SET unused_at = greatest(unused_at, $2::timestamptz) + $3::interval
WHERE id = $1 AND revoked_at IS NULL AND unused_at <= $2::timestamptz + $4::interval RETURNING unused_at
"""
_UNUSED = "SELECT unused_at FROM cord_link WHERE id = $1 AND revoked_at IS NULL"
_SOON = timedelta(seconds=1)


@dataclass(frozen=True)
class CordLink:
    """A link to the cord of one stage."""

    id: int
    pipeline: str
    stage: str
    made_at: datetime
    revoked_at: datetime | None

    @property
    def stage_key(self) -> tuple[str, str]:
        """The stage that it belongs to."""
        return self.pipeline, self.stage


@dataclass(frozen=True)
class PullRate:
    """How often one link may be used: `burst` times at once, and then once `every`."""

    burst: int
    every: timedelta

    @property
    def slack(self) -> timedelta:
        """How far ahead of its time a link may be."""
        return self.every * (self.burst - 1)


async def add(executor: Executor, token: str, pipeline: str, stage: str, now: datetime) -> int:
    """Make a link; returns its number."""
    number: int = await executor.fetchval(_ADD, digest(token), pipeline, stage, now)
    return number


async def revoke(executor: Executor, number: int, now: datetime) -> bool:
    """Whether there was such a link in force."""
    return await executor.fetchval(_REVOKE, number, now) is not None


async def all_links(executor: Executor) -> Sequence[CordLink]:
    """Revoked ones too, the oldest first."""
    return [CordLink(**dict(row)) for row in await executor.fetch(_LIST)]


async def find(executor: Executor, token: str) -> CordLink | None:
    """The link of a token, revoked or not."""
    row = await executor.fetchrow(_FIND, digest(token))
    return CordLink(**dict(row)) if row else None


async def get(executor: Executor, number: int) -> CordLink | None:
    row = await executor.fetchrow(_GET, number)
    return CordLink(**dict(row)) if row else None


async def take(connection: Connection, link: CordLink, rate: PullRate, now: datetime) -> None:
    """Use the link once. Raises TooManyPulls, LinkRevoked: nothing was changed."""
    if await connection.fetchval(_TAKE, link.id, now, rate.every, rate.slack) is not None:
        return
    unused: datetime | None = await connection.fetchval(_UNUSED, link.id)
    if unused is None:
        raise LinkRevoked
    raise TooManyPulls(max(unused - rate.slack - now, _SOON))

"""SQL of a cord's links: each is known by the hash of its token, and belongs to one stage.

When a link was used is kept nowhere: where everybody has a link of their own, it would tell who pulled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.tickets.domain.tokens import digest
from shared.postgres.pool import Executor

_ADD = "INSERT INTO cord_link (hash, pipeline, stage, made_at) VALUES ($1, $2, $3, $4) RETURNING id"
_REVOKE = "UPDATE cord_link SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL RETURNING id"
_COLUMNS = "id, pipeline, stage, made_at, revoked_at"
_LIST = f"SELECT {_COLUMNS} FROM cord_link ORDER BY id"
_FIND = f"SELECT {_COLUMNS} FROM cord_link WHERE hash = $1"
_GET = f"SELECT {_COLUMNS} FROM cord_link WHERE id = $1"
# Without a lock: it would leave the number of the pull's transaction in the row.
_IS_IN_FORCE = "SELECT EXISTS (SELECT FROM cord_link WHERE id = $1 AND revoked_at IS NULL)"


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


async def is_in_force(executor: Executor, link: CordLink) -> bool:
    """Whether a link is still in force."""
    return bool(await executor.fetchval(_IS_IN_FORCE, link.id))

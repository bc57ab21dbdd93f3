"""The messages that wait: claimed by one worker each, marked once the receiver has answered.

All times are the database's. The end of a claim also identifies it: a takeover sets a later end. An expired claim (its
process died) is taken over; its message may have been sent, and is sent again under the same id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from services.notifier.hooks.retry_delays import GIVE_UP
from shared.contracts.envelope import Message
from shared.contracts.tickets import TicketData
from shared.postgres.pool import Connection, Executor, Pool

# Of a ticket, only the oldest one that waits. After a start of the database, claims that expired are left to their
# holder for $3: it may have sent the message and failed to mark it.
_OLDEST = """
state = 'waiting' AND NOT EXISTS (
    SELECT FROM hook_delivery AS earlier
    WHERE (earlier.ticket, earlier.hook, earlier.key, earlier.opened_at)
            = (mine.ticket, mine.hook, mine.key, mine.opened_at)
        AND earlier.id < mine.id AND earlier.state = 'waiting'
)
"""
_CLAIM = f"""
UPDATE hook_delivery SET claimed_until = clock_timestamp() + $2::interval, attempts = attempts + 1
WHERE id = (
    SELECT id FROM hook_delivery AS mine
    WHERE hook = $1 AND due <= clock_timestamp() AND {_OLDEST}
        AND (claimed_until IS NULL
            OR greatest(claimed_until, pg_postmaster_start_time() + $3::interval) < clock_timestamp())
        AND NOT EXISTS (
            SELECT FROM hook WHERE name = $1 AND (disabled_at IS NOT NULL OR paused_until > clock_timestamp())
        )
    ORDER BY due, id LIMIT 1 FOR UPDATE SKIP LOCKED
) RETURNING id, name, event, attempts, wanted_at, claimed_until AS claim
"""
_NEXT = f"""
SELECT extract(epoch FROM min(greatest(due, claimed_until,
    (SELECT paused_until FROM hook WHERE name = $1))) - clock_timestamp())::float8
FROM hook_delivery AS mine WHERE hook = $1 AND {_OLDEST}
"""
# Marked even if another replica has claimed it meanwhile: this keeps that replica from sending it too.
_SENT = """
UPDATE hook_delivery SET state = 'sent', ended_at = clock_timestamp(), claimed_until = NULL
WHERE id = $1 AND state <> 'sent' RETURNING id
"""
_WORKS = "UPDATE hook SET failures = 0, paused_until = NULL WHERE name = $1 AND failures > 0"
# The last attempt is at the end of the time in which messages are tried, or when the receiver asked for it.
_DEFER = """
UPDATE hook_delivery SET answer = $3, claimed_until = NULL,
    state = CASE WHEN clock_timestamp() >= wanted_at + $6::interval THEN 'dead' ELSE 'waiting' END,
    ended_at = CASE WHEN clock_timestamp() >= wanted_at + $6::interval THEN clock_timestamp() END,
    due = greatest(clock_timestamp() + $5::interval,
        least(clock_timestamp() + $4::interval, wanted_at + $6::interval))
WHERE id = $1 AND state = 'waiting' AND claimed_until = $2 RETURNING state
"""
# 1, 2, 4 ... 64 seconds, up to half of it left out at random, or as long as the receiver asks for.
_FAILED = """
INSERT INTO hook AS known (name, failures, paused_until)
VALUES ($1, 1, clock_timestamp() + greatest($2::interval, interval '1 second'))
ON CONFLICT (name) DO UPDATE SET failures = known.failures + 1, paused_until = greatest(known.paused_until,
    clock_timestamp() + greatest($2::interval,
        power(2, least(known.failures, 6)) * (0.5 + random() / 2) * interval '1 second'))
"""
_DEAD = """
UPDATE hook_delivery SET state = 'dead', ended_at = clock_timestamp(), answer = $2, claimed_until = NULL
"""
_GIVE_UP = f"{_DEAD} WHERE id = $1 AND state = 'waiting' AND claimed_until = $3 RETURNING id"
_DISABLE = """
INSERT INTO hook AS known (name, disabled_at) VALUES ($1, clock_timestamp())
ON CONFLICT (name) DO UPDATE SET disabled_at = coalesce(known.disabled_at, clock_timestamp())
"""
_END_DISABLED = f"""
{_DEAD} WHERE hook = $1 AND state = 'waiting' AND (claimed_until IS NULL OR claimed_until < clock_timestamp())
    AND EXISTS (SELECT FROM hook WHERE name = $1 AND disabled_at IS NOT NULL) RETURNING id
"""
_STATUS = """
SELECT name, coalesce(waiting, 0) AS waiting, coalesce(dead, 0) AS dead, coalesce(oldest, 0)::float8 AS oldest_seconds,
    disabled_at
FROM unnest($1::text[]) AS listed (name) LEFT JOIN hook USING (name) LEFT JOIN (
    SELECT hook, count(*) FILTER (WHERE state = 'waiting') AS waiting, count(*) FILTER (WHERE state = 'dead') AS dead,
        extract(epoch FROM clock_timestamp() - min(wanted_at) FILTER (WHERE state = 'waiting')) AS oldest
    FROM hook_delivery WHERE state IN ('waiting', 'dead') GROUP BY hook
) AS of_hook ON of_hook.hook = listed.name
"""
DISABLED = "the receiver answered 410 Gone, and is sent nothing"


@dataclass(frozen=True)
class HookDelivery:
    """A message that this worker has claimed until `claim`. `event`: as stored, perhaps by another version."""

    id: int
    name: str
    event: Any
    attempts: int
    wanted_at: datetime
    claim: datetime


@dataclass(frozen=True)
class HookStatus:
    """How one receiver stands. `oldest_seconds`: how long the oldest message waits."""

    name: str
    waiting: int
    dead: int
    oldest_seconds: float
    disabled_at: datetime | None


class HookQueue:
    """The messages to one receiver, of all replicas. `lease`: longer than a request and its mark can take."""

    def __init__(self, pool: Pool, hook: str, lease: timedelta, settle: timedelta) -> None:
        self._pool, self._hook, self._lease, self._settle = pool, hook, lease, settle

    async def claim(self) -> HookDelivery | None:
        """One message that is due."""
        row = await self._pool.fetchrow(_CLAIM, self._hook, self._lease, self._settle)
        return None if row is None else HookDelivery(**dict(row))

    async def seconds_to_next(self) -> float | None:
        """When the next one falls due; None: none waits."""
        found: float | None = await self._pool.fetchval(_NEXT, self._hook)
        return found

    async def sent(self, delivery: HookDelivery) -> bool:
        """Mark it; False: another replica did."""
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_WORKS, self._hook)
            return await connection.fetchval(_SENT, delivery.id) is not None

    async def defer(
        self, delivery: HookDelivery, pause: timedelta, answer: str, asked: timedelta | None, unavailable: bool
    ) -> str | None:
        """Try it again after `pause`, and not before what the receiver `asked` for; its state, None: not ours any more.

        `unavailable`: the others wait a little, too.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            least = asked or timedelta(0)
            if unavailable:
                await connection.execute(_FAILED, self._hook, least)
            state: str | None = await connection.fetchval(
                _DEFER, delivery.id, delivery.claim, answer, pause, least, GIVE_UP
            )
            return state

    async def disable(self, delivery: HookDelivery, answer: str) -> int:
        """The receiver wants nothing any more: all that waits becomes dead; how many."""
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_DISABLE, self._hook)
            ended = await connection.fetch(_GIVE_UP, delivery.id, answer, delivery.claim)
            return len(ended) + await _end_disabled(connection, self._hook)

    async def end_disabled(self) -> int:
        """What came after the receiver was disabled becomes dead; how many."""
        return await _end_disabled(self._pool, self._hook)


async def _end_disabled(executor: Executor, hook: str) -> int:
    return len(await executor.fetch(_END_DISABLED, hook, DISABLED))


async def statuses(executor: Executor, hooks: Sequence[str]) -> list[HookStatus]:
    """How receivers stand, in this order."""
    found = {row["name"]: HookStatus(**dict(row)) for row in await executor.fetch(_STATUS, list(hooks))}
    return [found[name] for name in hooks]


_INSERT = """
INSERT INTO hook_delivery (hook, name, ticket, key, opened_at, reason, event)
SELECT $1, $2, $3, $4, $5, $6, $7 WHERE $8::text[] = '{}' OR EXISTS (
    SELECT FROM hook_delivery WHERE (ticket, hook, key, opened_at) = ($3, $1, $4, $5) AND reason = ANY($8)
) ON CONFLICT (name) DO NOTHING
"""


async def put(
    connection: Connection,
    hook: str,
    name: str,
    facts: TicketData,
    reason: str,
    event: Message,
    after: Sequence[str] = (),
) -> None:
    """Write a message, unless it is known; where `after` names reasons, only if one of them was written before."""
    await connection.execute(
        _INSERT,
        *(hook, name, facts.ticket, facts.key, facts.opened_at, reason),
        event.model_dump(mode="json"),
        list(after),
    )

"""SQL of the enricher: what is known of deals, which ones to fetch, and how far each source is listed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.enricher.gaps import GapState, Knowledge
from shared.postgres.pool import Connection, Executor, Pool

_KNOWN = """
SELECT source, deal, known_parts, state, due, read_at FROM deal
JOIN unnest($1::text[], $2::text[]) AS w (source, deal) USING (source, deal)
ORDER BY source, deal FOR UPDATE OF deal
"""
_SAVE = """
INSERT INTO deal AS d (source, deal, known_parts, state, due)
SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::text[], $5::timestamptz[])
    AS w (source, deal, known_parts, state, due) ORDER BY source, deal
ON CONFLICT (source, deal) DO UPDATE SET
    known_parts = d.known_parts | excluded.known_parts, state = excluded.state, due = excluded.due,
    claimed_until = CASE WHEN excluded.state = 'wanted' THEN d.claimed_until END,
    attempts = CASE WHEN d.state = 'wanted' THEN d.attempts ELSE 0 END, updated_at = clock_timestamp()
"""
_WANT_THIN = (
    "UPDATE deal SET state = 'wanted', due = $2, attempts = 0 WHERE state = 'thin' AND source = ANY($1::text[])"
)
# An expired claim is taken over: its process died.
_CLAIM = """
UPDATE deal SET claimed_until = $2 + interval '15 minutes', attempts = attempts + 1 WHERE (source, deal) IN (
    SELECT source, deal FROM deal
    WHERE source = $1 AND state = 'wanted' AND due <= $2 AND (claimed_until IS NULL OR claimed_until < $2)
    ORDER BY due LIMIT $3 FOR UPDATE SKIP LOCKED
) RETURNING deal
"""
_END = """
UPDATE deal SET state = $3, due = NULL, claimed_until = NULL, read_at = $4, answer = $5,
    updated_at = clock_timestamp()
WHERE source = $1 AND deal = $2 AND state = 'wanted' RETURNING deal
"""
_DEFER = """
UPDATE deal SET due = $3, claimed_until = NULL, answer = $4
WHERE source = $1 AND deal = ANY($2::text[]) AND state = 'wanted'
"""
_PUBLISHED_UNTIL = """
SELECT deal, published_until FROM deal
WHERE source = $1 AND deal = ANY($2::text[]) AND published_until IS NOT NULL
"""
_SET_PUBLISHED_UNTIL = """
INSERT INTO deal AS d (source, deal, known_parts, state, published_until)
SELECT $1, w.deal, 0, 'thin', w.until FROM unnest($2::text[], $3::timestamptz[]) AS w (deal, until) ORDER BY deal
ON CONFLICT (source, deal) DO UPDATE SET published_until = greatest(d.published_until, excluded.published_until),
    updated_at = clock_timestamp()
"""
_COUNT = """
SELECT source, count(*) AS gaps, count(*) FILTER (WHERE state = 'wanted') AS wanted FROM deal
WHERE state <> 'whole' GROUP BY source
"""
_CLAIM_RECONCILIATION = """
INSERT INTO crm_cursor AS c (source, purpose, since, cursor, due) VALUES ($1, 'reconcile', $2, '', $3)
ON CONFLICT (source, purpose) DO UPDATE SET due = CASE WHEN $5 THEN c.due ELSE excluded.due END
WHERE c.due <= $4 OR $5 RETURNING since
"""
_ADVANCE = "UPDATE crm_cursor SET since = greatest(since, $2) WHERE source = $1 AND purpose = 'reconcile'"
_SET_RECONCILIATION_DUE = "UPDATE crm_cursor SET due = $2 WHERE source = $1 AND purpose = 'reconcile'"
_RECONCILED_UNTIL = "SELECT source, since FROM crm_cursor WHERE purpose = 'reconcile'"
_BEGIN_BACKFILL = """
INSERT INTO crm_cursor AS c (source, purpose, since, cursor) VALUES ($1, 'backfill', $2, '')
ON CONFLICT (source, purpose) DO UPDATE SET since = excluded.since, ended_at = NULL,
    cursor = CASE WHEN c.since = excluded.since AND c.ended_at IS NULL THEN c.cursor ELSE '' END,
    earliest = CASE WHEN c.ended_at IS NULL THEN c.earliest END
RETURNING cursor, earliest
"""
_SAVE_CURSOR = """
UPDATE crm_cursor SET cursor = $2, earliest = least(earliest, $3) WHERE source = $1 AND purpose = 'backfill'
"""
_END_BACKFILL = "UPDATE crm_cursor SET ended_at = $2 WHERE source = $1 AND purpose = 'backfill'"
# Prune only deleted and merged deals, which their CRM no longer lists. Any other deal would look new at its next event
# once pruned, and would be fetched and published again. 16 is DealPart.GONE.
_PRUNE = """
DELETE FROM deal WHERE (source, deal) IN (
    SELECT source, deal FROM deal WHERE known_parts & 16 <> 0 AND updated_at < $1 LIMIT $2
)
"""
# Source, and the id that its CRM gives the deal.
Deal = tuple[str, str]


@dataclass(frozen=True)
class GapCounts:
    """Deals of a source with gaps, and those of them to be fetched."""

    gaps: int
    wanted: int


async def known(connection: Connection, deals: Sequence[Deal]) -> dict[Deal, Knowledge]:
    """What is known of deals. Locks their rows."""
    rows = await connection.fetch(_KNOWN, [source for source, _ in deals], [deal for _, deal in deals])
    return {
        (row["source"], row["deal"]): Knowledge(row["known_parts"], GapState(row["state"]), row["due"], row["read_at"])
        for row in rows
    }


async def save(connection: Connection, found: Mapping[Deal, Knowledge]) -> None:
    """Write what is known now."""
    kept = list(found.items())
    await connection.execute(
        _SAVE,
        [source for (source, _), _ in kept],
        [deal for (_, deal), _ in kept],
        [int(knowledge.parts) for _, knowledge in kept],
        [knowledge.state.value for _, knowledge in kept],
        [knowledge.due for _, knowledge in kept],
    )


async def want_thin(pool: Pool, sources: Collection[str], now: datetime) -> None:
    """Mark deals as wanted that got gaps while these sources had no API access."""
    await pool.execute(_WANT_THIN, list(sources), now)


async def claim(pool: Pool, source: str, now: datetime, limit: int) -> list[str]:
    """Claim deals that are due."""
    return [row["deal"] for row in await pool.fetch(_CLAIM, source, now, limit)]


async def end(
    connection: Connection, source: str, deal: str, state: GapState, now: datetime, answer: str | None
) -> bool:
    """Mark a deal as read or refused; False if it is no longer wanted."""
    return await connection.fetchval(_END, source, deal, state.value, now, answer and answer[:500]) is not None


async def defer(pool: Pool, source: str, deals: Sequence[str], due: datetime, answer: str) -> None:
    """Try again at `due`."""
    await pool.execute(_DEFER, source, list(deals), due, answer[:500])


async def published_until(connection: Connection, source: str, deals: Sequence[str]) -> dict[str, datetime]:
    """Up to when the events of each deal were published from the API."""
    rows = await connection.fetch(_PUBLISHED_UNTIL, source, list(deals))
    return {row["deal"]: row["published_until"] for row in rows}


async def set_published_until(connection: Connection, source: str, until: Mapping[str, datetime]) -> None:
    """Record up to when events of each deal were published; never goes back."""
    await connection.execute(_SET_PUBLISHED_UNTIL, source, list(until), list(until.values()))


async def counts(pool: Pool) -> dict[str, GapCounts]:
    """Counts by source; omits sources without gaps."""
    return {row["source"]: GapCounts(row["gaps"], row["wanted"]) for row in await pool.fetch(_COUNT)}


async def claim_pass(
    pool: Pool, source: str, first: datetime, due: datetime, now: datetime, force: bool
) -> datetime | None:
    """Up to when the source is reconciled, if a pass is due; sets the next one to `due`. None: no pass is due.

    `first`: where the very first pass begins. `force`: even if none is due; keeps the time of the next one.
    """
    since: datetime | None = await pool.fetchval(_CLAIM_RECONCILIATION, source, first, due, now, force)
    return since


async def advance(executor: Executor, source: str, reached: datetime) -> None:
    """Record that every change before `reached` was listed."""
    await executor.execute(_ADVANCE, source, reached)


async def set_pass_due(pool: Pool, source: str, due: datetime) -> None:
    """Set the time of the next pass."""
    await pool.execute(_SET_RECONCILIATION_DUE, source, due)


async def reconciled_until(pool: Pool) -> dict[str, datetime]:
    """Up to when each source is reconciled."""
    return {row["source"]: row["since"] for row in await pool.fetch(_RECONCILED_UNTIL)}


async def begin_backfill(pool: Pool, source: str, since: datetime) -> tuple[str, datetime | None]:
    """Where to resume a back-fill, and the earliest event that it has published; empty and None for a new one."""
    row = await pool.fetchrow(_BEGIN_BACKFILL, source, since)
    assert row is not None  # noqa: S101 (an upsert without a condition returns its row)
    return row["cursor"], row["earliest"]


async def save_cursor(pool: Pool, source: str, cursor: str, earliest: datetime | None) -> None:
    """Record how far a back-fill has come."""
    await pool.execute(_SAVE_CURSOR, source, cursor, earliest)


async def end_backfill(pool: Pool, source: str, now: datetime) -> None:
    """Record that it is complete."""
    await pool.execute(_END_BACKFILL, source, now)


async def prune(pool: Pool, before: datetime, limit: int) -> int:
    """Delete the deals that were deleted or merged and have not changed since `before`; returns how many."""
    tag: str = await pool.execute(_PRUNE, before, limit)
    return int(tag.rpartition(" ")[2])

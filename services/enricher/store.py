"""SQL of the enricher: what is known of deals, which are to be read, how far walks have come."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.enricher.gaps import GapState, Known

_KNOWN = """
SELECT source, deal, said, state, due, read_at FROM deal
JOIN unnest($1::text[], $2::text[]) AS w (source, deal) USING (source, deal)
ORDER BY source, deal FOR UPDATE OF deal
"""
_SAVE = """
INSERT INTO deal AS d (source, deal, said, state, due)
SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::text[], $5::timestamptz[])
    AS w (source, deal, said, state, due) ORDER BY source, deal
ON CONFLICT (source, deal) DO UPDATE SET said = d.said | excluded.said, state = excluded.state, due = excluded.due,
    claimed_until = CASE WHEN excluded.state = 'wanted' THEN d.claimed_until END,
    attempts = CASE WHEN d.state = 'wanted' THEN d.attempts ELSE 0 END
"""
_WANT_THIN = (
    "UPDATE deal SET state = 'wanted', due = $2, attempts = 0 WHERE state = 'thin' AND source = ANY($1::text[])"
)
# A claim that was not ended (its process died) is taken up again.
_CLAIM = """
UPDATE deal SET claimed_until = $2 + interval '15 minutes', attempts = attempts + 1 WHERE (source, deal) IN (
    SELECT source, deal FROM deal
    WHERE source = $1 AND state = 'wanted' AND due <= $2 AND (claimed_until IS NULL OR claimed_until < $2)
    ORDER BY due LIMIT $3 FOR UPDATE SKIP LOCKED
) RETURNING deal
"""
_END = """
UPDATE deal SET state = $3, due = NULL, claimed_until = NULL, read_at = $4, answer = $5
WHERE source = $1 AND deal = $2 AND state = 'wanted' RETURNING deal
"""
_DEFER = """
UPDATE deal SET due = $3, claimed_until = NULL, answer = $4
WHERE source = $1 AND deal = ANY($2::text[]) AND state = 'wanted'
"""
_TOLD = "SELECT deal, told FROM deal WHERE source = $1 AND deal = ANY($2::text[]) AND told IS NOT NULL"
_SET_TOLD = """
INSERT INTO deal AS d (source, deal, said, state, told)
SELECT $1, w.deal, 0, 'thin', w.told FROM unnest($2::text[], $3::timestamptz[]) AS w (deal, told) ORDER BY deal
ON CONFLICT (source, deal) DO UPDATE SET told = greatest(d.told, excluded.told)
"""
_COUNT = """
SELECT source, count(*) AS gaps, count(*) FILTER (WHERE state = 'wanted') AS wanted FROM deal
WHERE state <> 'whole' GROUP BY source
"""
_CLAIM_WALK = """
INSERT INTO walk AS w (source, purpose, since, place, due) VALUES ($1, 'reconcile', $2, '', $3)
ON CONFLICT (source, purpose) DO UPDATE SET due = CASE WHEN $5 THEN w.due ELSE excluded.due END
WHERE w.due <= $4 OR $5 RETURNING since
"""
_REACH = "UPDATE walk SET since = greatest(since, $2) WHERE source = $1 AND purpose = 'reconcile'"
_WALK_DUE = "UPDATE walk SET due = $2 WHERE source = $1 AND purpose = 'reconcile'"
_REACHED = "SELECT source, since FROM walk WHERE purpose = 'reconcile'"
_BEGIN_FILL = """
INSERT INTO walk AS w (source, purpose, since, place) VALUES ($1, 'backfill', $2, '')
ON CONFLICT (source, purpose) DO UPDATE SET since = excluded.since, ended = NULL,
    place = CASE WHEN w.since = excluded.since AND w.ended IS NULL THEN w.place ELSE '' END,
    earliest = CASE WHEN w.ended IS NULL THEN w.earliest END
RETURNING place, earliest
"""
_PLACE = """
UPDATE walk SET place = $2, earliest = least(earliest, $3) WHERE source = $1 AND purpose = 'backfill'
"""
_END_FILL = "UPDATE walk SET ended = $2 WHERE source = $1 AND purpose = 'backfill'"
Deal = tuple[str, str]


@dataclass(frozen=True)
class GapCounts:
    """Deals of a source with gaps, and those that wait to be read."""

    gaps: int
    wanted: int


async def known(connection: Any, deals: Sequence[Deal]) -> dict[Deal, Known]:
    """What is known of deals, locked."""
    rows = await connection.fetch(_KNOWN, [source for source, _ in deals], [deal for _, deal in deals])
    return {
        (row["source"], row["deal"]): Known(row["said"], GapState(row["state"]), row["due"], row["read_at"])
        for row in rows
    }


async def save(connection: Any, found: Mapping[Deal, Known]) -> None:
    """Write what is known now."""
    kept = list(found.items())
    await connection.execute(
        _SAVE,
        [source for (source, _), _ in kept],
        [deal for (_, deal), _ in kept],
        [int(k.said) for _, k in kept],
        [k.state.value for _, k in kept],
        [k.due for _, k in kept],
    )


async def want_thin(pool: Any, sources: Collection[str], now: datetime) -> None:
    """Ask for what had gaps while nobody could ask: credentials were given later."""
    await pool.execute(_WANT_THIN, list(sources), now)


async def claim(pool: Any, source: str, now: datetime, most: int) -> list[str]:
    """Take deals in hand that are due."""
    return [row["deal"] for row in await pool.fetch(_CLAIM, source, now, most)]


async def end(connection: Any, source: str, deal: str, state: GapState, now: datetime, answer: str | None) -> bool:
    """The deal was read, or refused for good; false where it is not wanted any more."""
    return await connection.fetchval(_END, source, deal, state.value, now, answer and answer[:500]) is not None


async def defer(pool: Any, source: str, deals: Sequence[str], due: datetime, answer: str) -> None:
    """To be tried again."""
    await pool.execute(_DEFER, source, list(deals), due, answer[:500])


async def told(connection: Any, source: str, deals: Sequence[str]) -> dict[str, datetime]:
    """Up to when the API's story of each deal was told."""
    return {row["deal"]: row["told"] for row in await connection.fetch(_TOLD, source, list(deals))}


async def set_told(connection: Any, source: str, until: Mapping[str, datetime]) -> None:
    await connection.execute(_SET_TOLD, source, list(until), list(until.values()))


async def counts(pool: Any) -> dict[str, GapCounts]:
    """By source; one without a gap is not among them."""
    return {row["source"]: GapCounts(row["gaps"], row["wanted"]) for row in await pool.fetch(_COUNT)}


async def claim_walk(
    pool: Any, source: str, first: datetime, due: datetime, now: datetime, at_once: bool
) -> datetime | None:
    """Up to when the source is reconciled, where a pass is due; the next is due at `due`. None: it is not.

    `at_once`: also where none is due; the next stays due when it was.
    """
    since: datetime | None = await pool.fetchval(_CLAIM_WALK, source, first, due, now, at_once)
    return since


async def reach(connection: Any, source: str, reached: datetime) -> None:
    """Everything that changed before this was looked at."""
    await connection.execute(_REACH, source, reached)


async def walk_due(pool: Any, source: str, due: datetime) -> None:
    await pool.execute(_WALK_DUE, source, due)


async def reached(pool: Any) -> dict[str, datetime]:
    """Up to when each source is reconciled."""
    return {row["source"]: row["since"] for row in await pool.fetch(_REACHED)}


async def begin_fill(pool: Any, source: str, since: datetime) -> tuple[str, datetime | None]:
    """Where a back-fill goes on, and the earliest time that it has told of; the beginning and None: it is new."""
    row = await pool.fetchrow(_BEGIN_FILL, source, since)
    return row["place"], row["earliest"]


async def keep_place(pool: Any, source: str, where: str, earliest: datetime | None) -> None:
    """A back-fill has come so far."""
    await pool.execute(_PLACE, source, where, earliest)


async def end_fill(pool: Any, source: str, now: datetime) -> None:
    await pool.execute(_END_FILL, source, now)

"""SQL of the stage map, and the locks that keep the visits of a source under one map.

Visits are always f(history, policy, stage map). Whoever changes how stages resolve refolds the deals of that source in
the same transaction, and saves the new fingerprint. Writers of deals find it like this:

1. Insert events. From then on `andon reevaluate`, which locks the table, waits for the writer's transaction.
2. Take the shared lock of each source (`share_sources`). From then on a refold of the source, which takes it
   exclusively (`lock_sources`), waits as well.
3. Read the fingerprint (`StageMapCache.refresh`), in a statement of its own after the locks: it sees every refold that
   the writer had to wait for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from services.detector.store import fingerprint
from services.detector.store.fingerprint import Fingerprint, OtherPolicyError
from shared.flow.ruleset import Ruleset
from shared.flow.stage_map import StageField, StageKey, StageMap, latest
from shared.flow.stage_resolver import StageResolver
from shared.postgres import locks
from shared.postgres.pool import Connection, Executor, Record

_SAVE = """
INSERT INTO stage_fact AS f (source, pipeline, stage, field, time, id, value)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[])
ON CONFLICT (source, pipeline, stage, field) DO UPDATE
SET time = excluded.time, id = excluded.id, value = excluded.value
WHERE (f.time, f.id, f.value) < (excluded.time, excluded.id, excluded.value)
"""
_LOAD = "SELECT source, pipeline, stage, field, time, id, value FROM stage_fact"
# In one statement: a refold that commits in between must not be seen in half.
_LOAD_WITH_FINGERPRINT = """
SELECT e.ruleset_digest, e.stage_digest, f.source, f.pipeline, f.stage, f.field, f.time, f.id, f.value
FROM evaluation_state AS e LEFT JOIN stage_fact AS f ON true
"""


async def save(connection: Executor, fields: Sequence[StageField]) -> None:
    """Save what is later than what is stored."""
    rows = sorted((*f.key, f.field, *f.stamp) for f in latest(fields))
    if rows:
        await connection.execute(_SAVE, *(list(column) for column in zip(*rows, strict=True)))


async def load(connection: Executor) -> StageMap:
    """The stored map."""
    return _map_of(await connection.fetch(_LOAD))


def _map_of(rows: Iterable[Record | tuple[object, ...]]) -> StageMap:
    return StageMap.of(StageField(StageKey(*row[:3]), *row[3:]) for row in map(tuple, rows))


async def share_sources(connection: Connection, sources: Collection[str]) -> None:
    """Until the end of the transaction no deal of these sources is refolded. Waits for a refold that is running."""
    await locks.share_all(connection, _lock_names(sources))


async def lock_sources(connection: Connection, sources: Collection[str]) -> None:
    """Wait for the writers of these sources, and keep others waiting until the end of the transaction."""
    await locks.lock_all(connection, _lock_names(sources))


def _lock_names(sources: Collection[str]) -> list[str]:
    return [f"source.{source}" for source in sources]


class StageMapCache:
    """The stage map under which the stored visits stand, for one replica and its policy."""

    def __init__(self, ruleset: Ruleset) -> None:
        self._ruleset = ruleset
        self._known: tuple[Fingerprint, StageResolver] | None = None

    async def refresh(self, connection: Connection) -> StageResolver:
        """The resolver to use in this transaction. Call it after the locks: see the module.

        Raises OtherPolicyError where the counts are built under another policy than this replica's: what it would
        write would stay wrong. Its process ends, and starts again with the file as it is then.
        """
        known = self._known
        if known is not None and await fingerprint.stored(connection) == known[0]:
            return known[1]
        rows = await connection.fetch(_LOAD_WITH_FINGERPRINT)
        stored = Fingerprint(*rows[0][:2])
        facts = [tuple(row)[2:] for row in rows if row["source"] is not None]
        resolver = StageResolver(self._ruleset.policy, _map_of(facts))
        if stored.ruleset and stored != fingerprint.of(self._ruleset, resolver):
            raise OtherPolicyError("the counts were built under another policy; restarting to read the policy again")
        # One assignment: other batches call this concurrently.
        self._known = stored, resolver
        return resolver

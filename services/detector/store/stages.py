"""SQL of the stage map, and the terms under which the visits in the database stand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.detector.store import fingerprint
from services.detector.store.fingerprint import Fingerprint, OtherPolicyError
from shared.flow.ruleset import Ruleset
from shared.flow.stage_map import StageField, StageKey, StageMap, latest
from shared.flow.stage_resolver import StageResolver

_SAVE = """
INSERT INTO stage_fact AS f (source, pipeline, stage, field, time, id, value)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[])
ON CONFLICT (source, pipeline, stage, field) DO UPDATE
SET time = excluded.time, id = excluded.id, value = excluded.value
WHERE (f.time, f.id, f.value) < (excluded.time, excluded.id, excluded.value)
"""
_LOAD = "SELECT source, pipeline, stage, field, time, id, value FROM stage_fact"


async def save(connection: Any, told: Sequence[StageField]) -> None:
    """Keep what is later than what is known."""
    rows = sorted((*f.place, f.field, *f.stamp) for f in latest(told))
    if rows:
        await connection.execute(_SAVE, *(list(column) for column in zip(*rows, strict=True)))


async def load(connection: Any) -> StageMap:
    """The map as it is kept."""
    return StageMap.of(StageField(StageKey(*row[:3]), *row[3:]) for row in map(tuple, await connection.fetch(_LOAD)))


class StageMapCache:
    """Keeps a replica's places those under which the stored visits stand: who changes the map refolds them with it."""

    def __init__(self, judging: Ruleset) -> None:
        self._judging = judging
        self._known: Fingerprint | None = None

    async def follow(self, connection: Any) -> None:
        """Call in a transaction that judges, or has written to `event`: from then on nobody refolds until it ends.

        Raises OtherPolicyError where this replica's policy is no longer the one that the counts are built by: what it
        counts and judges would be wrong for good. Its process ends, and begins anew with the file as it is then.
        """
        known = await fingerprint.stored(connection)
        if known == self._known:
            return
        self._judging.places = StageResolver(self._judging.policy, await load(connection))
        if known.series and known != fingerprint.of(self._judging):
            raise OtherPolicyError("the counts were built by another policy; this replica ends, to begin with the file")
        self._known = known

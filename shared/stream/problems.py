"""Publishes on `flow.problems`, for services that find problems, with the table `correction`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from shared.contracts.problems import ProblemData, ProblemEvent, ProblemInterval, ProblemReason
from shared.contracts.topics import PROBLEMS
from shared.kafka.publisher import OutgoingMessage
from shared.postgres.pool import Connection, Record
from shared.stream import outbox

_CORRECTIONS = "SELECT key, count FROM correction WHERE key = ANY($1::text[])"
_SAVE_CORRECTIONS = """
INSERT INTO correction SELECT * FROM unnest($1::text[], $2::bigint[])
ON CONFLICT (key) DO UPDATE SET count = excluded.count
"""


class ProblemOutbox:
    """Puts messages about problems into the outbox, in the caller's transaction. `source`: the service, for events."""

    def __init__(self, source: str, topic_prefix: str) -> None:
        self._source, self._topic = source, topic_prefix + PROBLEMS

    async def put(self, connection: Connection, problems: Iterable[ProblemData]) -> None:
        """One message for each, in the order of their instants. Counts those that take back something published."""
        ordered = sorted(problems, key=lambda problem: problem.happened_at)
        if not ordered:
            return
        corrections = await _corrections(connection, {problem.key for problem in ordered})
        messages = []
        for problem in ordered:
            event = ProblemEvent.of(self._source, problem, corrections.get(problem.key, 0))
            messages.append(OutgoingMessage.of(self._topic, event))
            if problem.is_correction:
                corrections[problem.key] = corrections.get(problem.key, 0) + 1
        await _save_corrections(connection, corrections)
        await outbox.put(connection, messages)

    async def put_unruled(self, connection: Connection, rows: Iterable[Record], now: datetime) -> None:
        """Retract the intervals of rules that the policy no longer has; `rows` are those of a table `problem`."""
        await self.put(connection, [_unruled(row, now) for row in rows])


def _unruled(row: Record, now: datetime) -> ProblemData:
    interval = ProblemInterval(opened_at=row["opened_at"], cleared_at=row["cleared_at"], peak=row["peak"])
    return ProblemData(
        key=row["key"],
        kind=row["kind"],
        pipeline=row["pipeline"],
        stage=row["stage"] or None,
        # A problem without a pipeline is one of a source.
        source=None if row["pipeline"] else row["key"].partition("/")[2],
        reason=ProblemReason.UNRULED,
        mode=row["mode"],
        historic=row["cleared_at"] is not None,
        detected_at=now,
        was=interval,
        rule=row["rule"],
        policy_version=row["policy_version"],
        count=0,
        threshold=0,
        **dict(interval),
    )


async def _corrections(connection: Connection, keys: Collection[str]) -> dict[str, int]:
    """How often something published of each key was taken back."""
    return {row["key"]: row["count"] for row in await connection.fetch(_CORRECTIONS, list(keys))}


async def _save_corrections(connection: Connection, counts: Mapping[str, int]) -> None:
    if counts:
        await connection.execute(_SAVE_CORRECTIONS, list(counts), list(counts.values()))

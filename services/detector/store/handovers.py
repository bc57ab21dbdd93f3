"""SQL of handovers: the moves that were published for new deals that merges made."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import orjson

from shared.contracts.envelope import content_id
from shared.postgres import locks
from shared.postgres.pool import Connection
from shared.runtime.instants import micros, moment

_KNOWN = """
SELECT deal, into_deal, time, data, translation FROM handover
WHERE deal = ANY($1::text[]) OR (deal, into_deal) IN (SELECT * FROM unnest($2::text[], $3::text[]))
"""
_IN_HISTORY = """
SELECT deal, id, time, data FROM event JOIN unnest($1::text[], $2::text[]) AS w (deal, id) USING (deal, id)
"""
_SAVE = """
INSERT INTO handover (deal, into_deal, time, data, translation)
SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[], $5::int[])
ON CONFLICT (deal, into_deal) DO UPDATE
SET time = excluded.time, data = excluded.data, translation = excluded.translation
"""
# The deal that was merged, and the new one.
Pair = tuple[str, str]


class Move(NamedTuple):
    """What an event of the new deal says; `time` in microseconds."""

    time: int
    data: dict[str, Any]


class PublishedMove(NamedTuple):
    """A move, and the translation under which it was published."""

    move: Move
    translation: int


def event_id(pair: Pair) -> str:
    """The id of the event, the same whenever it is published."""
    return content_id("handover", *pair)


async def lock(connection: Connection) -> None:
    """Until the commit nobody else publishes handovers."""
    await locks.lock(connection, "handovers")


async def deals(connection: Connection) -> list[str]:
    """The deals that have handed something over."""
    return [row["deal"] for row in await connection.fetch("SELECT DISTINCT deal FROM handover")]


async def known(connection: Connection, deals: Collection[str], pairs: Collection[Pair]) -> dict[Pair, PublishedMove]:
    """What was published last of these deals, and of these pairs."""
    rows = await connection.fetch(_KNOWN, list(deals), [deal for deal, _ in pairs], [into for _, into in pairs])
    return {
        (row["deal"], row["into_deal"]): PublishedMove(
            Move(micros(row["time"]), orjson.loads(row["data"])), row["translation"]
        )
        for row in rows
    }


async def in_history(connection: Connection, pairs: Sequence[Pair]) -> dict[Pair, PublishedMove]:
    """What the histories of the new deals hold, as published before: maybe by a detector with another database."""
    by_event = {(into, event_id((deal, into))): (deal, into) for deal, into in pairs}
    rows = await connection.fetch(_IN_HISTORY, [deal for deal, _ in by_event], [event for _, event in by_event])
    found = {}
    for row in rows:
        data = orjson.loads(row["data"])
        translation = data.pop("translation", 0)
        found[by_event[row["deal"], row["id"]]] = PublishedMove(Move(micros(row["time"]), data), translation)
    return found


async def save(connection: Connection, published: dict[Pair, PublishedMove]) -> None:
    """Write what is published now."""
    await connection.execute(
        _SAVE,
        [deal for deal, _ in published],
        [into for _, into in published],
        [moment(one.move.time) for one in published.values()],
        [orjson.dumps(one.move.data).decode() for one in published.values()],
        [one.translation for one in published.values()],
    )

"""Makes stored positions fit topics that were restored: their records have other offsets than before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from services.cli.backup.tables import SCHEMAS, Connection
from services.cli.backup.topics import OffsetMap
from shared.contracts.topics import PROBLEMS

Maps: TypeAlias = "Mapping[tuple[str, int], OffsetMap]"
_POSITIONS = "SELECT topic, partition, next_offset, verified_offset FROM {schema}.position"
_SET = """
UPDATE {schema}.position SET next_offset = $3, verified_offset = $4 WHERE topic = $1 AND partition = $2
"""
_RENAME = "UPDATE {schema}.{table} SET topic = $2 || substr(topic, length($1) + 1) WHERE starts_with(topic, $1)"
_TOPIC_TABLES = ("position", "outbox", "outbox_refused")
# What tickets remembers of handled messages of flow.problems: the offset of the message itself, not the next one.
_REMEMBERED = {"inbox": "id", "inbox_horizon": "partition"}


async def rename_topics(connection: Connection, before: str, now: str) -> None:
    """Change the prefix of all topic names."""
    for schema in SCHEMAS:
        for table in _TOPIC_TABLES:
            await connection.execute(_RENAME.format(schema=schema, table=table), before, now)


async def move(connection: Connection, prefix: str, maps: Maps) -> None:
    """Set all positions to where the records are now."""
    for schema in SCHEMAS:
        for topic, partition, following, verified in await connection.fetch(_POSITIONS.format(schema=schema)):
            # A partition without a map was not restored: it begins anew.
            found = maps.get((topic.removeprefix(prefix), partition))
            moved = [found.next_offset(offset) if found else 0 for offset in (following, verified)]
            await connection.execute(_SET.format(schema=schema), topic, partition, *moved)
    for table, key in _REMEMBERED.items():
        await _move_remembered(connection, table, key, maps)


async def _move_remembered(connection: Connection, table: str, key: str, maps: Maps) -> None:
    rows = await connection.fetch(f"SELECT {key} AS key, partition, record_offset FROM tickets.{table}")
    changed = {}
    for row in rows:
        found = maps.get((PROBLEMS, row["partition"]))
        moved = found.next_offset(row["record_offset"] + 1) - 1 if found else -1
        if moved != row["record_offset"]:
            changed[row["key"]] = moved
    kind = "text" if key == "id" else "int"
    await connection.execute(
        f"UPDATE tickets.{table} AS t SET record_offset = w.moved"
        f" FROM unnest($1::{kind}[], $2::bigint[]) AS w (key, moved) WHERE t.{key} = w.key",
        list(changed),
        list(changed.values()),
    )

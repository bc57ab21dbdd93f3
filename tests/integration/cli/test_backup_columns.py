"""A restore moves every offset and renames every topic that is stored: it knows each column that holds one."""

from __future__ import annotations

import asyncpg

from services.cli.backup.tables import SCHEMAS

_COLUMNS = """
SELECT table_schema || '.' || table_name || '.' || column_name
FROM information_schema.columns NATURAL JOIN information_schema.tables
WHERE table_type = 'BASE TABLE' AND table_schema = ANY($1) AND column_name ~ 'offset|topic'
"""
IN_EACH_SCHEMA = ("position.topic", "position.next_offset", "position.verified_offset", "outbox.topic")
OTHERS = {"tickets.inbox.record_offset", "tickets.inbox_horizon.record_offset"}


async def test_a_new_column_of_offsets_or_topics_is_added_to_the_restore(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    found = {row[0] for row in await connection.fetch(_COLUMNS, SCHEMAS)}
    await connection.close()

    known = {f"{schema}.{column}" for schema in SCHEMAS for column in (*IN_EACH_SCHEMA, "outbox_refused.topic")}
    assert found == known | OTHERS, "move or rename what is new in services/cli/backup/positions.py, then list it here"

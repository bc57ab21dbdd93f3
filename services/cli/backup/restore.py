"""`andon restore`: fills an empty installation, or the half of one that was lost."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from services.cli.backup import positions, tables, topics
from services.cli.backup.archive import Manifest
from shared.kafka.access import KafkaAccess
from shared.postgres.pool import connect
from shared.runtime.settings import ServiceSettings

Done = Callable[[int, int | None], None]


class LostHalf(StrEnum):
    """What was lost, and is restored; the other half is as it was left."""

    BOTH = "both"
    KAFKA = "kafka"
    POSTGRES = "postgres"


async def restore(
    settings: ServiceSettings,
    folder: Path,
    manifest: Manifest,
    lost: LostHalf,
    replication: int,
    tables_done: Done,
    records_done: Done,
) -> None:
    """Raises BackupError, before anything is written, where that which is to be filled is not empty."""
    await _check(settings, manifest, lost, replication)
    maps = {}
    if lost is not LostHalf.POSTGRES:
        kafka, prefix = KafkaAccess.of(settings), settings.topic_prefix
        maps = await topics.load(kafka, prefix, folder, manifest, records_done)
    if lost is not LostHalf.KAFKA:
        await tables.make_tables(settings.dsn, manifest)
    # Last, and in one transaction: an interrupted restore leaves tables empty and positions as they were.
    connection = await connect(settings.dsn)
    try:
        async with connection.transaction():
            if lost is not LostHalf.KAFKA:
                await tables.load(connection, folder, manifest, tables_done)
                await positions.rename_topics(connection, manifest.topic_prefix, settings.topic_prefix)
            if lost is not LostHalf.POSTGRES:
                await positions.move(connection, settings.topic_prefix, maps)
    finally:
        await connection.close()
    await tables.update_tables(settings.dsn)


async def _check(settings: ServiceSettings, manifest: Manifest, lost: LostHalf, replication: int) -> None:
    if lost is LostHalf.KAFKA:
        connection = await connect(settings.dsn)
        try:
            await tables.check_stopped(connection)
        finally:
            await connection.close()
    else:
        await tables.check_empty(settings.dsn, manifest)
    if lost is not LostHalf.POSTGRES:
        await topics.make_empty(KafkaAccess.of(settings), settings.topic_prefix, manifest, replication)

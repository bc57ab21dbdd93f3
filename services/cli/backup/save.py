"""`andon backup`: writes a backup of everything, while services work."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from services.cli.backup import settings_files, tables, topics
from services.cli.backup.archive import Manifest, new_backup
from shared.kafka.access import KafkaAccess
from shared.postgres.pool import connect
from shared.runtime.settings import ServiceSettings
from shared.runtime.version import product_version

Done = Callable[[int, int | None], None]
_FINISHED = "INSERT INTO notices.backup (finished_at) VALUES ($1) ON CONFLICT DO NOTHING"


async def save(
    settings: ServiceSettings, target: Path, with_secrets: bool, tables_done: Done, records_done: Done
) -> tuple[Path, Manifest]:
    """Write a new backup into `target`; where it is, and what it holds."""
    with new_backup(target) as (folder, complete):
        manifest = await _write(settings, folder, with_secrets, tables_done, records_done)
        made = complete(manifest)
    await _record_success(settings.dsn)
    return made, manifest


async def _write(
    settings: ServiceSettings, folder: Path, with_secrets: bool, tables_done: Done, records_done: Done
) -> Manifest:
    kafka, prefix = KafkaAccess.of(settings), settings.topic_prefix
    async with tables.snapshot(settings.dsn) as connection:
        migrations, now = await tables.migrations(connection), datetime.now(UTC)
        stored = await tables.save(connection, folder, tables_done)
        sequences = await tables.sequences(connection)
    # After the snapshot: the logs hold all that its positions have passed, and what its outboxes had published.
    partitions = await topics.save(kafka, prefix, folder, records_done)
    sources = Path(os.environ.get("ANDON_SOURCES", "sources.yaml"))
    return Manifest(
        version=product_version(),
        created_at=now,
        topic_prefix=prefix,
        migrations=migrations,
        tables=stored,
        sequences=sequences,
        partitions=partitions,
        settings=settings_files.save(settings.policy, sources, folder, with_secrets),
    )


async def _record_success(dsn: str) -> None:
    connection = await connect(dsn)
    try:
        await connection.execute(_FINISHED, datetime.now(UTC))
    finally:
        await connection.close()

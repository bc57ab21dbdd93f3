"""`andon support-bundle`: one file with what somebody needs who helps from afar, and no secret."""

from __future__ import annotations

import asyncio
import io
import os
import tarfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import orjson

from services.cli.doctor.answers import ask_all
from services.cli.doctor.check import Site
from services.cli.doctor.masking import Mask, masked_settings
from services.cli.doctor.report import DoctorReport
from services.cli.servers import ask
from shared.contracts.topics import ALL_TOPICS
from shared.kafka.layout import cluster_layout, log_bounds
from shared.postgres.migrate import SERVICES, schema_state
from shared.runtime.dependencies import reason_of

SECONDS = 10.0
# Of each log file, its end.
MAX_LOG_BYTES = 20 * 1024 * 1024
_TABLES = """
SELECT schemaname AS schema, relname AS table, n_live_tup AS rows_estimated,
    pg_total_relation_size(relid) AS bytes FROM pg_stat_user_tables ORDER BY schemaname, relname
"""
Part = tuple[str, Callable[[Site], Awaitable[Any]]]


def contents(site: Site, report: DoctorReport, logs: Sequence[Path], mask: Mask) -> dict[str, bytes]:
    """Every file of the bundle by its name. Raises OSError for a log that cannot be read."""
    files = {f"logs/{number}-{path.name}": _log(path, mask) for number, path in enumerate(logs, 1)}
    files["doctor.json"] = report.model_dump_json(indent=2).encode()
    files["settings.json"] = _json(masked_settings(mask))
    asked = {name: ask(partial(_within, part, site)) for name, part in _PARTS}
    for name, answer in asked.items():
        files[name] = mask.log(_json(answer.result()).decode()).encode()
    metrics = asyncio.run(ask_all(site.addresses, "/metrics"))
    files |= {
        f"metrics/{name}.txt": mask.log(answer.text).encode()
        for name, answer in metrics.items()
        if answer.status == 200
    }
    return dict(sorted(files.items()))


def write(file: Path, files: dict[str, bytes]) -> None:
    """As tar.gz that only its owner may read. Raises FileExistsError, OSError."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as opened, tarfile.open(fileobj=opened, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"andon-support/{name}")
            entry.size, entry.mode, entry.mtime = len(content), 0o600, int(time.time())
            archive.addfile(entry, io.BytesIO(content))


async def _within(part: Callable[[Site], Awaitable[Any]], site: Site) -> Any:
    """What a part holds, or why it is missing."""
    try:
        async with asyncio.timeout(SECONDS):
            return await part(site)
    except Exception as error:
        return {"missing": reason_of(error, SECONDS)}


async def _topics(site: Site) -> Any:
    layout = await cluster_layout(site.kafka, [site.settings.topic(topic.name) for topic in ALL_TOPICS])
    bounds = await log_bounds(site.kafka, {name: topic.partitions for name, topic in layout.topics.items()})
    ends = [{"topic": p.topic, "partition": p.partition, "begin": b, "end": e} for p, (b, e) in sorted(bounds.items())]
    return {"brokers": layout.brokers, "topics": {n: asdict(t) for n, t in layout.topics.items()}, "logs": ends}


async def _schemas(site: Site) -> Any:
    connection = await asyncpg.connect(site.settings.dsn)
    try:
        return {schema: asdict(await schema_state(connection, schema)) for schema in SERVICES}
    finally:
        connection.terminate()


async def _tables(site: Site) -> Any:
    connection = await asyncpg.connect(site.settings.dsn)
    try:
        return [dict(row) for row in await connection.fetch(_TABLES)]
    finally:
        connection.terminate()


_PARTS: tuple[Part, ...] = (("topics.json", _topics), ("schemas.json", _schemas), ("tables.json", _tables))


def _json(document: Any) -> bytes:
    return orjson.dumps(document, option=orjson.OPT_INDENT_2)


def _log(path: Path, mask: Mask) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - MAX_LOG_BYTES))
        return mask.log(file.read().decode("utf-8", "replace")).encode()

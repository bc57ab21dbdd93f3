"""How long a backup of a history takes, how large it is, and how long to restore it into an empty installation."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg

from shared.postgres.migrate import migrate_all
from tests.bench.detector import environment, events_read, publish
from tests.bench.figures import Figure
from tests.bench.growth import evaluated, shape_of
from tests.bench.moves.workload import POLICY, moves
from tests.support.processes import ServiceProcess


async def measure(
    kafka: str,
    new_dsn: Callable[[], Awaitable[str]],
    prefix: str,
    folder: Path,
    events: int,
    show: Callable[[str], None],
) -> list[Figure]:
    """Of a history of about `events` events, each of which moves a deal."""
    show(f"backup: publishing {events:,} events")
    total, dsn = await publish(kafka, prefix, moves(*shape_of(events))), await new_dsn()
    await _read(kafka, dsn, prefix, folder, total, show)
    show("backup: saving")
    saved, output = await _command(environment(kafka, dsn, prefix, POLICY), "backup", str(folder / "backups"))
    backup = Path(output.strip())
    size = await asyncio.to_thread(_bytes_of, backup)
    show("backup: restoring")
    restored, _ = await _command(environment(kafka, await new_dsn(), f"{prefix}r.", POLICY), "restore", str(backup))
    return [
        Figure(f"backup of {total:,} events", saved, "s"),
        Figure(f"size of a backup of {total:,} events", size / 1_000_000, "MB"),
        Figure(f"restore of {total:,} events", restored, "s"),
    ]


async def _read(kafka: str, dsn: str, prefix: str, folder: Path, total: int, show: Callable[[str], None]) -> None:
    """Have a detector read and evaluate all events."""
    await migrate_all(dsn)
    connection = await asyncpg.connect(dsn)
    service = ServiceProcess("detector", environment(kafka, dsn, prefix, POLICY), folder).start()
    while (read := await events_read(connection)) < total:
        show(f"backup: the detector has read {read:,} of {total:,} events")
        await asyncio.sleep(0.5)
    await evaluated(connection)
    await connection.close()
    service.stop()


def _bytes_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


async def _command(settings: dict[str, str], *arguments: str) -> tuple[float, str]:
    """Run a command of `andon`; the seconds that it took, with its start, and what it printed."""
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.cli.main", *arguments),
        env=os.environ | settings,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, arguments
    return time.perf_counter() - began, output.decode()

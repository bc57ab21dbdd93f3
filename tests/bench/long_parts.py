"""The parts of the bench that take many minutes: growth, loading, scale, backup, flushing, and the line at a
steady rate or at rest.

They run by themselves, on a Postgres that is set up as in production: it syncs and vacuums, which that of other parts
does not. Put TMPDIR on a disk, else all that they write is memory.
"""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.bench import backup, flush, growth, idle, loading, many_pipelines, scale, sustained
from tests.bench.figures import Figure

LONG_PARTS = ["growth", "import", "back-fill", "many-pipelines", "scale", "sustained", "idle", "flush", "backup"]
# Events of each part, unless --events says another number.
EVENTS = {
    "growth": 10_000_000,
    "back-fill": 10_000_000,
    "scale": 1_000_000,
    "backup": 1_000_000,
    "many-pipelines": 300_000,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sizes of long parts."""
    parser.add_argument("--events", type=int, help=f"events of long parts, in place of {EVENTS}")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the table of import")
    parser.add_argument(
        "--shape", choices=loading.SHAPES, default="changes", help="what a row of import is: one change, or a deal"
    )
    parser.add_argument("--pipelines", type=int, default=1000, help="pipelines of many-pipelines")


async def measure(
    chosen: argparse.Namespace,
    kafka: str,
    new_dsn: Callable[[], Awaitable[str]],
    new_prefix: Callable[..., Awaitable[str]],
    folder: Path,
    show: Callable[[str], None],
) -> list[Figure]:
    """Those parts that are chosen, one after another."""
    figures = list[Figure]()

    def events(part: str) -> int:
        return int(chosen.events or EVENTS[part])

    if "growth" in chosen.parts:
        figures += await growth.measure(kafka, await new_dsn(), await new_prefix(), folder, events("growth"), show)
    if "import" in chosen.parts:
        figures += await loading.of_table(
            kafka, await new_dsn(), await new_prefix(), folder, chosen.rows, chosen.shape, show
        )
    if "back-fill" in chosen.parts:
        figures += await loading.of_events(
            kafka, await new_dsn(), await new_prefix(), folder, events("back-fill"), show
        )
    if "many-pipelines" in chosen.parts:
        figures += await many_pipelines.measure(
            kafka, await new_dsn(), await new_prefix(), folder, chosen.pipelines, events("many-pipelines"), show
        )
    if "scale" in chosen.parts:
        figures += await scale.measure(kafka, new_dsn, new_prefix, folder, events("scale"), show)
    if "backup" in chosen.parts:
        figures += await backup.measure(kafka, new_dsn, await new_prefix(), folder, events("backup"), show)
    return figures + await _of_the_line(chosen, kafka, new_dsn, new_prefix, folder, show)


async def _of_the_line(
    chosen: argparse.Namespace,
    kafka: str,
    new_dsn: Callable[[], Awaitable[str]],
    new_prefix: Callable[..., Awaitable[str]],
    folder: Path,
    show: Callable[[str], None],
) -> list[Figure]:
    """Parts that take as long as --seconds says."""
    figures = list[Figure]()
    if "sustained" in chosen.parts:
        figures += await sustained.measure(
            kafka, await new_dsn(), await new_prefix(), folder, chosen.per_second, chosen.seconds, show
        )
    if "idle" in chosen.parts:
        figures += await idle.measure(folder, chosen.seconds, show)
    if "flush" in chosen.parts:
        figures += await flush.measure(kafka, await new_prefix(), folder, chosen.per_second, chosen.seconds, show)
    return figures

"""`make bench`: measures the services against bare baselines in the same run, and prints a table.

`make bench` runs compiled modules where they can be built, this module alone those of the checkout.
Parts that take many minutes run only where --parts names them, and by themselves; see long_parts.py.
To compare two checkouts, run each in turn with the same --parts and --rounds and its own --json: figures of one name
measure the same.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import platform
import tempfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from shared.kafka.access import KafkaAccess
from shared.kafka.admin import create_topics
from tests.bench import (
    answers,
    clicking,
    detector,
    intake,
    long_parts,
    memory,
    metrics_text,
    page_costs,
    pages,
    statistics_cost,
    webhook_to_mail,
    weeks,
    what_if,
)
from tests.bench.figures import Figure
from tests.bench.long_parts import LONG_PARTS
from tests.bench.moves import measure as moves
from tests.support.compiled import runs_compiled
from tests.support.databases import new_database
from tests.support.servers import POSTGRES_OPTIONS, kafka_address, postgres_dsn

PARTS = [
    "intake",
    "answers",
    "detector",
    "moves",
    "time",
    "statistics",
    "weeks",
    "what-if",
    "memory",
    "webhook-to-mail",
    "page-costs",
    "pages",
    "clicking",
    "metrics",
]
console = Console()
_numbers = itertools.count(1)


async def prefix(kafka: str, partitions: int | None = None) -> str:
    name = f"bench{os.getpid()}-{next(_numbers)}."
    await create_topics(KafkaAccess(kafka), name, partitions=partitions)
    return name


async def measure(chosen: argparse.Namespace, kafka: str, dsn: str, folder: Path) -> list[Figure]:
    new_dsn, figures = partial(new_database, dsn), list[Figure]()
    with console.status("bench") as status:
        show = status.update
        if set(chosen.parts) <= set(LONG_PARTS):
            return await long_parts.measure(chosen, kafka, new_dsn, partial(prefix, kafka), folder, show)
        if "intake" in chosen.parts:
            figures += await intake.measure(kafka, await prefix(kafka), folder, chosen.rounds, show)
        if "answers" in chosen.parts:
            figures += await answers.measure(kafka, await prefix(kafka), folder, chosen.per_second, show)
        if "detector" in chosen.parts:
            figures += await detector.measure(kafka, new_dsn, await prefix(kafka), folder, chosen.rounds, show)
        if "moves" in chosen.parts:
            figures += await moves.measure(kafka, dsn, await prefix(kafka), folder, chosen.rounds, show)
        if "time" in chosen.parts:
            figures += await detector.cost_of_time(new_dsn, 200, show)
        if "statistics" in chosen.parts:
            figures += await statistics_cost.measure(new_dsn, chosen.rounds, show)
        if "weeks" in chosen.parts:
            figures += await weeks.measure(await new_dsn(), show)
            figures += weeks.relearn(show)
        if "what-if" in chosen.parts:
            figures += await asyncio.to_thread(what_if.measure, folder, chosen.rounds, show)
        if "memory" in chosen.parts:
            figures += await memory.measure(kafka, await new_dsn(), await prefix(kafka), folder, show)
        if "webhook-to-mail" in chosen.parts:
            figures += await webhook_to_mail.measure(
                kafka, await new_dsn(), await prefix(kafka), folder, chosen.per_second, chosen.seconds, show
            )
        figures += await _of_pages(chosen, kafka, new_dsn, folder, show)
        if "metrics" in chosen.parts:
            figures += await asyncio.to_thread(metrics_text.measure, chosen.rounds, show)
    return figures


async def _of_pages(
    chosen: argparse.Namespace,
    kafka: str,
    new_dsn: Callable[[], Awaitable[str]],
    folder: Path,
    show: Callable[[str], None],
) -> list[Figure]:
    """What pages cost, and how long they take."""
    figures = list[Figure]()
    if "page-costs" in chosen.parts:
        figures += await page_costs.measure(await new_dsn(), folder, show)
    if "pages" in chosen.parts:
        figures += await pages.measure(
            kafka, await new_dsn(), await prefix(kafka), folder, chosen.per_second, chosen.visits, show
        )
    if "clicking" in chosen.parts:
        figures += await clicking.measure(
            kafka, await new_dsn(), await prefix(kafka), folder, chosen.per_second, chosen.seconds, show
        )
    return figures


def print_table(figures: list[Figure], modules: str) -> None:
    table = Table("figure", "measured", "unit", "target", "met", "rounds", caption=f"hot modules: {modules}")
    for figure in figures:
        met = "" if figure.is_met is None else "[green]yes[/green]" if figure.is_met else "[red]no[/red]"
        rounds = ", ".join(map(_number, figure.rounds))
        table.add_row(figure.name, _number(figure.value), figure.unit, figure.target, met, rounds)
    console.print(table)


def _number(value: float) -> str:
    return f"{value:,.3g}" if value < 100 else f"{value:,.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=[*PARTS, *LONG_PARTS], default=PARTS)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of baseline and service in turn")
    parser.add_argument(
        "--per-second",
        type=int,
        default=500,
        help="webhooks a second in answers, webhook-to-mail, pages and clicking; events a second in sustained",
    )
    parser.add_argument(
        "--seconds",
        type=int,
        default=60,
        help="seconds of webhook-to-mail, of each half of clicking, of sustained and of idle",
    )
    parser.add_argument("--visits", type=int, default=pages.VISITS, help="visits that the detector has in pages")
    parser.add_argument("--json", type=Path, default=Path("bench.json"), help="where to write the figures")
    long_parts.add_arguments(parser)
    chosen = parser.parse_args()
    # Figures of one name would measure another Postgres.
    if 0 < len(set(chosen.parts) & set(LONG_PARTS)) < len(set(chosen.parts)):
        parser.error(f"--parts: run {', '.join(LONG_PARTS)} without the others")
    options = () if set(chosen.parts) <= set(LONG_PARTS) else POSTGRES_OPTIONS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        with kafka_address(folder / "kafka") as kafka, postgres_dsn(folder / "postgres", options) as dsn:
            figures = asyncio.run(measure(chosen, kafka, dsn, folder))
    modules = "compiled" if runs_compiled() else "pure Python"
    print_table(figures, modules)
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    shown = [figure.as_json() for figure in figures]
    result = {"at": datetime.now(UTC).isoformat(), **machine, "modules": modules, "figures": shown}
    chosen.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

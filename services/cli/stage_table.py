"""`andon stages`: publishes stage descriptions from a file, and lists the stages that are known."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.cli.console import print_plain
from services.cli.stage_file import read
from services.detector import control
from services.detector.control import CatalogStage
from shared.contracts.stages import StageData, StageEvent
from shared.contracts.topics import STAGES
from shared.kafka.publisher import OutgoingMessage, Publisher
from shared.policy import load
from shared.runtime.settings import ServiceSettings

COLUMNS = ("source", "pipeline", "stage", "name", "order", "probability", "outcome", "policy", "deals")


def publish(file: Path) -> int:
    """Publish the stages of a file; how many. Raises FaultsError before anything is published."""
    settings, now = ServiceSettings.from_environment(), datetime.now(UTC)
    stages = read(file)
    asyncio.run(_publish(settings, [_message(data, now, settings.topic(STAGES)) for data in stages]))
    return len(stages)


def _message(data: StageData, now: datetime, topic: str) -> OutgoingMessage:
    return OutgoingMessage(topic, data.key.encode(), StageEvent.of(data, now, now).to_json())


async def _publish(settings: ServiceSettings, messages: list[OutgoingMessage]) -> None:
    publisher = Publisher(settings.kafka)
    try:
        await publisher.publish_all(messages)
    finally:
        await publisher.stop()


def show(policy: Path, source: str | None) -> None:
    """Print the stages of one source, or of all, with a hint for those that the policy does not watch."""
    rows = asyncio.run(control.list_stages(ServiceSettings.from_environment(), load(policy)))
    print_rows(Console(), [row for row in rows if source in (None, row.key.source)])


def print_rows(console: Console, rows: Iterable[CatalogStage]) -> None:
    """A table, and below it each hint once."""
    table, hints = Table(*COLUMNS), dict[str, None]()
    for row in rows:
        table.add_row(*map(Text, _cells(row)))
        if row.hint:
            hints[row.hint] = None
    console.print(table)
    for hint in hints:
        print_plain(console, f"- {hint}")


def _cells(row: CatalogStage) -> list[str]:
    description = row.described
    pipeline = f"{row.key.pipeline} ({row.pipeline_name})" if row.pipeline_name else row.key.pipeline
    return [
        row.key.source,
        pipeline,
        row.key.stage,
        description.name or "",
        "" if description.order is None else str(description.order),
        "" if description.probability is None else f"{description.probability:.0%}",
        description.outcome or "",
        f"{row.home.pipeline}/{row.home.stage}" if row.watched else "not in it",
        str(row.deals),
    ]

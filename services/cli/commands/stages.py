"""`andon stages`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.cli.stage_file import read
from services.detector import control
from services.detector.control import CatalogStage
from shared.contracts.stages import StageData, StageEvent
from shared.contracts.topics import STAGES
from shared.kafka.publisher import OutgoingMessage, Publisher
from shared.policy import load
from shared.runtime.settings import ServiceSettings

_console = Console()


def bring(file: Path) -> int:
    """Put what the file says on its topic; how many stages. Raises FaultsError and puts nothing."""
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
    """A table on standard output, and below it what to do."""
    rows = asyncio.run(control.list_stages(ServiceSettings.from_environment(), load(policy)))
    shown = [row for row in rows if source in (None, row.place.source)]
    table = Table("source", "pipeline", "stage", "name", "order", "probability", "outcome", "policy", "deals")
    for row in shown:
        table.add_row(*map(Text, _cells(row)))
    _console.print(table)
    for hint in dict.fromkeys(row.hint for row in shown if row.hint):
        _console.print(f"- {hint}", highlight=False, markup=False, emoji=False, soft_wrap=True)


def _cells(row: CatalogStage) -> list[str]:
    told = row.described
    pipeline = f"{row.place.pipeline} ({row.pipeline_name})" if row.pipeline_name else row.place.pipeline
    watched = f"{row.home.pipeline}/{row.home.stage}" if row.watched else "not in it"
    probability = "" if told.probability is None else f"{told.probability:.0%}"
    return [
        row.place.source,
        pipeline,
        row.place.stage,
        told.name or "",
        "" if told.order is None else str(told.order),
        probability,
        told.outcome or "",
        watched,
        str(row.deals),
    ]

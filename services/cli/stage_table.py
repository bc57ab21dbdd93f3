"""`andon stages`: publishes stage descriptions from a file, and lists the stages that are known."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.cli.console import OutputForm, aligned, message, print_json, print_line
from services.cli.policy_source import policy_to_use
from services.cli.servers import check_servers
from services.cli.stage_file import read
from services.detector import control
from services.detector.control import CatalogStage
from services.intake.settings import IntakeSettings
from shared.connectors.config import load as load_sources
from shared.contracts.stages import StageData, StageEvent
from shared.contracts.topics import STAGES
from shared.kafka.access import KafkaAccess
from shared.kafka.publisher import OutgoingMessage, Publisher
from shared.policy import load
from shared.runtime.settings import ServiceSettings
from shared.runtime.yaml_file import FaultsError

COLUMNS = ("source", "pipeline", "stage", "name", "order", "probability", "outcome", "policy", "deals")


def publish(file: Path) -> int:
    """Publish the stages of a file; how many. Raises FaultsError before anything is published."""
    settings, now = ServiceSettings.from_environment(), datetime.now(UTC)
    stages = read(file)
    check_servers(topics=(STAGES,))
    asyncio.run(_publish(settings, [_message(data, now, settings.topic(STAGES)) for data in stages]))
    return len(stages)


def _message(data: StageData, now: datetime, topic: str) -> OutgoingMessage:
    return OutgoingMessage(topic, data.key.encode(), StageEvent.of(data, now, now).to_json())


async def _publish(settings: ServiceSettings, messages: list[OutgoingMessage]) -> None:
    publisher = Publisher(KafkaAccess.of(settings))
    try:
        await publisher.publish_all(messages)
    finally:
        await publisher.stop()


def show(policy_file: Path | None, source: str | None, form: OutputForm) -> None:
    """Print the stages of one source, or of all, with a hint for those that the policy does not watch.

    `policy_file`: None for the policy in force. Raises PolicyError, and ValueError for a source that is not known.
    """
    settings = IntakeSettings.from_environment()
    policy = policy_to_use(settings, "flow") if policy_file is None else load(policy_file)
    check_servers(schemas=("flow",))
    rows = asyncio.run(control.list_stages(settings, policy))
    if source is not None:
        check_source(source, {row.key.source for row in rows} | _configured(settings.sources))
        rows = [row for row in rows if row.key.source == source]
    print_rows(rows, form)


def check_source(source: str, known: set[str]) -> None:
    """Raises ValueError for a source that is not known."""
    if source not in known:
        raise ValueError(f"{source}: no such source; known are {', '.join(sorted(known)) or 'none yet'}")


def _configured(file: Path) -> set[str]:
    """The names in the sources file; none where it cannot be read, as on a machine without intake."""
    try:
        return set(load_sources(file))
    except FaultsError:
        return set()


def print_rows(rows: Sequence[CatalogStage], form: OutputForm) -> None:
    """As JSON; or a table, and below it each hint once."""
    if form is OutputForm.JSON:
        print_json([_record(row) for row in rows])
    elif rows:
        for line in _table(rows):
            print_line(line)
    else:
        message("No stage is known yet. A stage is known once a deal was in it, or its CRM described it.")


def _table(rows: Sequence[CatalogStage]) -> Iterator[str]:
    yield from aligned(COLUMNS, [_cells(row) for row in rows])
    for hint in dict.fromkeys(row.hint for row in rows if row.hint):
        yield f"- {hint}"


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


def _record(row: CatalogStage) -> dict[str, Any]:
    """One stage as `--format json` prints it. `policy`: null where the policy does not have the stage."""
    described = row.described
    return {
        "source": row.key.source,
        "pipeline": row.key.pipeline,
        "pipeline_name": row.pipeline_name,
        "stage": row.key.stage,
        "name": described.name,
        "order": described.order,
        "probability": described.probability,
        "outcome": described.outcome,
        "policy": {"pipeline": row.home.pipeline, "stage": row.home.stage} if row.watched else None,
        "deals": row.deals,
        "hint": row.hint,
    }

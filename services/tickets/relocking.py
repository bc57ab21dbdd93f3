"""Gives a chart a new baseline: kept here, and published on `flow.relocks`."""

from __future__ import annotations

from shared.contracts.envelope import content_id
from shared.contracts.relocks import RelockData, RelockEvent
from shared.flow.statistics.columns import Chart
from shared.kafka.publisher import OutgoingMessage
from shared.postgres import locks
from shared.postgres.pool import Connection
from shared.stream import outbox, relocks


async def lock_chart(connection: Connection, chart: Chart) -> None:
    """Until the end of the transaction nobody else decides on the chart's baselines."""
    await locks.lock(connection, f"relock:{chart.name}")


async def publish_relock(connection: Connection, data: RelockData, topic: str) -> None:
    """Keep a relock and put its message into the outbox, with the chart locked."""
    event = RelockEvent.new(
        id=content_id(data.key, data.points, data.reason, data.at),
        source="andon/tickets",
        subject=data.key,
        time=data.at,
        data=data,
    )
    await relocks.save(connection, [data])
    await outbox.put(connection, [OutgoingMessage(topic, data.key.encode(), event.to_json())])

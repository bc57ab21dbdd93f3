"""Gives a chart a new baseline: kept here, and published on `flow.relocks`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from services.tickets.access.audit import AuditEvent
from services.tickets.access.roles import current_visitor
from services.tickets.store import audit
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


async def relock(connection: Connection, chart: Chart, data: RelockData, seen: str, topic: str) -> bool:
    """Keep and publish a person's relock. False where others decided on the chart since `seen`, its version then."""
    await lock_chart(connection, chart)
    if version_of(await relocks.load(connection, [chart.name])) != seen:
        return False
    await publish_relock(connection, data, topic)
    visitor = current_visitor()
    if visitor.is_signed_in:
        detail = {"chart": chart.name, "from_week": data.from_week}
        await audit.record(connection, data.at, AuditEvent.BASELINE_CHANGED, visitor.account, **detail)
    return True


def version_of(decided: Sequence[RelockData]) -> str:
    """Says whether two readers saw the same relocks of a chart."""
    return hashlib.sha256("".join(one.model_dump_json() for one in decided).encode()).hexdigest()[:16]

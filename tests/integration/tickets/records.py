"""Messages as records of Kafka, given to a desk and read from its outbox."""

from __future__ import annotations

from typing import Any

from aiokafka import ConsumerRecord

from services.tickets.handlers import TicketHandlers
from shared.contracts.tickets import TicketEvent

TOPICS = {"ProblemEvent": "flow.problems", "MeasureEvent": "flow.measures", "NoticeEvent": "improvement.notices"}


def record(message: Any, offset: int, partition: int = 0) -> Any:
    value = message if isinstance(message, bytes) else message.to_json()
    topic = "flow.problems" if isinstance(message, bytes) else TOPICS[type(message).__name__]
    return ConsumerRecord(topic, partition, offset, 0, 0, b"k", value, 0, len(value), 0, ())


async def take(pool: Any, desk: TicketHandlers, *records: Any) -> int:
    async with pool.acquire() as connection, connection.transaction():
        return await desk.take(connection, records)


async def messages(pool: Any) -> list[TicketEvent]:
    rows = await pool.fetch("SELECT value FROM outbox WHERE topic = 'improvement.tickets' ORDER BY id")
    return [TicketEvent.model_validate_json(row["value"]) for row in rows]

"""The baseline: a bare aiokafka consumer that does the job once for each record, by offsets that it claims.

Run as `python -m tests.bench.moves.bare KAFKA DSN TOPIC EXPECTED BATCH`.
"""

from __future__ import annotations

import asyncpg
import uvloop
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from shared.kafka.access import KafkaAccess
from shared.kafka.admin import partitions_of
from tests.bench.moves.asyncpg_driver import carry_out, connect
from tests.bench.moves.job import Arguments, Meter, apply, read

_ENSURE = "INSERT INTO bare.position SELECT unnest($1::int[]), 0 ON CONFLICT DO NOTHING"
_CLAIM = """
SELECT partition, next_offset FROM bare.position WHERE partition = ANY($1::int[]) ORDER BY partition FOR UPDATE
"""
_ADVANCE = """
UPDATE bare.position AS p SET next_offset = w.next_offset
FROM unnest($1::int[], $2::bigint[]) AS w (partition, next_offset) WHERE p.partition = w.partition
"""


async def _handle(connection: asyncpg.Connection, batch: dict[TopicPartition, list[ConsumerRecord]]) -> int:
    """Apply those records that nobody has applied; returns how many."""
    parts = {partition.partition: records for partition, records in batch.items()}
    async with connection.transaction():
        claimed = dict(await connection.fetch(_CLAIM, list(parts)))
        records = [one for number, some in parts.items() for one in some if one.offset >= claimed[number]]
        if records:
            await carry_out(connection, apply([read(record.value) for record in records]))
            await connection.execute(_ADVANCE, list(parts), [some[-1].offset + 1 for some in parts.values()])
    return len(records)


async def consume(arguments: Arguments) -> None:
    """Read the topic from its beginning until all is applied."""
    kafka, dsn, topic, expected, most = arguments
    meter, connection = Meter(expected), await connect(dsn)
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    numbers = await partitions_of(KafkaAccess(kafka), topic)
    await connection.execute(_ENSURE, numbers)
    consumer.assign([TopicPartition(topic, number) for number in numbers])
    while True:
        if batch := await consumer.getmany(timeout_ms=1000, max_records=most):
            meter.begin()
            meter.committed(await _handle(connection, batch))


if __name__ == "__main__":
    uvloop.run(consume(Arguments.read()))

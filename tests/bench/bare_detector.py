"""The baseline of the detector: a bare aiokafka consumer with `validate_json` and one UNNEST transaction per batch.

The transaction writes inbox, deals and offsets: the least that any consumer with effects exactly once must do.
"""

from __future__ import annotations

import time
from datetime import datetime

import asyncpg
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from shared.contracts.events import DealEvent
from shared.kafka.access import KafkaAccess
from shared.kafka.admin import partitions_of

TABLES = """
CREATE SCHEMA bare;
CREATE TABLE bare.inbox (source text, id text, PRIMARY KEY (source, id));
CREATE TABLE bare.deal (deal text PRIMARY KEY, stage text, pipeline text, name text, amount text, at timestamptz);
CREATE TABLE bare.position (partition int PRIMARY KEY, next_offset bigint);
"""
INBOX = """
INSERT INTO bare.inbox SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING RETURNING source, id
"""
DEALS = """
INSERT INTO bare.deal AS d
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[])
ON CONFLICT (deal) DO UPDATE SET stage = coalesce(excluded.stage, d.stage),
  pipeline = coalesce(excluded.pipeline, d.pipeline), name = coalesce(excluded.name, d.name),
  amount = coalesce(excluded.amount, d.amount), at = excluded.at
WHERE d.at <= excluded.at
"""
POSITIONS = """
INSERT INTO bare.position SELECT * FROM unnest($1::int[], $2::bigint[])
ON CONFLICT (partition) DO UPDATE SET next_offset = excluded.next_offset
"""
Row = tuple[str, str | None, str | None, str | None, str | None, datetime]


def _rows(events: list[DealEvent]) -> list[Row]:
    """One row per deal in key order, with the latest value of each field."""
    rows: dict[str, Row] = {}
    for event in events:
        data = event.data
        rows[event.subject] = (event.subject, data.stage, data.pipeline, data.name, data.amount, event.time)
    return [rows[deal] for deal in sorted(rows)]


async def _apply(database: asyncpg.Connection, batch: dict[TopicPartition, list[ConsumerRecord]]) -> int:
    records = [record for partition in batch.values() for record in partition]
    events = [DealEvent.model_validate_json(record.value) for record in records]
    async with database.transaction():
        new = await database.fetch(INBOX, [e.source for e in events], [e.id for e in events])
        known = {(row["source"], row["id"]) for row in new}
        rows = _rows([e for e in events if (e.source, e.id) in known])
        await database.execute(DEALS, *(list(column) for column in zip(*rows, strict=True)))
        ends = sorted((tp.partition, part[-1].offset + 1) for tp, part in batch.items() if part)
        await database.execute(POSITIONS, [p for p, _ in ends], [o for _, o in ends])
    return len(records)


async def consume(kafka: str, dsn: str, topic: str, expected: int, batch_size: int) -> float:
    """Read `expected` records in batches of `batch_size`; returns events per second from first batch to last commit."""
    database = await asyncpg.connect(dsn)
    await database.execute("DROP SCHEMA IF EXISTS bare CASCADE;" + TABLES)
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    partitions = [TopicPartition(topic, number) for number in await partitions_of(KafkaAccess(kafka), topic)]
    consumer.assign(partitions)
    await consumer.seek_to_beginning(*partitions)
    done, started = 0, 0.0
    while done < expected:
        batch = await consumer.getmany(timeout_ms=1000, max_records=batch_size)
        started = started or time.perf_counter()
        done += await _apply(database, batch) if batch else 0
    seconds = time.perf_counter() - started
    await consumer.stop()
    await database.close()
    return done / seconds

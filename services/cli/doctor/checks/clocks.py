"""Whether the clocks agree: this machine's with Postgres', and those of the machines that write to Kafka.

Kafka has no request that tells a broker's time. What can be seen is a record that is stamped in the future.
"""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from services.cli.doctor.check import Check, Site
from services.cli.doctor.finding import CheckFinding, bad, good, look
from shared.contracts.topics import RECEIVED
from shared.kafka.admin import partitions_of
from shared.postgres.clock import DatabaseClock

LOOK_SECONDS, BAD_SECONDS = 1.0, 30.0
_WAY_OUT = "keep the clocks of all machines right with NTP: timedatectl status"


async def _run(site: Site) -> list[CheckFinding]:
    ahead, stamped = await asyncio.gather(_database_ahead(site), _stamped_ahead(site))
    return [database_finding(ahead), writers_finding(stamped)]


def database_finding(ahead: timedelta) -> CheckFinding:
    """`ahead`: by how much Postgres' clock is ahead of this machine's; negative: behind."""
    seconds = ahead.total_seconds()
    side = "ahead of" if seconds > 0 else "behind"
    text = f"Postgres' is {abs(seconds):.1f} s {side} this machine's"
    if abs(seconds) >= BAD_SECONDS:
        return bad("clocks", text, _WAY_OUT)
    return look("clocks", text, _WAY_OUT) if abs(seconds) >= LOOK_SECONDS else good("clocks", text)


def writers_finding(stamped: list[int]) -> CheckFinding:
    """`stamped`: partitions of webhooks.received with a record that is stamped BAD_SECONDS or more in the future."""
    if not stamped:
        return good("clocks of writers", f"no record of {RECEIVED} is stamped in the future")
    numbers = ", ".join(map(str, stamped))
    return bad("clocks of writers", f"{RECEIVED} has records stamped in the future, in partition {numbers}", _WAY_OUT)


async def _database_ahead(site: Site) -> timedelta:
    pool = await asyncpg.create_pool(site.settings.dsn, min_size=1, max_size=1)
    try:
        clock = DatabaseClock(pool)
        await clock.measure()
        return clock.ahead
    finally:
        pool.terminate()


async def _stamped_ahead(site: Site) -> list[int]:
    topic = site.settings.topic(RECEIVED)
    partitions = await partitions_of(site.kafka, topic)
    if not partitions:
        # The check of topics says so.
        return []
    after = int((time.time() + BAD_SECONDS) * 1000)
    consumer = AIOKafkaConsumer(**site.kafka.client_options())
    await consumer.start()
    try:
        found = await consumer.offsets_for_times({TopicPartition(topic, number): after for number in partitions})
        return sorted(partition.partition for partition, at in found.items() if at is not None)
    finally:
        await consumer.stop()


CHECK = Check("clocks", _run, needs=("kafka", "postgres"))

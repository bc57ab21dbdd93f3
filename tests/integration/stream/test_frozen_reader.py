"""A process that stood still claims nothing about the time in which it read nothing."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

from aiokafka import AIOKafkaProducer

from services.detector.store.watermark import standings
from tests.support.recorder import COUNT, Recorder, all_seen
from tests.support.waiting import eventually

PARTITION = 0
# Kafka has answered the fetch that waits for records by then, without any.
ANSWERED_SECONDS = 0.5


async def _write(kafka: str, topic: str) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    await producer.send_and_wait(topic, str(COUNT).encode(), partition=PARTITION)
    await producer.stop()


def _write_while_frozen(kafka: str, topic: str) -> int:
    """Hold up the event loop around a record written by another thread; the time after the record, in microseconds."""
    time.sleep(ANSWERED_SECONDS)
    writer = threading.Thread(target=lambda: asyncio.run(_write(kafka, topic)))
    writer.start()
    writer.join()
    written = time.time_ns() // 1000
    time.sleep(ANSWERED_SECONDS)
    return written


async def test_an_answer_handled_late_shows_the_log_as_it_was(kafka: str, recorder: Callable[..., Recorder]) -> None:
    one = recorder()

    def read_at() -> int | None:
        found = [s for s in standings(one.consumer.log_ends(), one.consumer.handled) if s.partition == PARTITION]
        return found[0].read_at if found and found[0].at_end else None

    async def is_read() -> bool:
        return read_at() is not None

    async with one.running():
        await all_seen(one)
        await eventually(is_read)
        # The record below is never handled: no claim may reach the time at which it was there.
        one.gate.clear()
        written = _write_while_frozen(kafka, one.topic)
        claims = []
        async with asyncio.timeout(60):
            while not one.consumer.behind:
                claims.append(read_at())
                await asyncio.sleep(0)

    assert [claim - written for claim in claims if claim is not None and claim >= written] == []

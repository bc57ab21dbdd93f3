"""A cancellation that aiokafka lets out ends no loop; one of the task itself does."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError
from prometheus_client import CollectorRegistry

from services.notifier import dead_letter_watch
from services.notifier.dead_letter_watch import DeadLetterWatch
from shared.kafka import probe
from shared.kafka.access import KafkaAccess
from shared.kafka.foreign_cancellation import foreign_cancellation_as_error
from shared.kafka.log_ends import LogEndsClient

NOWHERE = KafkaAccess("127.0.0.1:1")


async def ask_a_closing_connection() -> None:
    answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    answer.cancel()
    await answer


async def test_a_foreign_cancellation_is_an_error_of_the_connection() -> None:
    with pytest.raises(KafkaConnectionError), foreign_cancellation_as_error():
        await ask_a_closing_connection()


async def test_a_cancellation_of_the_task_stays_one() -> None:
    async def wait() -> None:
        with foreign_cancellation_as_error():
            await asyncio.sleep(60)

    task = asyncio.ensure_future(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_dead_letters_are_counted_again_after_a_connection_was_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = asyncio.Event()

    async def none_missing(kafka: KafkaAccess, topics: Collection[str]) -> set[str]:
        return set()

    class ClosedOnce(DeadLetterWatch):
        times = 0

        async def _count(self) -> None:
            self.times += 1
            if self.times == 1:
                await ask_a_closing_connection()
            counted.set()

    monkeypatch.setattr(probe, "missing_topics", none_missing)
    monkeypatch.setattr(dead_letter_watch, "RETRY_SECONDS", 0)
    running = asyncio.ensure_future(ClosedOnce(NOWHERE, "", CollectorRegistry()).run())
    async with asyncio.timeout(10):
        await counted.wait()
    running.cancel()


async def test_ends_are_unknown_where_a_connection_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    class ClosingClient:
        async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
            await ask_a_closing_connection()
            return {}

        async def stop(self) -> None:
            await ask_a_closing_connection()

    async def connected(self: LogEndsClient) -> ClosingClient:
        return ClosingClient()

    monkeypatch.setattr(LogEndsClient, "_connected", connected)
    assert await LogEndsClient(NOWHERE).ends([TopicPartition("events", 0)]) == {}

"""A consumer of a topic that holds records already."""

from __future__ import annotations

from typing import Any

import pytest

from shared.contracts.topics import EVENTS
from shared.kafka.access import KafkaAccess
from shared.kafka.publisher import OutgoingMessage, Publisher
from shared.postgres.pool import open_pool
from tests.support.recorder import COUNT, Recorder


@pytest.fixture
async def recorder(kafka: str, prefix: str, dsn: str) -> Any:
    pool = await open_pool(dsn, "flow")
    topic = prefix + EVENTS
    publisher = Publisher(KafkaAccess(kafka))
    await publisher.publish_all([OutgoingMessage(topic, str(n % 9).encode(), str(n).encode()) for n in range(COUNT)])
    await publisher.stop()

    def make(**options: Any) -> Recorder:
        return Recorder(kafka, topic, pool, **options)

    yield make
    await pool.close()

"""Delivery to Kafka: all or nothing for a request, at once 503 while the broker is away, and back by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiokafka.errors import KafkaError

from services.intake.metrics import IntakeMetrics
from shared.kafka.publisher import OutgoingMessage, Publisher
from shared.runtime.health import Progress
from shared.runtime.log import logger

_log = logger(__name__)
LOOK_SECONDS = 1.0


class BrokerUnavailable(Exception):
    """Kafka cannot be reached, or did not acknowledge in time: the sender must come again."""


class Delivery:
    """Knows whether the broker is there, so that nobody waits for one that is not."""

    def __init__(self, publisher: Publisher, metrics: IntakeMetrics, progress: Progress) -> None:
        self._publisher, self._metrics, self._progress = publisher, metrics, progress
        self._there = False

    async def deliver(self, messages: Sequence[OutgoingMessage]) -> None:
        """Back when all in-sync replicas have all messages; raises BrokerUnavailable."""
        if not self._there:
            raise BrokerUnavailable("Kafka cannot be reached")
        try:
            await self._publisher.publish_all(messages)
        except TimeoutError as error:
            self._set(False)
            raise BrokerUnavailable(str(error)) from error

    async def run(self) -> None:
        """Look again and again whether the broker answers; until cancelled."""
        self._progress.expect("broker", 30)
        while True:
            try:
                await self._publisher.ping()
                self._set(True)
                self._progress.beat("broker")
            except (KafkaError, OSError, TimeoutError) as error:
                self._set(False)
                _log.warning("Kafka cannot be reached; senders are told to come again", error=str(error))
            await asyncio.sleep(LOOK_SECONDS)

    def _set(self, there: bool) -> None:
        if there and not self._there:
            _log.info("Kafka is there")
        self._there = there
        self._metrics.broker.set(there)

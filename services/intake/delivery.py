"""Delivery to Kafka: all messages of a request or none; fails fast while the broker is unavailable."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiokafka.errors import KafkaError

from services.intake.metrics import IntakeMetrics
from shared.kafka.publisher import OutgoingMessage, Publisher
from shared.runtime.health import Progress
from shared.runtime.log import logger

_log = logger(__name__)
PING_INTERVAL_SECONDS = 1.0


class BrokerUnavailable(Exception):
    """Kafka cannot be reached or did not acknowledge in time: the sender has to retry."""


class Delivery:
    """Tracks whether the broker answers, so that no request waits for one that does not."""

    def __init__(self, publisher: Publisher, metrics: IntakeMetrics, progress: Progress) -> None:
        self._publisher, self._metrics, self._progress = publisher, metrics, progress
        self._available = False

    @property
    def available(self) -> bool:
        """Whether the broker answered last time."""
        return self._available

    async def deliver(self, messages: Sequence[OutgoingMessage]) -> None:
        """Return when all in-sync replicas have all messages; raises BrokerUnavailable."""
        if not self._available:
            raise BrokerUnavailable("Kafka cannot be reached")
        try:
            await self._publisher.publish_all(messages)
        except TimeoutError as error:
            self._set_available(False)
            raise BrokerUnavailable(str(error)) from error

    async def run(self) -> None:
        """Ping the broker until cancelled."""
        self._progress.expect("broker", 30)
        while True:
            try:
                await self._publisher.ping()
                self._set_available(True)
                self._progress.beat("broker")
            except (KafkaError, OSError, TimeoutError) as error:
                self._set_available(False)
                _log.warning("Kafka unavailable; asking senders to retry", error=str(error))
            await asyncio.sleep(PING_INTERVAL_SECONDS)

    def _set_available(self, available: bool) -> None:
        if available and not self._available:
            _log.info("Kafka available")
        self._available = available
        self._metrics.broker.set(available)

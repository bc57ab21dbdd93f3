"""Publishes a file of events to `pipeline.events`, each record stamped with its event's time."""

from __future__ import annotations

from collections.abc import Callable

from services.cli.event_files import read_events
from shared.contracts.topics import EVENTS
from shared.kafka.publisher import OutgoingMessage, Publisher
from shared.runtime.settings import ServiceSettings

BATCH = 2000


async def replay(settings: ServiceSettings, path: str, show: Callable[[int], None]) -> int:
    """Publish all events in the file's order; how many. Repeating it is harmless: events are known by their ids."""
    publisher = Publisher(settings.kafka, deadline_seconds=60)
    await publisher.start()
    batch: list[OutgoingMessage] = []
    count = 0
    try:
        for line, event in read_events(path):
            at = int(event.time.timestamp() * 1000)
            batch.append(OutgoingMessage(settings.topic(EVENTS), event.deal.encode(), line, at))
            count += 1
            if len(batch) == BATCH:
                await publisher.publish_all(batch)
                batch.clear()
                show(count)
        await publisher.publish_all(batch)
        show(count)
        return count
    finally:
        await publisher.stop()

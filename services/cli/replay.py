"""Puts a file of canonical events on `pipeline.events`, each record at the time of its event."""

from __future__ import annotations

from collections.abc import Callable

from services.cli.event_files import read_events
from shared.contracts.topics import EVENTS
from shared.kafka.publisher import OutgoingMessage, Publisher
from shared.runtime.settings import ServiceSettings

CHUNK = 2000


async def replay(settings: ServiceSettings, path: str, show: Callable[[int], None]) -> int:
    """Publish all events in the file's order; how many. Ids make a second replay harmless."""
    publisher = Publisher(settings.kafka, deadline_seconds=60)
    await publisher.start()
    chunk: list[OutgoingMessage] = []
    count = 0
    try:
        for line, event in read_events(path):
            at = int(event.time.timestamp() * 1000)
            chunk.append(OutgoingMessage(settings.topic(EVENTS), event.deal.encode(), line, at))
            count += 1
            if len(chunk) == CHUNK:
                await publisher.publish_all(chunk)
                chunk.clear()
                show(count)
        await publisher.publish_all(chunk)
        show(count)
        return count
    finally:
        await publisher.stop()

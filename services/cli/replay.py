"""Publishes a file of events to `pipeline.events`, each record stamped with its event's time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from services.cli.event_files import LineError, read_events
from shared.contracts.envelope import iso
from shared.contracts.events import DealEvent
from shared.contracts.topics import EVENTS
from shared.kafka.access import KafkaAccess
from shared.kafka.publisher import OutgoingMessage, Publisher
from shared.runtime.settings import ServiceSettings

BATCH = 2000
# As the detector allows; Kafka refuses records that are an hour ahead.
MAX_AHEAD = timedelta(minutes=5)
# Called with the number done and, where it is known, the total.
Show = Callable[[int, int | None], None]


def count_events(path: str, now: datetime) -> int | None:
    """How many events a file holds, all of which can be published; None for standard input, which is read only once.

    Raises FileError.
    """
    return None if path == "-" else sum(1 for _ in _events(path, now))


async def replay(settings: ServiceSettings, path: str, total: int | None, now: datetime, show: Show) -> int:
    """Publish all events in the file's order; how many. Repeating it is harmless: events are known by their ids.

    `total`: what `count_events` returned. Raises FileError for a fault on standard input, once the lines before it
    are published.
    """
    publisher = Publisher(KafkaAccess.of(settings), deadline_seconds=60)
    await publisher.start()
    batch: list[OutgoingMessage] = []
    count = 0
    try:
        for line, event in _events(path, now):
            at = int(event.time.timestamp() * 1000)
            batch.append(OutgoingMessage(settings.topic(EVENTS), event.deal.encode(), line, at))
            count += 1
            if len(batch) == BATCH:
                await publisher.publish_all(batch)
                batch.clear()
                show(count, total)
        await publisher.publish_all(batch)
        show(count, total)
        return count
    finally:
        await publisher.stop()


def _events(path: str, now: datetime) -> Iterator[tuple[bytes, DealEvent]]:
    """The lines and their events; raises LineError for an event in the future."""
    for number, line, event in read_events(path):
        if event.time > now + MAX_AHEAD:
            text = f"time: {iso(event.time)} is in the future, now is {iso(now)}; correct the time, or remove the event"
            raise LineError(path, number, text)
        yield line, event

"""Translates stored requests again, after a translator was fixed. Event ids make a second run harmless."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta

from services.intake.received import RequestAssembler
from services.intake.retractions import Retractions
from shared.connectors.base.messages import to_messages, translate_request
from shared.connectors.base.source import Request, Source
from shared.contracts.topics import DEAD_SUFFIX, EVENTS, RECEIVED
from shared.kafka.access import KafkaAccess
from shared.kafka.publisher import OutgoingMessage, Publisher
from shared.kafka.topic_range import TopicRange, topic_range

_TRANSLATION_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
# The events of a request are written together with it, but not at the same instant.
MARGIN = timedelta(minutes=5)
# Messages per acknowledgement.
PUBLISH_BATCH = 1000


async def retranslate(
    kafka: KafkaAccess, prefix: str, source: Source, since: datetime, show: Callable[[int, int], None]
) -> Counter[str]:
    """Publish the events of all requests to `source` since a time; returns counts of requests and results.

    Retracts events that these requests gave before and give no longer. Requests that still cannot be translated keep
    their dead letters; no new ones are written.
    """
    # In seconds, so that each run outranks earlier runs and the live translations.
    translation = int((datetime.now(UTC) - _TRANSLATION_EPOCH).total_seconds())
    publisher = Publisher(kafka, deadline_seconds=60)
    run = _Run(publisher, source, prefix, translation)
    try:
        async with (
            topic_range(kafka, prefix + RECEIVED, since) as received,
            topic_range(kafka, prefix + EVENTS, since - MARGIN) as published,
        ):
            total = received.total + published.total
            async for requests, done in _requests(received, source.name):
                await run.translate(requests)
                show(done, total)
            async for _, records, done in published.batches():
                run.retractions.add_published(records)
                show(received.total + done, total)
        run.counts["missing"] = received.missing + published.missing
        await run.retract()
    finally:
        await publisher.stop()
    return run.counts


class _Run:
    """One run over the stored requests."""

    def __init__(self, publisher: Publisher, source: Source, prefix: str, translation: int) -> None:
        self._publisher, self._source, self._prefix, self._translation = publisher, source, prefix, translation
        self.retractions, self.counts = Retractions(source.name, prefix + EVENTS), Counter[str]()

    async def translate(self, requests: Iterable[Request]) -> None:
        messages: list[OutgoingMessage] = []
        for request in requests:
            parsed = translate_request(self._source, request)
            result = to_messages(self._source.name, parsed, request.received_at, self._prefix, self._translation)
            messages += [message for message in result.messages if not message.topic.endswith(DEAD_SUFFIX)]
            self.retractions.add_current(request.received_at, result)
            self.counts.update(result.counts | {"requests": 1})
        await self._publish(messages)

    async def retract(self) -> None:
        messages = list(self.retractions.messages(self._translation))
        await self._publish(messages)
        self.counts["retracted"] = len(messages)

    async def _publish(self, messages: Sequence[OutgoingMessage]) -> None:
        for start in range(0, len(messages), PUBLISH_BATCH):
            await self._publisher.publish_all(messages[start : start + PUBLISH_BATCH])


async def _requests(received: TopicRange, source: str) -> AsyncIterator[tuple[Sequence[Request], int]]:
    """Requests of one source, with the number of records read so far.

    A request split over several records comes with its last record.
    """
    assemblers: dict[int, RequestAssembler] = {}
    async for partition, records, done in received.batches():
        of_source = [record for record in records if record.key == source.encode()]
        yield list(assemblers.setdefault(partition, RequestAssembler()).assemble(of_source)), done

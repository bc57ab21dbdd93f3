"""Translates again what came in, after a translator was mended. The set of events makes a second time harmless."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta

from services.intake.received import RequestAssembler
from services.intake.retractions import Retractions
from shared.connectors.base.canonical import said_by, translated
from shared.connectors.base.source import Request, Source
from shared.contracts.topics import DEAD_SUFFIX, EVENTS, RECEIVED
from shared.kafka.publisher import OutgoingMessage, Publisher
from shared.kafka.topic_range import TopicRange, topic_range

_BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)
# The events of a request are written with it, but not at the same instant.
MARGIN = timedelta(minutes=5)
# Messages that wait for one acknowledgement.
TOGETHER = 1000


async def retranslate(
    bootstrap: str, prefix: str, source: Source, since: datetime, show: Callable[[int, int], None]
) -> Counter[str]:
    """Publish the events of all requests to `source` since then; how many requests, events, descriptions, ...

    What was said of these requests before, and is not said now, is taken back. What cannot be translated this time
    either stays the dead letter that it is: none is written again.
    """
    # In seconds: each run counts above those before, and above what came in meanwhile.
    translation = int((datetime.now(UTC) - _BEGINNING).total_seconds())
    publisher = Publisher(bootstrap, deadline_seconds=60)
    run = _Run(publisher, source, prefix, translation)
    try:
        async with (
            topic_range(bootstrap, prefix + RECEIVED, since) as came,
            topic_range(bootstrap, prefix + EVENTS, since - MARGIN) as told,
        ):
            total = came.total + told.total
            async for some, done in _requests(came, source.name):
                await run.again(some)
                show(done, total)
            async for _, records, done in told.batches():
                run.back.before(records)
                show(came.total + done, total)
        run.counts["gone"] = came.missing + told.missing
        await run.take_back()
    finally:
        await publisher.stop()
    return run.counts


class _Run:
    """One run over what was kept."""

    def __init__(self, publisher: Publisher, source: Source, prefix: str, translation: int) -> None:
        self._publisher, self._source, self._prefix, self._translation = publisher, source, prefix, translation
        self.back, self.counts = Retractions(source.name, prefix + EVENTS), Counter[str]()

    async def again(self, some: Iterable[Request]) -> None:
        messages: list[OutgoingMessage] = []
        for request in some:
            said = said_by(self._source, request)
            result = translated(self._source.name, said, request.received_at, self._prefix, self._translation)
            messages += [message for message in result.messages if not message.topic.endswith(DEAD_SUFFIX)]
            self.back.now(request.received_at, result)
            self.counts.update(result.counts | {"requests": 1})
        await self._publish(messages)

    async def take_back(self) -> None:
        messages = list(self.back.messages(self._translation))
        await self._publish(messages)
        self.counts["taken back"] = len(messages)

    async def _publish(self, messages: Sequence[OutgoingMessage]) -> None:
        for start in range(0, len(messages), TOGETHER):
            await self._publisher.publish_all(messages[start : start + TOGETHER])


async def _requests(came: TopicRange, source: str) -> AsyncIterator[tuple[Sequence[Request], int]]:
    """Requests of one source, and how many records are read with them.

    A request in several records is given with its last.
    """
    joined: dict[int, RequestAssembler] = {}
    async for partition, records, done in came.batches():
        mine = [record for record in records if record.key == source.encode()]
        yield list(joined.setdefault(partition, RequestAssembler()).requests(mine)), done

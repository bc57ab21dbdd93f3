"""Translates again what came in, after a translator was mended. The set of events makes a second time harmless."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from services.intake.canonical import translated
from services.intake.received import requests
from services.intake.sources.base import Source
from shared.bus.admin import partitions_of
from shared.bus.publisher import Publisher
from shared.contracts.topics import DEAD_SUFFIX, RECEIVED

AT_ONCE = 200


async def retranslate(
    bootstrap: str, prefix: str, source: Source, since: datetime, show: Callable[[int, int], None]
) -> Counter[str]:
    """Publish the events of all requests to `source` since then; how many requests, events, descriptions, ...

    What cannot be translated this time either stays the dead letter that it is: none is written again.
    """
    counts: Counter[str] = Counter()
    # Minutes since 1970: each run counts above those before, and above what came in meanwhile.
    translation = int(time.time()) // 60
    publisher = Publisher(bootstrap, deadline_seconds=60)
    try:
        async for records, done, total in _records(bootstrap, prefix + RECEIVED, source.name, since):
            for request in requests(records):
                result = translated(source.name, source.translate(request), request.received_at, prefix, translation)
                kept = [message for message in result.messages if not message.topic.endswith(DEAD_SUFFIX)]
                await publisher.publish_all(kept)
                counts["requests"] += 1
                counts["events"] += result.accepted
                counts["described"] += result.described
                counts["ignored"] += result.ignored
                counts["unclear"] += len(result.unclear)
            show(done, total)
            await asyncio.sleep(0)
    finally:
        await publisher.stop()
    return counts


async def _records(
    bootstrap: str, topic: str, source: str, since: datetime
) -> AsyncIterator[tuple[list[Any], int, int]]:
    """Records of one source, partition by partition, up to what is there now; with how many are read, and of how many.

    A request in several records is given whole: they lie one after the other in one partition.
    """
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        places = [TopicPartition(topic, number) for number in await partitions_of(bootstrap, topic)]
        consumer.assign(places)
        starts = await consumer.offsets_for_times(dict.fromkeys(places, int(since.timestamp() * 1000)))
        ends = await consumer.end_offsets(places)
        first = {place: found.offset if (found := starts[place]) else ends[place] for place in places}
        total, done = sum(ends[place] - first[place] for place in places), 0
        for place in places:
            consumer.seek(place, first[place])
            rest: list[Any] = []
            while (at := await consumer.position(place)) < ends[place]:
                batch = (await consumer.getmany(place, timeout_ms=1000, max_records=AT_ONCE)).get(place, [])
                done += await consumer.position(place) - at
                mine = rest + [record for record in batch if record.key == source.encode()]
                whole = _whole(mine)
                rest = mine[whole:]
                yield mine[:whole], done, total
    finally:
        await consumer.stop()


def _whole(records: list[Any]) -> int:
    """How many of the records, from the first, end with a whole request."""
    for number in range(len(records), 0, -1):
        part = dict(records[number - 1].headers).get("ce_part", b"0/1").decode()
        place, _, count = part.partition("/")
        if int(place) + 1 == int(count):
            return number
    return 0

"""A history goes in: judging waits, events are published, the detector reads them all, then all is judged as a whole.

What the import, the back-fill and the demonstration share. Cut off anywhere, judging goes on waiting until a further
run comes to its end; ids make it harmless to publish an event again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from services.detector.evaluate.evaluator import PassResult
from services.detector.evaluate.rebuild import HOLD, Show, reevaluate
from services.detector.settings import DetectorSettings
from services.detector.store.copy_tables import open_flow
from services.detector.store.watermark import judgement_time
from shared.contracts.topics import EVENTS
from shared.kafka.admin import partitions_of
from shared.kafka.publisher import OutgoingMessage, Publisher
from shared.postgres.pool import TRANSIENT
from shared.stream import positions

WAITS = (
    "Judging waits meanwhile, also when this is cut off: run it again, it goes on to its end. "
    "To judge without the rest: andon reevaluate --since 1970-01-01T00:00:00Z"
)
PATIENCE_SECONDS = 120.0
LOOK_SECONDS = 0.1
# One history at a time: the end of one would let the half of another be judged. Given back with the connection.
_ALONE = "SELECT pg_try_advisory_lock(hashtextextended('andon.going-in.' || current_database(), 0))"


class NotInError(Exception):
    """A history is not in to its end; the message says why, and the way out."""


class Portion(NamedTuple):
    """Events in the order in which they are to be published, and the earliest instant (microseconds) they speak of."""

    messages: Sequence[OutgoingMessage]
    earliest: int


@dataclass(frozen=True)
class LoadProgress:
    """Who is shown how far it is, as (done, total): events published, records read by the detector, events judged."""

    published: Callable[[int], None]
    read: Show
    judged: Show


@dataclass(frozen=True)
class LoadResult:
    """How many events were published, and what judging told of; None where there was nothing to judge."""

    published: int
    outcome: PassResult | None


async def go_in(settings: DetectorSettings, portions: AsyncIterable[Portion], shown: LoadProgress) -> LoadResult:
    """Let a whole history in. Raises NotInError; what was published stays, and judging waits.

    The next portion is asked for when all of the last is acknowledged: a journal of how far it is can be kept there.
    """
    pool = await open_flow(settings.dsn, most=2)
    publisher = Publisher(settings.kafka, deadline_seconds=60)
    try:
        async with pool.acquire() as connection:
            if not await connection.fetchval(_ALONE):
                raise NotInError("another import or back-fill is going in: wait for its end, then run this again")
            published, since = await _publish(connection, publisher, portions, shown)
            with _said_that_it_waits():
                outcome = None if since is None else await settle(settings, since, shown)
            return LoadResult(published, outcome)
    except (KafkaError, TimeoutError, *TRANSIENT) as error:
        raise NotInError(f"{error or type(error).__name__}. {WAITS}") from error
    finally:
        await publisher.stop()
        await pool.close()


async def _publish(
    connection: Any, publisher: Publisher, portions: AsyncIterable[Portion], shown: LoadProgress
) -> tuple[int, int | None]:
    """How many events, and the earliest instant; judging waits from the first portion on."""
    published, since = 0, None
    with ExitStack() as held:
        async for portion in portions:
            if since is None:
                await connection.execute(HOLD)
                held.enter_context(_said_that_it_waits())
            since = portion.earliest if since is None else min(since, portion.earliest)
            await publisher.publish_all(portion.messages)
            published += len(portion.messages)
            shown.published(published)
    return published, since


@contextmanager
def _said_that_it_waits() -> Iterator[None]:
    """Whatever breaks a history off here leaves judging waiting: the error carries that as a note."""
    try:
        yield
    except NotInError:
        raise
    except Exception as error:
        error.add_note(WAITS)
        raise


async def settle(
    settings: DetectorSettings, since: int, shown: LoadProgress, patience: float = PATIENCE_SECONDS
) -> PassResult | None:
    """Wait until the detector has read what is on the topic now, and judge everything from `since` on as a whole.

    Raises NotInError when it reads nothing for `patience` seconds.
    """
    topic = settings.topic(EVENTS)
    ends = await _ends(settings.kafka, topic)
    total, read, moved = sum(ends.values()), -1, time.monotonic()
    pool = await open_flow(settings.dsn, most=1)
    try:
        while not await _ready(pool, settings, read, total):
            places = await positions.load(pool, [topic])
            before, read = read, sum(min(places.get(place, 0), end) for place, end in ends.items())
            shown.read(read, total)
            if read > before:
                moved = time.monotonic()
            elif time.monotonic() - moved > patience:
                raise NotInError(
                    f"the detector has read nothing for {patience:.0f} s, {total - read} records are left: "
                    f"see that it runs. {WAITS}"
                )
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        await pool.close()
    return await reevaluate(settings, since, shown.judged)


async def _ready(pool: Any, settings: DetectorSettings, read: int, total: int) -> bool:
    """All is read, and it is known up to when may be judged: else what is over would not be known as historic."""
    return read == total and await judgement_time(pool, settings.clock) is not None


async def _ends(bootstrap: str, topic: str) -> dict[TopicPartition, int]:
    """Where each partition of the topic ends."""
    numbers = await partitions_of(bootstrap, topic)
    if not numbers:
        raise NotInError(f"there is no topic {topic}: make it with andon topics create")
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        ends: dict[TopicPartition, int] = await consumer.end_offsets([TopicPartition(topic, n) for n in numbers])
        return ends
    finally:
        await consumer.stop()

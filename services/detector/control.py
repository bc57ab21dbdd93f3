"""The detector's only door: what the importer, the enricher, the command line and the demo may ask of it.

They never open the schema `flow`, and import no other module of this service but its settings.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TypeAlias

from aiokafka import AIOKafkaConsumer, TopicPartition

from services.detector.evaluate.policy_switch import stored
from services.detector.evaluate.rebuild import ReportProgress, rebuild
from services.detector.publish.stage_catalog import CatalogStage, load_catalog
from services.detector.settings import DetectorSettings
from services.detector.store import evaluation
from services.detector.store.copy_tables import open_flow
from services.detector.store.watermark import current_watermark, database_now
from shared.contracts.problems import ProblemReason
from shared.contracts.topics import EVENTS
from shared.flow.ruleset import Ruleset
from shared.kafka.access import KafkaAccess
from shared.kafka.admin import partitions_of
from shared.policy import Policy
from shared.postgres import locks
from shared.postgres.pool import Pool
from shared.runtime.clock import ClockKind
from shared.runtime.settings import ServiceSettings
from shared.stream import positions

__all__ = [
    "CatalogStage",
    "DetectorSettings",
    "DetectorStalled",
    "LoadInProgress",
    "MessageCounts",
    "ReportProgress",
    "TopicMissing",
    "exclusive_load",
    "hold",
    "list_stages",
    "reevaluate",
    "wait_until_read",
]

PATIENCE_SECONDS = 120.0
POLL_SECONDS = 0.1
MessageCounts: TypeAlias = Mapping[ProblemReason, int]
"""How many problem messages were published, by reason."""


class LoadInProgress(Exception):
    """Another process loads a history."""


class TopicMissing(Exception):
    """`pipeline.events` does not exist; the message names it as it would be called."""


class DetectorStalled(Exception):
    """The detector stopped before the watermark was at the end of the topic. `left`: records it has not read."""

    def __init__(self, patience: float, left: int) -> None:
        what = f"{left} records are left" if left else "and has not seen every partition at its end"
        super().__init__(f"the detector has read nothing for {patience:.0f} s, {what}")
        self.left = left


async def hold(settings: DetectorSettings) -> None:
    """Store events without evaluating them, until `reevaluate`. Survives restarts of the detector."""
    async with _pool(settings) as pool:
        await evaluation.set_held(pool, True)


async def reevaluate(settings: DetectorSettings, since: int, report: ReportProgress) -> MessageCounts | None:
    """Release a hold, and evaluate all history again under the policy; intervals that ended by `since` (us) stay.

    `report` gets the events that were read again. None: the watermark is not known yet, so that the detector evaluates
    by itself as soon as it is.
    """
    async with _pool(settings, connections=2) as pool:
        ruleset = Ruleset((await stored(settings, pool)).policy)
        result = await rebuild(pool, ruleset, settings, since, report)
        return None if result is None else result.published


async def wait_until_read(
    settings: DetectorSettings, report: ReportProgress, patience: float = PATIENCE_SECONDS
) -> None:
    """Wait until the detector has read what is on `pipeline.events` now, and knows its watermark.

    `report` gets the records that are read. Raises TopicMissing, and DetectorStalled when no record was read for
    `patience` seconds.
    """
    topic = settings.topic(EVENTS)
    ends = await _end_offsets(KafkaAccess.of(settings), topic)
    total, read, moved = sum(ends.values()), -1, time.monotonic()
    async with _pool(settings) as pool:
        begun = await database_now(pool)
        while read != total or not await _is_judged_to(pool, settings, begun):
            stored = await positions.load(pool, [topic])
            before, read = (
                read,
                sum(min(stored.get(tp, positions.NOT_STORED).next_offset, end) for tp, end in ends.items()),
            )
            report(read, total)
            if read > before:
                moved = time.monotonic()
            elif time.monotonic() - moved > patience:
                raise DetectorStalled(patience, total - read)
            await asyncio.sleep(POLL_SECONDS)


@asynccontextmanager
async def exclusive_load(settings: DetectorSettings) -> AsyncIterator[None]:
    """Load histories one at a time: the end of one would evaluate half of another. Raises LoadInProgress.

    The lock is given back with its connection, also when the process is killed. Holds nothing by itself: see `hold`.
    """
    async with _pool(settings) as pool, pool.acquire() as connection:
        if not await locks.try_session_lock(connection, "load"):
            raise LoadInProgress
        yield


async def list_stages(settings: ServiceSettings, policy: Policy) -> list[CatalogStage]:
    """Every stage that a source described or a deal was in, as the policy has it; by source, pipeline and order."""
    async with _pool(settings) as pool:
        return (await load_catalog(pool, policy, past=True)).rows()


@asynccontextmanager
async def _pool(settings: ServiceSettings, connections: int = 1) -> AsyncIterator[Pool]:
    pool = await open_flow(settings.dsn, max_size=connections)
    try:
        yield pool
    finally:
        await pool.close()


async def _is_judged_to(pool: Pool, settings: DetectorSettings, begun: int) -> bool:
    """Whether the watermark is known and, by the wall clock, has come to when waiting began.

    Until a partition is seen at its end, it stands at its last record: intervals that are over by now would not be
    known as historic.
    """
    found = await current_watermark(pool, settings.clock)
    return found is not None and (settings.clock is not ClockKind.WALL or found >= begun)


async def _end_offsets(kafka: KafkaAccess, topic: str) -> dict[TopicPartition, int]:
    numbers = await partitions_of(kafka, topic)
    if not numbers:
        raise TopicMissing(f"there is no topic {topic}: make it with andon topics create")
    consumer = AIOKafkaConsumer(**kafka.client_options(), enable_auto_commit=False)
    await consumer.start()
    try:
        ends: dict[TopicPartition, int] = await consumer.end_offsets([TopicPartition(topic, n) for n in numbers])
        return ends
    finally:
        await consumer.stop()

"""Partitions that nobody reads: positions in Postgres (decision 0001) against the ends of the logs.

A service that is behind moves its position; one that does not run leaves it where it is. So what is unread is looked at
twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import asyncpg
from aiokafka import TopicPartition

from services.cli.doctor.check import Check, Site
from services.cli.doctor.finding import CheckFinding, bad, good, look
from services.enricher.settings import EnricherSettings
from shared.connectors import config
from shared.connectors.base.settings import ApiSourceSettings
from shared.contracts.rights import RIGHTS
from shared.contracts.topics import POLICY
from shared.kafka.layout import cluster_layout, log_bounds
from shared.postgres.command import one_connection
from shared.postgres.roles import SCHEMAS
from shared.runtime.yaml_file import FaultsError
from shared.stream import positions

BETWEEN_SECONDS = 2.0
Bounds = Mapping[TopicPartition, tuple[int, int]]


@dataclass(frozen=True)
class ReadPositions:
    """How far one service has read the partitions that it is to read; `hidden`: its positions may not be seen."""

    service: str
    next_offsets: Mapping[TopicPartition, int]
    hidden: bool = False


async def _run(site: Site) -> list[CheckFinding]:
    wanted = _wanted(site)
    names = {topic for topics in wanted.values() for topic in topics}
    layout = await cluster_layout(site.kafka, names)
    counts = {name: topic.partitions for name, topic in layout.topics.items()}
    bounds = await log_bounds(site.kafka, counts)
    before = await _readings(site, wanted, bounds)
    after = before
    if any(_unread(reading, bounds) for reading in before):
        await asyncio.sleep(BETWEEN_SECONDS)
        after = await _readings(site, wanted, bounds)
    return [
        finding for first, second in zip(before, after, strict=True) for finding in findings_of(first, second, bounds)
    ]


def _wanted(site: Site) -> dict[str, set[str]]:
    """The topics that each service reads here, with prefix."""
    unused = {POLICY} if site.settings.is_policy_a_file else set()
    return {
        service: {site.settings.topic(topic) for topic in RIGHTS[service].reads if topic not in unused}
        for service in SCHEMAS
        if service != "enricher" or _asks_crms()
    }


def _asks_crms() -> bool:
    """Whether a source has an API. Without one the enricher need not run."""
    try:
        sources = config.load(EnricherSettings.from_environment().sources).values()
    except FaultsError:
        return False
    return any(isinstance(one.settings, ApiSourceSettings) and one.settings.api is not None for one in sources)


async def _readings(site: Site, wanted: Mapping[str, set[str]], bounds: Bounds) -> list[ReadPositions]:
    return await asyncio.gather(*(_reading(site, service, topics, bounds) for service, topics in wanted.items()))


async def _reading(site: Site, service: str, topics: set[str], bounds: Bounds) -> ReadPositions:
    try:
        async with one_connection(site.settings.dsn, SCHEMAS[service]) as pool:
            stored = await positions.load(pool, sorted(topics))
    except (asyncpg.InsufficientPrivilegeError, asyncpg.UndefinedTableError):
        return ReadPositions(service, {}, hidden=True)
    read = (partition for partition in bounds if partition.topic in topics)
    return ReadPositions(service, {p: stored[p].next_offset if p in stored else 0 for p in read})


def findings_of(before: ReadPositions, after: ReadPositions, bounds: Bounds) -> list[CheckFinding]:
    """What a service has left unread; `after`: the same some seconds later."""
    subject = f"{before.service} reads"
    if before.hidden:
        return [look(subject, "its positions may not be seen", "run this as the owner of the database; andon migrate")]
    found = [*_lost(after, bounds), *_not_moving(before, after, bounds)]
    return found or [good(subject, _summary(after, bounds))]


def _not_moving(before: ReadPositions, after: ReadPositions, bounds: Bounds) -> Iterator[CheckFinding]:
    unread = _unread(after, bounds)
    stuck = sorted(p for p in unread if before.next_offsets[p] == after.next_offsets[p])
    if stuck:
        shown = ", ".join(f"{p.topic}/{p.partition}" for p in stuck[:4]) + (", ..." if len(stuck) > 4 else "")
        text = f"nobody reads {shown}: {sum(unread[p] for p in stuck)} records wait, and none was taken"
        yield bad(f"{after.service} reads", text, f"start it, or read its log: andon {after.service}")


def _lost(after: ReadPositions, bounds: Bounds) -> Iterator[CheckFinding]:
    """A log that ends before what was read of it is another one."""
    for partition, position in sorted(after.next_offsets.items()):
        end = bounds[partition][1]
        if position > end:
            text = f"{partition.topic}/{partition.partition} ends at {end}, and was read up to {position}"
            yield bad(f"{after.service} reads", text, "see docs/operator/care.md, A truncated log")


def _unread(reading: ReadPositions, bounds: Bounds) -> dict[TopicPartition, int]:
    """How many offsets wait in each partition that has some."""
    waiting = {p: bounds[p][1] - max(bounds[p][0], at) for p, at in reading.next_offsets.items()}
    return {partition: count for partition, count in waiting.items() if count > 0}


def _summary(reading: ReadPositions, bounds: Bounds) -> str:
    unread, of = sum(_unread(reading, bounds).values()), len(reading.next_offsets)
    return f"{of} partitions to their ends" if not unread else f"{of} partitions, {unread} records behind, catching up"


CHECK = Check("readers", _run, needs=("kafka", "postgres"))

"""Creates topics. Services never do: a topic that the broker creates by itself has the wrong partitions."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, TopicAuthorizationFailedError, for_code

from shared.contracts.topics import ALL_TOPICS, Topic
from shared.kafka.access import KafkaAccess

KNOWN_SECONDS = 10.0


class TopicMismatchError(Exception):
    """A topic exists with fewer partitions than Andon needs."""


async def create_topics(
    kafka: KafkaAccess,
    prefix: str = "",
    topics: tuple[Topic, ...] = ALL_TOPICS,
    replication: int = 1,
    partitions: int | None = None,
) -> list[str]:
    """Create missing topics and return their names. Raises TopicMismatchError where a topic has too few partitions,
    KafkaError where the broker refuses to create one.

    `partitions` replaces the usual number for each topic that has more than one.
    """
    if partitions is not None:
        topics = tuple(replace(t, partitions=partitions) if t.partitions > 1 else t for t in topics)
    admin = AIOKafkaAdminClient(**kafka.client_options())
    await admin.start()
    try:
        wanted = {prefix + topic.name for topic in topics}
        # Only those that exist are described: a broker may create what it is asked for.
        existing = await _partition_counts(admin, wanted.intersection(await admin.list_topics()))
        _check_partitions(existing, topics, prefix)
        missing = [topic for topic in topics if prefix + topic.name not in existing]
        new = [NewTopic(prefix + t.name, t.partitions, replication, topic_configs=t.config) for t in missing]
        created = _created(await admin.create_topics(new)) if new else []
        # The list of a broker may be old: some are there all the same.
        found_late = {topic.name for topic in new} - set(created)
        _check_partitions(await _partition_counts(admin, found_late), topics, prefix)
        await _known(admin, created)
        return created
    finally:
        await admin.close()


async def _partition_counts(admin: AIOKafkaAdminClient, names: Collection[str]) -> dict[str, int]:
    return {topic["topic"]: len(topic["partitions"]) for topic in await _described(admin, names)}


async def _known(admin: AIOKafkaAdminClient, names: Collection[str]) -> None:
    """Wait until the broker knows topics, which the controller creates a moment before; KNOWN_SECONDS at most."""
    with suppress(TimeoutError):
        async with asyncio.timeout(KNOWN_SECONDS):
            while any(topic["error_code"] for topic in await _described(admin, names)):  # noqa: ASYNC110 (brokers call nobody back)
                await asyncio.sleep(0.02)


async def _described(admin: AIOKafkaAdminClient, names: Collection[str]) -> list[dict[str, Any]]:
    """What a broker knows of these topics. It would describe all for none, and may create those that are missing."""
    return list(await admin.describe_topics(sorted(names))) if names else []


def _created(answer: Any) -> list[str]:
    """The topics that were created, without those that existed. Raises KafkaError for one that the broker refused."""
    for topic, code, text in answer.topic_errors:
        if code not in (0, TopicAlreadyExistsError.errno):
            raise for_code(code)(f"{topic}: {text or 'not created'}")
    return [topic for topic, code, _ in answer.topic_errors if code == 0]


def _check_partitions(existing: dict[str, int], topics: tuple[Topic, ...], prefix: str) -> None:
    for topic in topics:
        partitions = existing.get(prefix + topic.name, topic.partitions)
        if partitions < topic.partitions:
            raise TopicMismatchError(
                f"topic {prefix + topic.name} has {partitions} partitions and needs {topic.partitions}; "
                "delete it if it is empty, or add partitions while all services are stopped"
            )


async def partitions_of(kafka: KafkaAccess, topic: str) -> list[int]:
    """The numbers of a topic's partitions; empty for a topic that does not exist.

    Raises TopicAuthorizationFailedError for one that the user may not see.
    """
    admin = AIOKafkaAdminClient(**kafka.client_options())
    await admin.start()
    try:
        (described,) = await admin.describe_topics([topic])
        if described["error_code"] == TopicAuthorizationFailedError.errno:
            raise TopicAuthorizationFailedError(topic)
        return sorted(partition["partition"] for partition in described["partitions"])
    finally:
        await admin.close()

"""Makes the topics. Services never do: a topic that appears by itself has the wrong partitions."""

from __future__ import annotations

from dataclasses import replace

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from shared.contracts.topics import ALL_TOPICS, Topic


class TopicMismatchError(Exception):
    """A topic is there with other partitions than the product needs."""


async def create_topics(
    bootstrap: str,
    prefix: str = "",
    topics: tuple[Topic, ...] = ALL_TOPICS,
    replication: int = 1,
    partitions: int | None = None,
) -> list[str]:
    """Make what is missing; the names of what was made. Raises TopicMismatchError where fewer partitions are there.

    `partitions`: of each topic that has several, other than the usual number.
    """
    if partitions is not None:
        topics = tuple(replace(t, partitions=partitions) if t.partitions > 1 else t for t in topics)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        present = {t["topic"]: len(t["partitions"]) for t in await admin.describe_topics(await admin.list_topics())}
        _check(present, topics, prefix)
        missing = [topic for topic in topics if prefix + topic.name not in present]
        new = [NewTopic(prefix + t.name, t.partitions, replication, topic_configs=t.config) for t in missing]
        if new:
            await admin.create_topics(new)
        return [topic.name for topic in new]
    finally:
        await admin.close()


def _check(present: dict[str, int], topics: tuple[Topic, ...], prefix: str) -> None:
    for topic in topics:
        there = present.get(prefix + topic.name, topic.partitions)
        if there < topic.partitions:
            raise TopicMismatchError(
                f"topic {prefix + topic.name} has {there} partitions, {topic.partitions} are needed; "
                "delete it if it is empty, or add partitions while all services are stopped"
            )


async def partitions_of(bootstrap: str, topic: str) -> list[int]:
    """The numbers of a topic's partitions; none where there is no such topic."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        (described,) = await admin.describe_topics([topic])
        return sorted(partition["partition"] for partition in described["partitions"])
    finally:
        await admin.close()

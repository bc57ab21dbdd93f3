"""How topics lie on the brokers: partitions, replicas, settings, and where their logs begin and end."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from shared.kafka.access import KafkaAccess

_NO_LEADER = -1


@dataclass(frozen=True)
class TopicLayout:
    """One topic. `replicas`: the least of a partition; `leaderless`, `lagging`: partitions without a leader, and with a
    replica that is behind. `config`: every setting; None where the user may not see them.
    """

    partitions: int
    replicas: int
    leaderless: tuple[int, ...]
    lagging: tuple[int, ...]
    config: dict[str, str] | None


@dataclass(frozen=True)
class ClusterLayout:
    """The brokers' number, and the topics that were asked for and exist, by name."""

    brokers: int
    topics: dict[str, TopicLayout]


async def cluster_layout(kafka: KafkaAccess, topics: Collection[str]) -> ClusterLayout:
    """How these topics lie. Creates none, and leaves out those that do not exist or may not be seen."""
    admin = AIOKafkaAdminClient(**kafka.client_options())
    await admin.start()
    try:
        cluster = await admin.describe_cluster()
        # Only those that exist are described: a broker may create what it is asked for.
        names = sorted(set(topics).intersection(await admin.list_topics()))
        described = await admin.describe_topics(names) if names else []
        configs = await _configs(admin, names) if names else {}
        found = {topic["topic"]: _layout(topic, configs) for topic in described if not topic["error_code"]}
        return ClusterLayout(len(cluster["brokers"]), found)
    finally:
        await admin.close()


async def _configs(admin: AIOKafkaAdminClient, names: Collection[str]) -> dict[str, dict[str, str]]:
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    return {
        name: {entry[0]: entry[1] for entry in entries}
        for answer in await admin.describe_configs(resources)
        for error, _, _, name, entries in answer.resources
        if not error
    }


def _layout(topic: dict[str, Any], configs: dict[str, dict[str, str]]) -> TopicLayout:
    partitions = topic["partitions"]
    return TopicLayout(
        len(partitions),
        min((len(one["replicas"]) for one in partitions), default=0),
        tuple(sorted(one["partition"] for one in partitions if one["leader"] == _NO_LEADER)),
        tuple(sorted(one["partition"] for one in partitions if len(one["isr"]) < len(one["replicas"]))),
        configs.get(topic["topic"]),
    )


async def log_bounds(kafka: KafkaAccess, topics: dict[str, int]) -> dict[TopicPartition, tuple[int, int]]:
    """Where the log of each partition begins and ends. `topics`: the number of partitions of each."""
    partitions = [TopicPartition(name, number) for name, count in topics.items() for number in range(count)]
    if not partitions:
        return {}
    consumer = AIOKafkaConsumer(**kafka.client_options(), enable_auto_commit=False)
    await consumer.start()
    try:
        begins, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
        return {partition: (begins[partition], ends[partition]) for partition in partitions}
    finally:
        await consumer.stop()

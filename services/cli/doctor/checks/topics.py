"""Whether the topics lie on Kafka as Andon wants them: partitions, replicas, settings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from services.cli.doctor.check import Check, Site
from services.cli.doctor.finding import CheckFinding, bad, good, look
from shared.contracts.rights import RIGHTS
from shared.contracts.topics import ALL_TOPICS, Topic
from shared.kafka.layout import ClusterLayout, TopicLayout, cluster_layout

_AT_LEAST = "max.message.bytes"


async def _run(site: Site) -> list[CheckFinding]:
    topics = _to_be_seen(site.settings.kafka_user)
    layout = await cluster_layout(site.kafka, [site.settings.topic(topic.name) for topic in topics])
    return list(findings_of(layout, topics, site.settings.topic_prefix)) or [_all_well(layout)]


def _to_be_seen(user: str) -> Sequence[Topic]:
    """All topics; a service's user may see those of its service only."""
    rights = RIGHTS.get(user.removeprefix("andon-"))
    own = {*rights.readable, *rights.writes} if rights else {topic.name for topic in ALL_TOPICS}
    return [topic for topic in ALL_TOPICS if topic.name in own]


def findings_of(layout: ClusterLayout, topics: Iterable[Topic], prefix: str) -> Iterator[CheckFinding]:
    """What is not as Andon wants it; nothing if all is."""
    for topic in topics:
        name = prefix + topic.name
        found = layout.topics.get(name)
        if found is None:
            yield bad(f"topic {name}", "does not exist, or may not be seen", "run: andon topics create")
        else:
            yield from _partitions(name, topic, found)
            yield from _settings(name, topic, found)
    if any(found.config is None for found in layout.topics.values()):
        yield look("topics", "not all settings may be seen", "run this as an operator's user (ANDON_KAFKA_USER)")
    yield from _replicas(layout)


def _partitions(name: str, topic: Topic, found: TopicLayout) -> Iterator[CheckFinding]:
    subject = f"topic {name}"
    if found.partitions < topic.partitions:
        text = f"has {found.partitions} partitions and needs {topic.partitions}"
        yield bad(subject, text, "delete it if it is empty, or add partitions while all services are stopped")
    if found.leaderless:
        yield bad(subject, f"partitions {_listed(found.leaderless)} have no leader", "start the broker that is down")
    elif found.lagging:
        text = f"replicas of partitions {_listed(found.lagging)} are behind"
        yield look(subject, text, "start the broker that is down; if all run, look at its disk and network")


def _settings(name: str, topic: Topic, found: TopicLayout) -> Iterator[CheckFinding]:
    if found.config is None:
        return
    for key, wanted in _wanted(topic).items():
        value = found.config.get(key, "")
        if value != wanted and not (key == _AT_LEAST and int(value or 0) >= int(wanted)):
            change = f"kafka-configs.sh --alter --topic {name} --add-config {key}={wanted}"
            yield bad(f"topic {name}", f"{key} is {value}, and must be {wanted}", f"run: {change}")


def _wanted(topic: Topic) -> dict[str, str]:
    """The broker's default for the clean-up may be another one than delete."""
    return {"cleanup.policy": "delete"} | topic.config


def _replicas(layout: ClusterLayout) -> Iterator[CheckFinding]:
    few = sorted(name for name, topic in layout.topics.items() if topic.replicas < min(3, layout.brokers))
    if few:
        text = (
            f"{len(few)} topics have less replicas than {min(3, layout.brokers)}, on {layout.brokers} brokers: {few[0]}"
        )
        yield look(
            "replicas", text, "a lost broker loses accepted events: add replicas with kafka-reassign-partitions.sh"
        )


def _all_well(layout: ClusterLayout) -> CheckFinding:
    replicas = min(topic.replicas for topic in layout.topics.values())
    text = f"{len(layout.topics)} are as Andon wants them; at least {replicas} replicas, brokers {layout.brokers}"
    return good("topics", text)


def _listed(numbers: tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers))


CHECK = Check("topics", _run, needs=("kafka",))

"""Names of the topics, and their layout on the broker."""

from __future__ import annotations

from dataclasses import dataclass, field

RECEIVED = "webhooks.received"
EVENTS = "pipeline.events"
STAGES = "pipeline.stages"
PROBLEMS = "flow.problems"
MEASURES = "flow.measures"
STAGE_STATUS = "flow.stages"
NOW = "flow.now"
SIGNALS = "flow.signals"
RELOCKS = "flow.relocks"
RECEIPTS = "flow.receipts"
TICKETS = "improvement.tickets"
NOTICES = "improvement.notices"
POLICY = "improvement.policy"
HANDLED = "dead-letters.handled"
DEAD_SUFFIX = ".dead"


@dataclass(frozen=True)
class Topic:
    """One topic: its name, what its record key is, its partitions and its settings on the broker."""

    name: str
    key: str
    partitions: int = 4
    config: dict[str, str] = field(default_factory=dict)


# Larger than any message of ours. A dead letter holds the largest one in base64, which is a third longer.
_LARGEST = {"max.message.bytes": "2097152"}
_LARGEST_DEAD = {"max.message.bytes": "4194304"}
_KEPT = {"retention.ms": "-1"} | _LARGEST
_COMPACTED = {"cleanup.policy": "compact"} | _LARGEST

# pipeline.events is the history: kept forever, so that all state can be rebuilt from it.
PRODUCT_TOPICS = (
    Topic(EVENTS, "deal", config=_KEPT),
    Topic(STAGES, "source/pipeline/stage/fields set", partitions=1, config=_COMPACTED),
    Topic(PROBLEMS, "problem key", config=_KEPT),
    Topic(MEASURES, "pipeline/stage/measure/start of the period", config=_COMPACTED),
    Topic(STAGE_STATUS, "pipeline/stage", partitions=1, config=_COMPACTED),
    Topic(NOW, "pipeline/stage", partitions=1, config=_COMPACTED),
    Topic(SIGNALS, "pipeline/stage/measure", config=_COMPACTED),
    Topic(RELOCKS, "chart@week", partitions=1, config=_COMPACTED),
    Topic(RECEIPTS, "source/hour/part, or judged", partitions=1, config=_COMPACTED),
    Topic(TICKETS, "ticket", config=_KEPT),
    Topic(NOTICES, "ticket", config=_KEPT),
    Topic(POLICY, "policy", partitions=1, config=_KEPT),
)


def dead(topic: str) -> str:
    """The topic of the dead letters of `topic`."""
    return topic + DEAD_SUFFIX


_FORTNIGHT = {"retention.ms": str(14 * 24 * 3600 * 1000)} | _LARGEST
ALL_TOPICS = (
    Topic(RECEIVED, "source", config=_FORTNIGHT),
    *PRODUCT_TOPICS,
    *(Topic(dead(t.name), t.key, partitions=1, config=_KEPT | _LARGEST_DEAD) for t in PRODUCT_TOPICS),
    Topic(HANDLED, "dead letter", partitions=1, config=_COMPACTED),
)

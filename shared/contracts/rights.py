"""Which service reads and writes which topic: no service needs more of Kafka, and none is granted more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shared.contracts.topics import (
    EVENTS,
    HANDLED,
    MEASURES,
    NOTICES,
    NOW,
    POLICY,
    PROBLEMS,
    PRODUCT_TOPICS,
    RECEIPTS,
    RECEIVED,
    RELOCKS,
    SIGNALS,
    STAGE_STATUS,
    STAGES,
    TICKETS,
    dead,
)


@dataclass(frozen=True)
class TopicRights:
    """Topics that a service consumes, in these groups, and topics that it produces to besides. Without prefix.

    A consumer writes what it cannot handle to the dead letters of the topic. `watches`: topics that it reads in no
    group, and only counts.
    """

    groups: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    publishes: tuple[str, ...] = ()
    watches: tuple[str, ...] = ()

    @property
    def readable(self) -> tuple[str, ...]:
        return (*self.reads, *self.watches)

    @property
    def writes(self) -> tuple[str, ...]:
        return (*self.publishes, *(dead(topic) for topic in self.reads if dead(topic) not in self.publishes))


RIGHTS: Mapping[str, TopicRights] = {
    "intake": TopicRights(publishes=(RECEIVED, EVENTS, STAGES, dead(EVENTS))),
    "detector": TopicRights(
        groups=("andon-detector", "andon-detector-stages", "andon-detector-relocks", "andon-detector-policy"),
        reads=(EVENTS, STAGES, RELOCKS, POLICY),
        publishes=(EVENTS, PROBLEMS, MEASURES, STAGE_STATUS, NOW, RECEIPTS),
    ),
    "analyst": TopicRights(
        groups=("andon-analyst", "andon-analyst-policy"),
        reads=(MEASURES, RELOCKS, RECEIPTS, POLICY),
        publishes=(SIGNALS, PROBLEMS),
    ),
    "enricher": TopicRights(groups=("andon-enricher",), reads=(EVENTS,), publishes=(EVENTS, STAGES)),
    "tickets": TopicRights(
        groups=("andon-tickets", "andon-tickets-policy"),
        reads=(PROBLEMS, MEASURES, NOTICES, STAGE_STATUS, NOW, RELOCKS, POLICY),
        publishes=(TICKETS, RELOCKS, POLICY),
    ),
    "notifier": TopicRights(
        groups=("andon-notifier", "andon-notifier-policy"),
        reads=(TICKETS, NOW, POLICY),
        publishes=(NOTICES,),
        watches=(HANDLED, *(dead(topic.name) for topic in PRODUCT_TOPICS)),
    ),
    "canary": TopicRights(watches=(EVENTS, PROBLEMS, TICKETS, NOTICES)),
}

# What operators' commands read and write: replay, import, relock, stages, retranslate, dead letters.
COMMANDS = TopicRights(
    publishes=(*(topic.name for topic in PRODUCT_TOPICS), HANDLED),
    watches=(RECEIVED, EVENTS, HANDLED, *(dead(topic.name) for topic in PRODUCT_TOPICS)),
)

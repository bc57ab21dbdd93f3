"""The first fourteen months of the shop's log, under a policy that finds problems of every kind on counts in them."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from shared.contracts.events import DealEvent
from shared.policy import Policy, parse

SHOP = Path(__file__).parents[1] / "data" / "shop"
UNTIL = datetime(2024, 3, 1, tzinfo=UTC)
# The first deals are seen in the middle of their lives: what is told of them late is older than the lateness.
STEADY_SINCE = datetime(2023, 2, 1, tzinfo=UTC)
# What makes problems frequent in so short a time.
LOWER = {
    "limit: 20d, count: 8": "limit: 8d, count: 7",
    "limit: 15d": "limit: 4d",
    "max: 40": "max: 14",
    "limit: 14d, count: 6": "limit: 4d, count: 6",
    "false_alarms: 2 ": "false_alarms: 30",
    "budget: 0.2, clear": "budget: 20, clear",
}


@cache
def short_shop() -> list[DealEvent]:
    """In the order of time."""
    with gzip.open(SHOP / "events.jsonl.gz", "rt") as lines:
        events = [DealEvent.model_validate_json(line) for line in lines]
    return sorted((event for event in events if event.time <= UNTIL), key=lambda event: event.time)


def policy_text() -> str:
    text = (SHOP / "policy.yaml").read_text()
    for written, lower in LOWER.items():
        assert written in text
        text = text.replace(written, lower)
    return text


@cache
def shop_policy() -> Policy:
    return parse(policy_text())

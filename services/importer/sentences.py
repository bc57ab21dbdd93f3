"""Rows as they are understood, in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from shared.connectors.base.facts import DealFact
from shared.contracts.events import EventType

_WORDS = {EventType.CREATED: "created", EventType.MOVED: "moved", EventType.WON: "won", EventType.LOST: "lost"}


def sentence(told: Sequence[DealFact], zone: ZoneInfo) -> str:
    """`deal 123 created 3 March 2026 in Prospecting; won 14 April 2026`, with times where they are told."""
    steps = [step for event in sorted(told, key=lambda one: one.time) if (step := _step(event, zone))]
    return f"deal {told[0].deal} {'; '.join(steps)}"


def _step(event: DealFact, zone: ZoneInfo) -> str:
    if event.type not in _WORDS:
        return ""
    at = event.time.astimezone(zone)
    # Steps of one day that are only ordered within it lie some microseconds after its start.
    clock = f"{at:%H:%M}" if (at.hour, at.minute, at.second) != (0, 0, 0) else ""
    when = f"{at.day} {at:%B %Y} {clock}".strip()
    stage = event.data.get("stage")
    if event.type is not EventType.MOVED:
        return f"{_WORDS[event.type]} {when}" + (f" in {stage}" if stage else "")
    # Without the instant of the entry, the deal was only seen there.
    return f"moved to {stage} {when}" if "entered_at" in event.data else f"seen in {stage} {when}"

"""Describes rows in sentences, so that a person can check how the table is read."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from shared.connectors.base.facts import DealFact
from shared.contracts.events import EventType

_VERBS = {EventType.CREATED: "created", EventType.MOVED: "moved", EventType.WON: "won", EventType.LOST: "lost"}


def describe_row(events: Sequence[DealFact], zone: ZoneInfo) -> str:
    """`deal 123 created 3 March 2026 in Prospecting; won 14 April 2026`, with the time of day where it is known."""
    parts = [part for event in sorted(events, key=lambda one: one.time) if (part := _describe_event(event, zone))]
    return f"deal {events[0].deal} {'; '.join(parts)}"


def _describe_event(event: DealFact, zone: ZoneInfo) -> str:
    if event.type not in _VERBS:
        return ""
    at = event.time.astimezone(zone)
    # Steps with only a date are placed microseconds after the start of the day.
    clock = f"{at:%H:%M}" if (at.hour, at.minute, at.second) != (0, 0, 0) else ""
    when = f"{at.day} {at:%B %Y} {clock}".strip()
    stage = event.data.get("stage")
    if event.type is not EventType.MOVED:
        return f"{_VERBS[event.type]} {when}" + (f" in {stage}" if stage else "")
    # Without the instant of entering, the deal was only seen there.
    return f"moved to {stage} {when}" if "entered_at" in event.data else f"seen in {stage} {when}"

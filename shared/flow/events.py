"""From messages to the core's events."""

from __future__ import annotations

from typing import Any

from shared.contracts.events import DealData, DealEvent
from shared.flow.visits import Event, Key
from shared.runtime.instants import micros

_MOMENTS = ("entered_at", "next_step_at")


def event_of(message: DealEvent) -> Event:
    """The core's form of a message; only what was said is in it."""
    known = said(message.data)
    if message.translation:
        known["translation"] = message.translation
    return Event(message.subject, Key(micros(message.time), message.type.rank, message.id), known)


def said(data: DealData) -> dict[str, Any]:
    """What was said, times as microseconds. The owner is a person: nothing is kept of it."""
    found = data.__dict__
    values = {name: found[name] for name in data.model_fields_set if name != "owner"}
    for name in _MOMENTS:
        if values.get(name) is not None:
            values[name] = micros(values[name])
    return values

"""Messages as the domain's values. It reads attributes of messages only: nothing of a message's library is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.flow.visits import Event, EventKey
from shared.runtime.instants import micros

if TYPE_CHECKING:
    from shared.contracts.events import DealData, DealEvent

_MOMENTS = ("entered_at", "next_step_at")


def event_of(message: DealEvent) -> Event:
    """The event of a message; holds only the fields that the message sets."""
    fields = fields_of(message.data)
    if message.translation:
        fields["translation"] = message.translation
    return Event(message.subject, EventKey(micros(message.time), message.type.rank, message.id), fields)


def fields_of(data: DealData) -> dict[str, Any]:
    """The fields that are set, times in microseconds. Without the owner: that is a person, so nothing of it is kept."""
    values = data.__dict__
    fields = {name: values[name] for name in data.model_fields_set if name != "owner"}
    for name in _MOMENTS:
        if fields.get(name) is not None:
            fields[name] = micros(fields[name])
    return fields

"""How this service's events become messages of the outbox."""

from __future__ import annotations

from typing import Any

from shared.contracts.envelope import Envelope
from shared.kafka.publisher import OutgoingMessage

EVENT_SOURCE = "andon/detector"


def keyed_by_subject(topic: str, event: Envelope[Any]) -> OutgoingMessage:
    """The event as a message whose key is its subject, so that events of one subject keep their order."""
    return OutgoingMessage(topic, event.subject.encode(), event.to_json())

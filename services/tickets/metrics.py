"""The metrics of tickets. Labels are kinds and states, never a ticket."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge

from shared import wording
from shared.contracts.tickets import TicketChange, TicketState


class TicketMetrics:
    """How many tickets there are, and what changes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.tickets = Gauge("andon_tickets", "tickets by kind and state", ["kind", "state"], registry=registry)
        changes = Counter("andon_tickets_changes_total", "changes of tickets, by change", ["change"], registry=registry)
        self.changes = {change: changes.labels(change.value) for change in TicketChange}
        self.dead_letters = Counter(
            "andon_tickets_dead_letters_total", "records that went to the dead letters", registry=registry
        )
        self.charts_failed = Counter(
            "andon_tickets_charts_failed_total",
            "charts that could not be drawn",
            registry=registry,
        )
        self.messages_oldest = Gauge(
            "andon_tickets_messages_oldest_seconds",
            "age of the oldest message that waits for its chart",
            registry=registry,
        )
        for kind in wording.KINDS:
            for state in TicketState:
                self.tickets.labels(kind, state.value)

    def count(self, counts: Mapping[tuple[str, str], int]) -> None:
        """Bring the gauge up to date."""
        for kind in wording.KINDS:
            for state in TicketState:
                self.tickets.labels(kind, state.value).set(counts.get((kind, state.value), 0))

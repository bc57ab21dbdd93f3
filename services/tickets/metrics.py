"""The tickets' own metrics. Labels are kinds and states, never a ticket."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from shared.contracts.tickets import TicketChange, TicketState

KINDS = ("aging", "wip-high", "wip-low", "stalled")


class TicketMetrics:
    """How many tickets there are, and what happens to them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.tickets = Gauge("andon_tickets", "tickets by kind and state", ["kind", "state"], registry=registry)
        changes = Counter(
            "andon_tickets_changes_total", "changes of tickets, by what happened", ["change"], registry=registry
        )
        self.changes = {change: changes.labels(change.value) for change in TicketChange}
        self.dead = Counter("andon_tickets_dead_letters_total", "records put aside", registry=registry)
        for kind in KINDS:
            for state in TicketState:
                self.tickets.labels(kind, state.value)

    def count(self, counts: dict[tuple[str, str], int]) -> None:
        """Bring the gauge up to date."""
        for kind in KINDS:
            for state in TicketState:
                self.tickets.labels(kind, state.value).set(counts.get((kind, state.value), 0))

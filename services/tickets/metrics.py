"""The metrics of tickets. Labels are kinds and states, never a ticket."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter

from shared import wording
from shared.contracts.tickets import TicketChange, TicketState
from shared.runtime.measured import MeasuredGauge


class TicketMetrics:
    """How many tickets there are, and what changes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.tickets = MeasuredGauge(
            "andon_tickets",
            "tickets by kind and state. Of the system: aggregate by max.",
            ["kind", "state"],
            registry=registry,
        )
        changes = Counter(
            "andon_tickets_changes_total",
            "changes of tickets, by change. Of a replica: aggregate by sum.",
            ["change"],
            registry=registry,
        )
        self.changes = {change: changes.labels(change.value) for change in TicketChange}
        self.dead_letters = Counter(
            "andon_tickets_dead_letters_total",
            "records that went to the dead letters. Of a replica: aggregate by sum.",
            registry=registry,
        )
        self.charts_failed = Counter(
            "andon_tickets_charts_failed_total",
            "charts that could not be drawn. Of a replica: aggregate by sum.",
            registry=registry,
        )
        self.studies_failed = Counter(
            "andon_tickets_studies_failed_total",
            "looks at studies that failed. Of a replica: aggregate by sum.",
            registry=registry,
        )
        self.messages_oldest = MeasuredGauge(
            "andon_tickets_messages_oldest_seconds",
            "age of the oldest message that waits for its chart. Of the system: aggregate by max.",
            registry=registry,
        )

    def count(self, counts: Mapping[tuple[str, str], int]) -> None:
        """Bring the gauge up to date."""
        for kind in wording.KINDS:
            for state in TicketState:
                self.tickets.set(counts.get((kind, state.value), 0), kind, state.value)

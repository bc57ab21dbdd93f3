"""The metrics of tickets. Labels are kinds and states, never a ticket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from shared import wording
from shared.contracts.tickets import TicketChange, TicketState
from shared.runtime.measured import MeasuredGauge, MeasuredHistogram

_HOUR, _DAY = 3600, 86_400
WAITING_SECONDS = (_HOUR, 4 * _HOUR, *(days * _DAY for days in (1, 2, 3, 7, 14, 28, 56, 91, 182)))
ANSWER_SECONDS = (60, 300, 900, 1800, _HOUR, 4 * _HOUR, 8 * _HOUR, *(days * _DAY for days in (1, 2, 3, 7, 14, 28)))


class TicketMetrics:
    """How many tickets there are, and what changes. `pages_url`: where readers reach the pages; empty: not shown."""

    def __init__(self, registry: CollectorRegistry, pages_url: str = "") -> None:
        self.tickets = MeasuredGauge(
            "andon_tickets",
            "tickets by kind and state. Of the system: aggregate by max.",
            ["kind", "state"],
            registry=registry,
        )
        self.waiting = MeasuredHistogram(
            "andon_ticket_waiting_seconds",
            "how long the tickets that are open now have been in their state, by state; its counts also fall. "
            "Of the system: aggregate by max.",
            ["state"],
            WAITING_SECONDS,
            registry=registry,
        )
        self.messages_oldest = MeasuredGauge(
            "andon_tickets_messages_oldest_seconds",
            "age of the oldest message that waits for its chart. Of the system: aggregate by max.",
            registry=registry,
        )
        self._count_changes(registry)
        _show_pages(registry, pages_url)
        self.cord_answer_seconds = _answer_seconds(registry)

    def _count_changes(self, registry: CollectorRegistry) -> None:
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

    def count(self, counts: Mapping[tuple[str, str], int]) -> None:
        """Bring the gauge up to date."""
        for kind in wording.KINDS:
            for state in TicketState:
                self.tickets.set(counts.get((kind, state.value), 0), kind, state.value)

    def show_waiting(self, found: Mapping[str, Sequence[float]]) -> None:
        """Show how many seconds open tickets have been in their state. `found`: by state."""
        states = [state.value for state in TicketState if state is not TicketState.CLOSED]
        self.waiting.replace({(state,): found.get(state, ()) for state in states})


def _show_pages(registry: CollectorRegistry, url: str) -> None:
    pages = Gauge(
        "andon_pages_info",
        "1; the address of the pages, for links of dashboards. Of the system: aggregate by max.",
        ["url"],
        registry=registry,
    )
    if url:
        pages.labels(url).set(1)


def _answer_seconds(registry: CollectorRegistry) -> Histogram:
    return Histogram(
        "andon_cord_answer_seconds",
        "time from a pull of the cord to the first thing that a person did about its ticket, where nobody was at"
        " work on it. Of a replica: aggregate by sum.",
        buckets=ANSWER_SECONDS,
        registry=registry,
    )

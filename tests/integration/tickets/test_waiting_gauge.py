"""How long open tickets have been in their state, as a metric."""

from __future__ import annotations

from datetime import timedelta

from prometheus_client import CollectorRegistry

from services.tickets.metrics import TicketMetrics
from services.tickets.store import tickets as ticket_store
from shared.postgres.pool import Pool
from tests.integration.tickets.records import TicketParts, records
from tests.integration.tickets.test_inbox import NOW, HandClock
from tests.support.problems import event, policy, problem

WAITING = "andon_ticket_waiting_seconds"


async def test_an_open_ticket_waits_since_it_came_into_its_state(pool: Pool) -> None:
    clock, registry = HandClock(), CollectorRegistry()
    parts, metrics = TicketParts(pool, policy(), clock), TicketMetrics(registry)

    async def shown(state: str, bound: str) -> float | None:
        metrics.show_waiting(await ticket_store.waiting(pool, clock.now()))
        return registry.get_sample_value(f"{WAITING}_bucket", {"state": state, "le": bound})

    await parts.handle(*records([event(problem())]))
    clock.at = NOW + timedelta(hours=2)
    assert [await shown("open", bound) for bound in ("3600.0", "14400.0", "+Inf")] == [0, 1, 1]
    assert await shown("acknowledged", "+Inf") == 0
    assert registry.get_sample_value(f"{WAITING}_gsum", {"state": "open"}) == 3 * 3600, "since the problem was found"

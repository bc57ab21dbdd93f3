"""The canary in tickets: the same handlers as all problems, over tables and a policy of its own."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry

from services.tickets.changes import TicketChanges
from services.tickets.handlers import ConsumedEvent, TicketHandlers
from services.tickets.metrics import TicketMetrics
from shared.contracts.canary import is_canary_problem
from shared.contracts.notices import NoticeEvent
from shared.contracts.problems import ProblemEvent
from shared.policy.canary import canary_policy
from shared.runtime.clock import Clock

SCHEMA = "tickets"


def is_canary(event: ConsumedEvent) -> bool:
    """Whether a message is about the canary: its problem, or a mail about it. There are no other ones."""
    return isinstance(event, ProblemEvent | NoticeEvent) and is_canary_problem(event.data.key)


def canary_handlers(url: str, clock: Clock, changed: Callable[[], None]) -> TicketHandlers:
    """Handle what the canary causes. Its tickets are counted in no metrics that anybody reads."""
    policy = canary_policy()
    changes = TicketChanges(policy, url, TicketMetrics(CollectorRegistry()), clock)
    return TicketHandlers(changes, policy, clock, changed)

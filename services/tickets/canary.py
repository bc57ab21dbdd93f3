"""The canary in tickets: the same handlers as all problems, over tables and a policy of its own."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry

from services.tickets.changes import TicketChanges
from services.tickets.charts.spec import Drawing
from services.tickets.domain.ticket import TicketStep
from services.tickets.handlers import ConsumedEvent, TicketHandlers
from services.tickets.metrics import TicketMetrics
from shared.contracts.canary import is_canary_problem
from shared.contracts.notices import NoticeEvent
from shared.contracts.problems import ProblemEvent
from shared.policy import StageTitles
from shared.policy.canary import canary_policy
from shared.postgres.pool import Connection
from shared.runtime.clock import Clock

SCHEMA = "tickets"


def is_canary(event: ConsumedEvent) -> bool:
    """Whether a message is about the canary: its problem, or a mail about it. There are no other ones."""
    return isinstance(event, ProblemEvent | NoticeEvent) and is_canary_problem(event.data.key)


class _WithoutCharts(TicketChanges):
    """Topics keep messages for ever, and a chart would be most of one."""

    async def _chart(self, connection: Connection, step: TicketStep, titles: StageTitles) -> Drawing | None:
        return None


def canary_handlers(url: str, clock: Clock, changed: Callable[[], None]) -> TicketHandlers:
    """Handle what the canary causes. Its tickets are counted in no metrics that anybody reads."""
    policy = canary_policy()
    changes = _WithoutCharts(policy, url, TicketMetrics(CollectorRegistry()), clock)
    return TicketHandlers(changes, policy, clock, changed)

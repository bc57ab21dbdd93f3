"""What the endpoints of the API work with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from services.tickets.plan_changes import TicketWriter
from services.tickets.policy_saving import PolicySaving
from shared.flow.statistics.columns import Chart
from shared.policy import Policy
from shared.postgres.pool import Pool
from shared.runtime.clock import Clock, SystemClock
from shared.stream.policies import PolicyInForce

NO_TEXT = PolicyInForce(0, "")


@dataclass(frozen=True)
class ApiParts:
    """`changed` is called after a commit that changed a ticket, `published` after one that filled the outbox.

    `relocks_topic`: where baselines go. `renewals`: the charts whose baseline is due for renewal, by pipeline. `wall`:
    real time, also where tickets live in a log's. `saving`: None where the policy is a file.
    """

    pool: Pool
    policy: Policy
    clock: Clock
    writer: TicketWriter
    changed: Callable[[], None]
    published: Callable[[], None]
    relocks_topic: str
    renewals: Callable[[], Mapping[str, Sequence[Chart]]] = dict
    wall: Clock = field(default_factory=SystemClock)
    in_force: PolicyInForce = NO_TEXT
    saving: PolicySaving | None = None

"""Plans and seals for tests."""

from __future__ import annotations

from datetime import UTC, date, datetime
from fractions import Fraction
from typing import Any

from services.tickets.domain.plan import Countermeasure, Plan, Predicted, Task
from services.tickets.domain.seal import SealedGround, SealedPlan, SealedWeeks
from shared.contracts.measures import Column
from shared.flow.statistics.columns import Chart
from shared.flow.statistics.effect import SizeUnit

WAITING = Chart("new", "proposal", Column.TIME_IN_STAGE_MEDIAN)
WON = Chart("new", "", Column.WIN_RATE)


def plan(**fields: Any) -> Plan:
    known: dict[str, Any] = {
        "aim": "Proposals wait less for an answer.",
        "measure": WAITING,
        "change": "Two people answer each morning.",
        "countermeasure": Countermeasure.CAPACITY,
        "tasks": (Task("Make a roster", "Sales lead", date(2026, 12, 1)),),
        "predicted": Predicted(Fraction(3, 10), SizeUnit.SHARE, "Half of the waiting is for an answer."),
        "change_date": date(2026, 12, 7),
        "new_entries_only": False,
        "balancing": WON,
    }
    return Plan(**(known | fields))


def sealed(ticket: int = 1, **fields: Any) -> SealedPlan:
    """A seal; fields of the plan, or of the seal."""
    own = {name: fields.pop(name) for name in tuple(fields) if name in SealedPlan.__dataclass_fields__}
    weeks = SealedWeeks(
        tuple(f"2026-W{week}" for week in range(26, 46)), tuple(f"2026-W{week}" for week in range(10, 46)), None, 0.1
    )
    known: dict[str, Any] = {
        "cycle": 1,
        "number": 1,
        "sealed_at": datetime(2026, 11, 28, 9, tzinfo=UTC),
        "reason": None,
        "before": "",
        "plan": plan(**fields),
        "ground": SealedGround("Europe/Berlin", ("2026-W46", "2026-W47"), None, weeks, smallest=Fraction(1, 4)),
    }
    return SealedPlan(ticket, **(known | own))

"""Tickets with a sealed plan in any state, written past the checks of single changes."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any

from services.tickets.domain.plan import Countermeasure, Plan, Predicted
from services.tickets.domain.seal import SealedGround, SealedPlan, SealedWeeks
from shared.contracts.measures import Column
from shared.flow.statistics.columns import Chart
from shared.flow.statistics.effect import SizeUnit
from shared.postgres.pool import Pool

CHART = Chart("new", "proposal", Column.TIME_IN_STAGE_MEDIAN)
# The change that leads to a state, and the state before it.
_STEPS = {
    "planned": ("planned", "open"),
    "doing": ("started", "planned"),
    "verifying": ("verifying", "doing"),
    "closed": ("verdict", "verifying"),
}
_SEAL = "INSERT INTO sealed_plan (ticket, cycle, number, content, hash, sealed_at) VALUES ($1, 1, 1, $2, $3, $4)"
_CHANGE = """
INSERT INTO change (ticket, seq, change, from_state, to_state, at, actor)
SELECT id, seq + 1, $2, $3, $4, $5, 'system' FROM ticket WHERE id = $1
"""
_TICKET = """
UPDATE ticket SET state = $2, outcome = $3, closed_at = CASE WHEN $2 = 'closed' THEN $5::timestamptz END, plan = 1,
    change_date = $4, seq = seq + 1, before = NULL
WHERE id = $1
"""
_STUDY = """
INSERT INTO study (ticket, cycle, plan, started_at, verdict, verdict_at, data, ended_at)
VALUES ($1, 1, 1, $2, $3, $2, $4, $2)
"""


def plan(change_date: date) -> Plan:
    return Plan(
        "Deals leave within three weeks.",
        CHART,
        "Legal reads a proposal on the day it comes.",
        Countermeasure.STEP,
        (),
        Predicted(Fraction(1, 5), SizeUnit.SHARE, "It waits."),
        change_date,
        new_entries_only=False,
        balancing=None,
    )


async def seal(
    pool: Pool, number: int, change_date: date, state: str, now: datetime, outcome: str | None = None
) -> None:
    """Seal a plan of an open ticket, and bring the ticket into a state, six days ago."""
    ground = SealedGround("Europe/Berlin", (), None, SealedWeeks((), ()))
    sealed, at = SealedPlan(number, 1, 1, now, None, "", plan(change_date), ground), now - timedelta(days=6)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(_SEAL, number, sealed.content.decode(), sealed.hash, now)
        await connection.execute(_CHANGE, number, *_STEPS[state], state, at)
        await connection.execute(_TICKET, number, state, outcome, change_date, at)


async def verdict(pool: Pool, number: int, found: str, now: datetime, **data: Any) -> None:
    """What the study of the plan found, which is over. `data`: its sentences."""
    await pool.execute(_STUDY, number, now, found, {"weeks_over": 13} | data)

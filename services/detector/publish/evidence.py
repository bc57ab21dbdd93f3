"""The deals behind a problem: an exact count, the worst, and a random sample that is the same whenever it is drawn.

Counting, ranking and drawing happen in SQL: a pass fetches at most WORST + SAMPLE rows, however many deals there are.
No owner of a deal is ever read.
"""

from __future__ import annotations

from typing import Any

from services.detector.publish.age_limit import latest_start
from services.detector.store.history import NEXT_STEP_AT, attributes
from shared.contracts.measures import Measure
from shared.contracts.problems import Evidence, EvidenceDeal
from shared.flow.rules import Rule
from shared.postgres.pool import Executor, Record
from shared.runtime.instants import micros, moment

WORST, SAMPLE = 10, 5
_OPEN = "SELECT v.deal, v.entered, v.progressed FROM visit AS v"
_IN_STAGE = "WHERE v.pipeline = $1 AND v.stage = $2 AND v.left_at IS NULL"
_ENTERED = f"{_OPEN} {_IN_STAGE} AND v.entered <= $3"
# A planned step that lies ahead excuses a deal.
_STALLED = f"""
{_OPEN} JOIN deal AS d ON d.deal = v.deal {_IN_STAGE} AND v.progressed <= $3 AND coalesce({NEXT_STEP_AT}, 0) <= $4
"""


def _ranked(counted: str, order: str, draw: str) -> str:
    """SQL: the deals to show of those `counted`, the worst first; `total` is how many were counted.

    md5 of deal and seed gives a random order that anybody can draw again.
    """
    return f"""
WITH counted AS MATERIALIZED ({counted}),
    worst AS (SELECT deal FROM counted ORDER BY {order}, deal LIMIT {WORST}),
    drawn AS (SELECT deal FROM counted ORDER BY md5(deal || {draw}) LIMIT {SAMPLE})
SELECT deal, entered, progressed, d.state, (SELECT count(*) FROM counted) AS total,
    deal IN (SELECT deal FROM worst) AS is_worst, deal IN (SELECT deal FROM drawn) AS is_drawn
FROM counted JOIN deal AS d USING (deal)
WHERE deal IN (SELECT deal FROM worst UNION ALL SELECT deal FROM drawn)
ORDER BY {order}, deal
"""


_SHOWN_ENTERED = _ranked(_ENTERED, "entered", "$4")
_SHOWN_STALLED = _ranked(_STALLED, "progressed", "$5")


async def gather(connection: Executor, rule: Rule, opened_at: int, until: int) -> Evidence:
    """The evidence of a problem as of `until`; both instants in microseconds."""
    rows = await _shown(connection, rule, f"{rule.key}@{opened_at}", until)
    known = attributes(rows)
    deals = [(row, _deal(rule, row, known[row["deal"]], until)) for row in rows]
    return Evidence(
        at=moment(until),
        total=rows[0]["total"] if rows else 0,
        worst=tuple(deal for row, deal in deals if row["is_worst"]),
        sample=tuple(deal for row, deal in deals if row["is_drawn"]),
    )


async def _shown(connection: Executor, rule: Rule, seed: str, until: int) -> list[Record]:
    start = until if rule.limit is None else latest_start(rule.clock, rule.limit, until)
    if start is None:
        return []
    stage = (rule.pipeline, rule.stage, moment(start))
    if rule.measure is Measure.STALLED:
        return await connection.fetch(_SHOWN_STALLED, *stage, until, seed)
    return await connection.fetch(_SHOWN_ENTERED, *stage, seed)


def _deal(rule: Rule, row: Record, known: dict[str, Any], until: int) -> EvidenceDeal:
    entered, step = micros(row["entered"]), known["next_step_at"]
    return EvidenceDeal(
        deal=row["deal"],
        name=known.get("name"),
        amount=known.get("amount"),
        currency=known.get("currency"),
        entered_at=row["entered"],
        age_seconds=rule.clock.age(entered, until) / 1_000_000,
        last_movement_at=row["progressed"],
        next_step_at=None if step is None else moment(step),
        url=known.get("url"),
    )

"""The deals behind a problem: an exact count, the worst, and a random sample that is the same whenever it is drawn.

Counting, ranking and drawing happen in SQL: a pass fetches at most ten rows, however many deals there are.
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

# Up to `FEW` deals are all shown; of more, the `WORST` and a `SAMPLE` of the others.
FEW, WORST, SAMPLE = 10, 5, 5
# Deals of `rest` that one message carries at most.
MAX_REST = 2000
_OPEN = "SELECT v.deal, v.entered, v.progressed FROM visit AS v"
_IN_STAGE = "WHERE v.pipeline = $1 AND v.stage = $2 AND v.left_at IS NULL"
_ENTERED = f"{_OPEN} {_IN_STAGE} AND v.entered <= $3"
# A next step planned in the future excuses a deal.
_STALLED = f"""
{_OPEN} JOIN deal AS d ON d.deal = v.deal {_IN_STAGE} AND v.progressed <= $3 AND coalesce({NEXT_STEP_AT}, 0) <= $6
"""


def _ranked(counted: str, order: str) -> str:
    """SQL: the deals to show of those `counted`, the worst first; `total` is how many were counted.

    md5 of deal and seed ($4) gives a random order that anybody can draw again. $5: how many of the rest.
    """
    return f"""
WITH counted AS MATERIALIZED ({counted}),
    worst AS (
        SELECT deal FROM counted ORDER BY {order}, deal
        LIMIT CASE WHEN (SELECT count(*) FROM counted) > {FEW} THEN {WORST} ELSE {FEW} END
    ),
    drawn AS (
        SELECT deal FROM counted WHERE deal NOT IN (SELECT deal FROM worst) ORDER BY md5(deal || $4) LIMIT {SAMPLE}
    ),
    rest AS (
        SELECT deal FROM counted WHERE deal NOT IN (SELECT deal FROM worst UNION ALL SELECT deal FROM drawn)
        ORDER BY {order}, deal LIMIT $5
    ),
    shown AS (
        SELECT deal, 'worst' AS part FROM worst UNION ALL SELECT deal, 'sample' FROM drawn
        UNION ALL SELECT deal, 'rest' FROM rest
    )
SELECT deal, part, entered, progressed, d.state, (SELECT count(*) FROM counted) AS total
FROM shown JOIN counted USING (deal) JOIN deal AS d USING (deal) ORDER BY {order}, deal
"""


_SHOWN_ENTERED = _ranked(_ENTERED, "entered")
_SHOWN_STALLED = _ranked(_STALLED, "progressed")


async def gather(connection: Executor, rule: Rule, opened_at: int, until: int, max_rest: int = 0) -> Evidence:
    """The evidence of a problem as of `until`; both instants in microseconds. `max_rest`: how many of the rest."""
    rows = await _shown(connection, rule, f"{rule.key}@{opened_at}", until, max_rest)
    known = attributes(rows)
    parts: dict[str, list[EvidenceDeal]] = {"worst": [], "sample": [], "rest": []}
    for row in rows:
        parts[row["part"]].append(_deal(rule, row, known[row["deal"]], until))
    return Evidence(at=moment(until), total=rows[0]["total"] if rows else 0, **parts)


async def _shown(connection: Executor, rule: Rule, seed: str, until: int, max_rest: int) -> list[Record]:
    start = until if rule.limit is None else latest_start(rule.clock, rule.limit, until)
    if start is None:
        return []
    values = (rule.pipeline, rule.stage, moment(start), seed, max_rest)
    if rule.measure is Measure.STALLED:
        return await connection.fetch(_SHOWN_STALLED, *values, until)
    return await connection.fetch(_SHOWN_ENTERED, *values)


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

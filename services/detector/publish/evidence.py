"""The deals behind a problem: the worst, and a random sample that is the same whenever it is drawn. Never an owner."""

from __future__ import annotations

from typing import Any

from services.detector.store.history import described
from shared.contracts.measures import Measure
from shared.contracts.problems import Evidence, EvidenceDeal
from shared.flow.rules import Rule
from shared.runtime.instants import micros, moment

WORST, SAMPLE = 10, 5
_OPEN = "FROM visit WHERE pipeline = $1 AND stage = $2 AND left_at IS NULL AND entered <= $3"
# Deals over an age are the oldest ones: the count of them says how far the list goes.
_WORST = f"SELECT deal, entered, progressed {_OPEN} ORDER BY entered, deal LIMIT $4"
_STALLED = f"SELECT deal, entered, progressed {_OPEN} ORDER BY progressed, deal"
_STATES = "SELECT deal, state FROM deal WHERE deal = ANY($1::text[])"
# md5 of deal and seed: a random order that anybody can draw again.
_DRAW = "SELECT deal FROM unnest($1::text[]) AS deal ORDER BY md5(deal || $2) LIMIT $3"
MOST = 5000


async def gather(connection: Any, rule: Rule, opened_at: int, until: int) -> Evidence:
    """The evidence of a problem as of `until`."""
    counted = await _counted(connection, rule, until)
    worst = counted[:WORST]
    seed = f"{rule.key}@{opened_at}"
    names = [row["deal"] for row in counted]
    drawn = {row["deal"] for row in await connection.fetch(_DRAW, names, seed, SAMPLE)}
    shown = [row for row in counted if row["deal"] in drawn or row in worst]
    known = described(await connection.fetch(_STATES, [row["deal"] for row in shown]))
    deals = {row["deal"]: _deal(rule, row, known.get(row["deal"], {}), until) for row in shown}
    return Evidence(
        at=moment(until),
        total=len(counted),
        worst=tuple(deals[row["deal"]] for row in worst),
        sample=tuple(deals[name] for name in names if name in drawn),
    )


async def _counted(connection: Any, rule: Rule, until: int) -> list[Any]:
    """The open visits that count for the rule at `until`, the worst first."""
    place = (rule.pipeline, rule.stage, moment(until))
    if rule.measure is not Measure.STALLED:
        rows = await connection.fetch(_WORST, *place, MOST)
        if rule.limit is None:
            return list(rows)
        return [row for row in rows if rule.clock.due(micros(row["entered"]), rule.limit) <= until]
    rows = await connection.fetch(_STALLED, *place)
    quiet = [row for row in rows if rule.clock.due(micros(row["progressed"]), rule.limit or 0) <= until]
    known = described(await connection.fetch(_STATES, [row["deal"] for row in quiet]))
    return [row for row in quiet if (known[row["deal"]]["next_step_at"] or 0) <= until]


def _deal(rule: Rule, row: Any, known: dict[str, Any], until: int) -> EvidenceDeal:
    entered, step = micros(row["entered"]), known.get("next_step_at")
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

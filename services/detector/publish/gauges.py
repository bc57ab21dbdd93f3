"""The present of every stage as metrics, straight from the visits."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from services.detector.metrics import OTHER, DetectorMetrics
from shared.flow.rules import Aging
from shared.flow.ruleset import Ruleset
from shared.runtime.instants import micros

_OPEN = """
SELECT pipeline, stage, count(*) AS deals, min(entered) AS oldest FROM visit WHERE left_at IS NULL
GROUP BY pipeline, stage
"""
_OVER = "SELECT count(*) FROM visit WHERE pipeline = $1 AND stage = $2 AND left_at IS NULL AND entered <= $3"
_PROBLEMS = "SELECT kind, mode, count(*) AS open FROM problem WHERE cleared_at IS NULL GROUP BY kind, mode"


async def measure_present(pool: Any, judging: Ruleset, metrics: DetectorMetrics, now: datetime) -> None:
    """Bring the gauges up to date; stages that the policy does not know are counted together."""
    rows = {(row["pipeline"], row["stage"]): row for row in await pool.fetch(_OPEN)}
    for place in judging.stages:
        row = rows.pop(place, None)
        metrics.wip.labels(*place).set(row["deals"] if row else 0)
        age = judging.clocks.of(*place).age(micros(row["oldest"]), micros(now)) / 1_000_000 if row else 0
        metrics.oldest.labels(*place).set(age)
    metrics.wip.labels(OTHER, OTHER).set(sum(row["deals"] for row in rows.values()))
    open_now = {(row["kind"], row["mode"]): row["open"] for row in await pool.fetch(_PROBLEMS)}
    for rule in judging.rules:
        metrics.problems.labels(rule.kind, rule.mode.value).set(open_now.get((rule.kind, rule.mode.value), 0))
        if isinstance(rule, Aging):
            await _over_age(pool, rule, metrics, now)


async def _over_age(pool: Any, rule: Aging, metrics: DetectorMetrics, now: datetime) -> None:
    """The deals whose limit is reached are the oldest ones: search the instant of entering that divides them."""
    late, early = now, datetime.fromtimestamp(0, now.tzinfo)
    while (late - early).total_seconds() > 1:
        middle = early + (late - early) / 2
        if rule.clock.due(micros(middle), rule.limit or 0) <= micros(now):
            early = middle
        else:
            late = middle
    over = await pool.fetchval(_OVER, rule.pipeline, rule.stage, early)
    metrics.over_age.labels(rule.pipeline, rule.stage).set(over)

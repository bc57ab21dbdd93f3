"""The state of every stage now as Prometheus gauges, read from the visits."""

from __future__ import annotations

from datetime import datetime

from services.detector.metrics import OTHER, DetectorMetrics
from services.detector.publish.age_limit import latest_start
from shared.flow.rules import Aging
from shared.flow.ruleset import Ruleset
from shared.postgres.pool import Pool
from shared.runtime.instants import micros, moment

_OPEN = """
SELECT pipeline, stage, count(*) AS deals, min(entered) AS oldest FROM visit WHERE left_at IS NULL
GROUP BY pipeline, stage
"""
_OVER_AGE = "SELECT count(*) FROM visit WHERE pipeline = $1 AND stage = $2 AND left_at IS NULL AND entered <= $3"
_PROBLEMS = "SELECT kind, mode, count(*) AS open FROM problem WHERE cleared_at IS NULL GROUP BY kind, mode"


async def refresh_gauges(pool: Pool, ruleset: Ruleset, metrics: DetectorMetrics, now: datetime) -> None:
    """Set all gauges; stages that the policy does not know are counted together."""
    rows = {(row["pipeline"], row["stage"]): row for row in await pool.fetch(_OPEN)}
    for stage in ruleset.stages:
        row = rows.pop(stage, None)
        metrics.wip.labels(*stage).set(row["deals"] if row else 0)
        age = ruleset.clocks.of(*stage).age(micros(row["oldest"]), micros(now)) / 1_000_000 if row else 0
        metrics.oldest.labels(*stage).set(age)
    metrics.wip.labels(OTHER, OTHER).set(sum(row["deals"] for row in rows.values()))
    open_problems = {(row["kind"], row["mode"]): row["open"] for row in await pool.fetch(_PROBLEMS)}
    for rule in ruleset.rules:
        metrics.problems.labels(rule.kind, rule.mode.value).set(open_problems.get((rule.kind, rule.mode.value), 0))
        if isinstance(rule, Aging):
            metrics.over_age.labels(rule.pipeline, rule.stage).set(await _over_age(pool, rule, now))


async def _over_age(pool: Pool, rule: Aging, now: datetime) -> int:
    start = latest_start(rule.clock, rule.limit or 0, micros(now))
    return 0 if start is None else int(await pool.fetchval(_OVER_AGE, rule.pipeline, rule.stage, moment(start)))

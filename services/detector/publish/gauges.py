"""The state of every stage now as Prometheus gauges, read from the visits."""

from __future__ import annotations

from datetime import datetime

from services.detector.metrics import OTHER, DetectorMetrics
from services.detector.publish.age_limit import latest_start
from services.detector.store import evaluation
from shared.flow.rules import Aging
from shared.flow.ruleset import Ruleset
from shared.postgres.pool import Pool
from shared.runtime.clock import ClockKind
from shared.runtime.instants import micros, moment

_OPEN = """
SELECT pipeline, stage, count(*) AS deals, min(entered) AS oldest FROM visit WHERE left_at IS NULL
GROUP BY pipeline, stage
"""
_OVER_AGE = "SELECT count(*) FROM visit WHERE pipeline = $1 AND stage = $2 AND left_at IS NULL AND entered <= $3"
_PROBLEMS = "SELECT kind, mode, count(*) AS open FROM problem WHERE cleared_at IS NULL GROUP BY kind, mode"
# Of each source with deals. What was received but not yet counted by hour is a few seconds old.
_LAST_EVENTS = """
SELECT source, (SELECT max(instant) FROM unnest(instants) AS instant) AS last
FROM (SELECT DISTINCT source FROM source_pipeline) AS known, LATERAL (
    SELECT instants FROM receipt_hour WHERE receipt_hour.source = known.source ORDER BY hour DESC, part DESC LIMIT 1
) AS latest
"""
# Labels are bounded: a source may send any number of stages.
UNKNOWN_SHOWN = 20


def describe_stages(ruleset: Ruleset, metrics: DetectorMetrics) -> None:
    """Set what the policy alone says of its stages: names, positions and limits."""
    for name, pipeline in ruleset.policy.pipelines.items():
        for position, stage in enumerate(pipeline.open_stages):
            described = pipeline.stage(stage)
            stage_name = described.name if described and described.name else stage
            metrics.stage_info.labels(name, stage, pipeline.name, stage_name, str(position)).set(1)
    for rule in ruleset.rules:
        limit = rule.threshold if rule.limit is None else rule.limit / 1_000_000
        metrics.limit.labels(rule.pipeline, rule.stage, rule.kind).set(limit)


async def refresh_gauges(
    pool: Pool, ruleset: Ruleset, metrics: DetectorMetrics, clock: ClockKind, now: datetime
) -> None:
    """Set all gauges; stages that the policy does not know are counted together, and the largest by name."""
    await _measure_delay(pool, metrics, clock, now)
    await _measure_sources(pool, metrics, clock)
    rows = {(row["pipeline"], row["stage"]): row for row in await pool.fetch(_OPEN)}
    for stage in ruleset.stages:
        row = rows.pop(stage, None)
        metrics.wip.set(row["deals"] if row else 0, *stage)
        age = ruleset.clocks.of(*stage).age(micros(row["oldest"]), micros(now)) / 1_000_000 if row else 0
        metrics.oldest.set(age, *stage)
    metrics.wip.set(sum(row["deals"] for row in rows.values()), OTHER, OTHER)
    unknown = sorted((stage for stage in rows if not ruleset.knows(*stage)), key=lambda stage: -rows[stage]["deals"])
    for stage in unknown[:UNKNOWN_SHOWN]:
        metrics.unknown_deals.set(rows[stage]["deals"], *stage)
    open_problems = {(row["kind"], row["mode"]): row["open"] for row in await pool.fetch(_PROBLEMS)}
    learned = [(rule.policy.kind, rule.policy.mode.value) for rule in ruleset.learned_rules.values()]
    for kind, mode in (*((rule.kind, rule.mode.value) for rule in ruleset.rules), *learned):
        metrics.problems.set(open_problems.get((kind, mode), 0), kind, mode)
    for rule in ruleset.rules:
        if isinstance(rule, Aging):
            metrics.over_age.set(await _over_age(pool, rule, now), rule.pipeline, rule.stage)


async def _measure_delay(pool: Pool, metrics: DetectorMetrics, clock: ClockKind, now: datetime) -> None:
    """Set the delay of judgement time, also while a pass lasts long. In replays it says nothing."""
    reached, _ = await evaluation.state(pool)
    if reached is not None and clock is ClockKind.WALL:
        metrics.watermark_delay.set(now.timestamp() - reached / 1_000_000)


async def _measure_sources(pool: Pool, metrics: DetectorMetrics, clock: ClockKind) -> None:
    """Set when each source was last heard. In replays it says nothing."""
    if clock is ClockKind.WALL:
        for row in await pool.fetch(_LAST_EVENTS):
            metrics.source_last_event.set(row["last"] / 1_000_000, row["source"])


async def _over_age(pool: Pool, rule: Aging, now: datetime) -> int:
    start = latest_start(rule.clock, rule.limit or 0, micros(now))
    return 0 if start is None else int(await pool.fetchval(_OVER_AGE, rule.pipeline, rule.stage, moment(start)))

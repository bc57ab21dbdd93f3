"""The state of every stage now as Prometheus gauges, read from the visits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from services.detector.metrics import OTHER, DetectorMetrics
from services.detector.publish.age_limit import latest_start
from services.detector.store import evaluation
from shared.flow.rules import Aging, Rule
from shared.flow.ruleset import Ruleset
from shared.policy import Mode
from shared.postgres.pool import Pool
from shared.runtime.clock import ClockKind
from shared.runtime.instants import micros, moment

_OPEN = """
SELECT pipeline, stage, count(*) AS deals, min(entered) AS oldest FROM visit WHERE left_at IS NULL
GROUP BY pipeline, stage
"""
_OVER_AGE = "SELECT count(*) FROM visit WHERE pipeline = $1 AND stage = $2 AND left_at IS NULL AND entered <= $3"
_PROBLEMS = "SELECT kind, mode, pipeline, stage, opened_at FROM problem WHERE cleared_at IS NULL"
# Of each source with deals. What was received but not yet counted by hour is a few seconds old.
_LAST_EVENTS = """
SELECT source, (SELECT max(instant) FROM unnest(instants) AS instant) AS last
FROM (SELECT DISTINCT source FROM source_pipeline) AS known, LATERAL (
    SELECT instants FROM receipt_hour WHERE receipt_hour.source = known.source ORDER BY hour DESC, part DESC LIMIT 1
) AS latest
"""
# Labels are bounded: a source may send any number of stages, and a policy may have any number.
UNKNOWN_SHOWN = 20
# In the policy's order. A stage has up to 13 series: all of them stay under 80,000.
STAGES_SHOWN = 5_000


def describe_stages(ruleset: Ruleset, metrics: DetectorMetrics) -> None:
    """Set what the policy alone says of its stages: names, positions and limits."""
    shown = _shown(ruleset)
    for name, pipeline in ruleset.policy.pipelines.items():
        for position, stage in enumerate(pipeline.open_stages):
            if (name, stage) in shown:
                described = pipeline.stage(stage)
                stage_name = described.name if described and described.name else stage
                metrics.stage_info.labels(name, stage, pipeline.name, stage_name, str(position)).set(1)
    for rule in _rules(ruleset, shown):
        limit = rule.threshold if rule.limit is None else rule.limit / 1_000_000
        metrics.limit.labels(rule.pipeline, rule.stage, rule.kind).set(limit)


async def refresh_gauges(
    pool: Pool, ruleset: Ruleset, metrics: DetectorMetrics, clock: ClockKind, now: datetime
) -> None:
    """Set all gauges; stages that are not shown are counted together, the largest unknown ones by name."""
    await _measure_delay(pool, metrics, clock, now)
    await _measure_sources(pool, metrics, clock)
    rows = {(row["pipeline"], row["stage"]): row for row in await pool.fetch(_OPEN)}
    show_stages(ruleset, metrics, {stage: StageNow(row["deals"], row["oldest"]) for stage, row in rows.items()}, now)
    open_problems = [OpenProblem(**row) for row in await pool.fetch(_PROBLEMS)]
    show_problems(ruleset, metrics, open_problems)
    for rule in _rules(ruleset, _shown(ruleset)):
        if isinstance(rule, Aging):
            metrics.over_age.set(await _over_age(pool, rule, now), rule.pipeline, rule.stage)


class StageNow(NamedTuple):
    """A stage with deals: how many, and when the oldest entered."""

    deals: int
    oldest: datetime


class OpenProblem(NamedTuple):
    """A problem that is open now."""

    kind: str
    mode: str
    pipeline: str
    stage: str
    opened_at: datetime


def show_stages(
    ruleset: Ruleset, metrics: DetectorMetrics, found: Mapping[tuple[str, str], StageNow], now: datetime
) -> None:
    """Set how many deals each stage holds, and how old the oldest is. `found`: the stages with deals."""
    shown, oldest = _shown(ruleset), dict[tuple[str, ...], float]()
    deals: dict[tuple[str, ...], float] = {stage: found[stage].deals if stage in found else 0 for stage in shown}
    deals[OTHER, OTHER] = sum(one.deals for stage, one in found.items() if stage not in shown)
    for stage in shown:
        clock, entered = ruleset.clocks.of(*stage), found[stage].oldest if stage in found else now
        oldest[stage] = clock.age(micros(entered), micros(now)) / 1_000_000
    unknown = sorted((s for s in found if not ruleset.knows(*s)), key=lambda stage: -found[stage].deals)
    metrics.wip.replace(deals)
    metrics.oldest.replace(oldest)
    metrics.unknown_deals.replace({stage: found[stage].deals for stage in unknown[:UNKNOWN_SHOWN]})


def show_problems(ruleset: Ruleset, metrics: DetectorMetrics, problems: Sequence[OpenProblem]) -> None:
    """Set how many problems of each kind are open, and since when those of active rules are."""
    learned = [(rule.policy.kind, rule.policy.mode.value) for rule in ruleset.learned_rules.values()]
    counts = Counter((one.kind, one.mode) for one in problems)
    for kind, mode in {*((rule.kind, rule.mode.value) for rule in ruleset.rules), *learned}:
        metrics.problems.set(counts[kind, mode], kind, mode)
    shown = _shown(ruleset)
    metrics.problem_open.replace(
        {
            (one.kind, one.pipeline, one.stage): one.opened_at.timestamp()
            for one in problems
            if one.mode == Mode.ACTIVE.value and (one.pipeline, one.stage) in shown
        }
    )


def _shown(ruleset: Ruleset) -> dict[tuple[str, str], None]:
    """The stages of which there are series, in order."""
    return dict.fromkeys(ruleset.stages[:STAGES_SHOWN])


def _rules(ruleset: Ruleset, shown: Mapping[tuple[str, str], None]) -> Iterator[Rule]:
    """The rules of these stages."""
    return (rule for rule in ruleset.rules if (rule.pipeline, rule.stage) in shown)


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

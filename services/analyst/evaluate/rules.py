"""Which rules of a policy the analyst judges."""

from __future__ import annotations

from services.analyst.evaluate.bottlenecks import StageBottleneck
from services.analyst.evaluate.charts import ChartRule
from services.analyst.evaluate.windows import WindowRule
from shared.flow.statistics.watched import pipeline_watches
from shared.policy import Mode, Pipeline


def rules_of(name: str, pipeline: Pipeline) -> list[ChartRule]:
    """The rules of a pipeline on charts, active and monitored."""
    bottlenecks = [
        StageBottleneck(name, stage, pipeline, rule)
        for stage, rule in pipeline.bottleneck_rules.items()
        if rule.mode is not Mode.OFF
    ]
    return [*map(WindowRule, pipeline_watches(name, pipeline)), *bottlenecks]

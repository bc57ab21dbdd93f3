"""The rule `bottleneck`: stages into which more comes than leaves."""

from __future__ import annotations

from services.analyst.evaluate.charts import ChartRule, ChartSet
from services.analyst.evaluate.findings import OpeningDetail, RuleFinding
from shared.contracts.problems import CauseClass
from shared.flow.statistics.bottleneck import BottleneckCharts
from shared.flow.statistics.findings import bottleneck_detail, bottleneck_findings
from shared.policy import Pipeline
from shared.policy.model import BottleneckRule
from shared.policy.rule_checks import BOTTLENECK_BUDGET


class StageBottleneck(ChartRule):
    """The rule `bottleneck` of one stage."""

    per_quarter = BOTTLENECK_BUDGET
    cause = CauseClass.UNKNOWN

    def __init__(self, name: str, stage: str, pipeline: Pipeline, rule: BottleneckRule) -> None:
        self._charts = BottleneckCharts.of(name, stage, pipeline.open_stages)
        self.key, self.kind, self.mode = f"{rule.kind}/{name}/{stage}", rule.kind, rule.mode
        self.pipeline, self.stage, self.charts = name, stage, self._charts.charts

    def find(self, known: ChartSet) -> RuleFinding:
        charts = self._charts.judged(known.segments)
        found = bottleneck_findings(charts, known.weeks)
        details = {
            one.interval.opened_at: OpeningDetail(
                one.cause or self.cause, bottleneck=bottleneck_detail(charts, one.bottleneck)
            )
            for one in found
            if one.bottleneck is not None
        }
        return RuleFinding(self, [one.interval for one in found], details)

"""The rules `shift`, `rework` and `slipping`: recent weeks that rank worse than the baseline."""

from __future__ import annotations

from services.analyst.evaluate.charts import ChartRule, ChartSet
from services.analyst.evaluate.findings import OpeningDetail, RuleFinding
from shared.contracts.problems import CauseClass
from shared.flow.statistics.findings import window_detail, window_findings
from shared.flow.statistics.watched import WatchedChart


class WindowRule(ChartRule):
    """The windows of one watched chart."""

    cause = CauseClass.SPECIAL

    def __init__(self, watch: WatchedChart) -> None:
        self._watch = watch
        self.key, self.kind, self.mode, self.per_quarter = watch.key, watch.kind, watch.mode, watch.per_quarter
        self.pipeline, self.stage, self.charts = watch.chart.pipeline, watch.chart.stage, [watch.chart]

    def find(self, known: ChartSet) -> RuleFinding:
        found = window_findings(self._watch, known.segments)
        details = {}
        for one in found:
            detail = window_detail(self._watch, one.trigger, known.segments)
            details[one.interval.opened_at] = OpeningDetail(self.cause, detail.pairs_needed, detail)
        return RuleFinding(self, [one.interval for one in found], details)

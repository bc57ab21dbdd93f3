"""Which charts a policy watches by windows, and at which level: each gets its part of the pipeline's false alarms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from shared.flow.statistics.columns import Chart, Column
from shared.policy import Mode, Pipeline, Policy, RulePolicy
from shared.policy.model import ReworkRule, ShiftRule, SlippingRule
from shared.policy.rule_checks import BOTTLENECK_BUDGET
from shared.policy.watchable import PIPELINE_MEASURES, STAGE_MEASURES, TIME_IN_STAGE, Side

# Weeks of a quarter times the two windows: how often a chart is judged in 91 days.
LOOKS_A_QUARTER = 26
_COLUMNS = {column.measure: column for column in Column}


def charts_of(policy: Policy) -> list[Chart]:
    """Every chart that the policy's pipelines and open stages have."""
    return [
        Chart(name, stage, column)
        for name, pipeline in policy.pipelines.items()
        for column in Column
        for stage in ([""] if column.of_pipeline else pipeline.open_stages)
    ]


@dataclass(frozen=True)
class WatchedChart:
    """A chart that a rule watches. `level`: how often chance may fire a window at one look."""

    kind: str
    chart: Chart
    mode: Mode
    level: Fraction

    @property
    def key(self) -> str:
        """The key of its problem: `shift/loans/returned/time_in_stage_median`."""
        return f"{self.kind}/{self.chart.pipeline}/{self.chart.stage}/{self.chart.column.measure}"

    @property
    def side(self) -> Side:
        """The side on which the measure is worse."""
        return bad_side(self.chart.column)

    @property
    def per_quarter(self) -> Fraction:
        """How many openings in 91 days chance brings, at most."""
        return LOOKS_A_QUARTER * self.level


def bad_side(column: Column) -> Side:
    """The side on which a measure that may be watched is worse."""
    return (PIPELINE_MEASURES if column.of_pipeline else STAGE_MEASURES)[column.measure]


def watches(policy: Policy) -> list[WatchedChart]:
    """What all pipelines watch, active and monitored."""
    return [watch for name, pipeline in policy.pipelines.items() for watch in pipeline_watches(name, pipeline)]


def pipeline_watches(name: str, pipeline: Pipeline) -> list[WatchedChart]:
    """What a pipeline watches. Monitored charts count for the level only where none is active."""
    modes = {watched: mode for watched, mode in _modes(name, pipeline).items() if mode is not Mode.OFF}
    active = sum(mode is Mode.ACTIVE for mode in modes.values())
    rest = pipeline.false_alarms - booked(pipeline)
    return [
        WatchedChart(kind, chart, mode, rest / (LOOKS_A_QUARTER * (active or len(modes))))
        for (kind, chart), mode in modes.items()
    ]


def booked(pipeline: Pipeline) -> Fraction:
    """What aging-learned and bottleneck use of the pipeline's false alarms."""
    learned = sum(rule.budget for rule in pipeline.learned_rules.values() if rule.mode is Mode.ACTIVE)
    return learned + BOTTLENECK_BUDGET * sum(rule.mode is Mode.ACTIVE for rule in pipeline.bottleneck_rules.values())


def _modes(name: str, pipeline: Pipeline) -> Mapping[tuple[str, Chart], Mode]:
    """Entries that name a stage or a measure take the place of those that do not."""
    general, own = dict[tuple[str, Chart], Mode](), dict[tuple[str, Chart], Mode]()
    for rule in pipeline.rules:
        into = general if _is_general(rule) else own
        into |= {(rule.kind, Chart(name, stage, column)): rule.mode for stage, column in _charts(rule, pipeline)}
    return general | own


def _is_general(rule: RulePolicy) -> bool:
    if isinstance(rule, ShiftRule):
        return rule.stage is None and rule.measure is None
    return isinstance(rule, ReworkRule) and rule.stage is None


def _charts(rule: RulePolicy, pipeline: Pipeline) -> Iterator[tuple[str, Column]]:
    """Stage (empty: of the pipeline) and column of each chart that the rule watches."""
    if isinstance(rule, SlippingRule):
        yield "", Column.PUSHED_SHARE
    elif isinstance(rule, ReworkRule):
        # Nothing can come back to the last stage.
        stages = pipeline.open_stages[:-1] if rule.stage is None else (rule.stage,)
        yield from ((stage, Column.REWORK_RATE) for stage in stages)
    elif isinstance(rule, ShiftRule):
        if rule.stage is None and rule.measure is None:
            yield from _default(pipeline.open_stages)
        else:
            yield rule.stage or "", _COLUMNS[rule.measure or TIME_IN_STAGE]


def _default(open_stages: Sequence[str]) -> Iterator[tuple[str, Column]]:
    """What `shift` watches where nothing is named."""
    yield from ((stage, Column.TIME_IN_STAGE_MEDIAN) for stage in open_stages)
    yield from ((stage, Column.ARRIVALS) for stage in open_stages[:1])
    yield from (("", column) for column in (Column.THROUGHPUT, Column.LEAD_TIME_MEDIAN, Column.WIN_RATE))

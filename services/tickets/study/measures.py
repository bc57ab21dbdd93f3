"""Which weekly measures a plan may choose, and which way each is better. Pure."""

from __future__ import annotations

from shared import wording
from shared.contracts.measures import Column
from shared.contracts.problems import ProblemData
from shared.flow.statistics.columns import Chart
from shared.flow.statistics.watched import bad_side
from shared.policy import Policy
from shared.policy.watchable import PIPELINE_MEASURES, STAGE_MEASURES, Side

_OF_STAGE = [column for column in Column if not column.of_pipeline and column.measure in STAGE_MEASURES]
_OF_PIPELINE = [column for column in Column if column.of_pipeline and column.measure in PIPELINE_MEASURES]


def measures_of(problem: ProblemData, policy: Policy) -> list[Chart]:
    """The charts of the problem's stage, then those of its pipeline; its own measure first.

    Empty for a problem of a source, or of a pipeline that the policy does not have.
    """
    pipeline = policy.pipelines.get(problem.pipeline)
    if pipeline is None:
        return []
    has_stage = problem.stage in pipeline.open_stages
    found = [Chart(problem.pipeline, problem.stage or "", column) for column in _OF_STAGE if has_stage]
    found += [Chart(problem.pipeline, "", column) for column in _OF_PIPELINE]
    own = problem.signal.measure if problem.signal else None
    return sorted(found, key=lambda chart: (chart.column is not own, found.index(chart)))


def is_higher_better(chart: Chart, kind: str) -> bool:
    """Whether more of the measure is better, for a ticket of this kind of problem."""
    if chart.column is Column.WIP_END and wording.of(kind).lacks_work:
        return True
    return bad_side(chart.column) is Side.LOW

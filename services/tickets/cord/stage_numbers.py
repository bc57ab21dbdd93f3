"""What a stage's own weekly charts say when its cord is pulled: is it as usual, or did something happen?

Who reacts to a movement within the limits, as if it had a cause of its own, makes a stable stage swing more (Deming's
funnel). So the ticket of a pull says how the stage moves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from services.tickets.charts.signals import ChartSignals, chart_signals
from services.tickets.store import weekly_points
from shared.contracts.measures import Column
from shared.contracts.problems import StageNumber
from shared.flow.rules.rule import OLDER
from shared.flow.statistics.cause import UNKNOWN, Cause, cause_of
from shared.flow.statistics.columns import Chart, Value, printed
from shared.flow.statistics.segments import Segment
from shared.policy import Policy
from shared.policy.watchable import Side
from shared.postgres.pool import Executor
from shared.stream import relocks

# What a ticket shows of the stage, in this order.
SHOWN = (Column.TIME_IN_STAGE_MEDIAN, Column.WIP_END, Column.DEPARTURES)
# What tells whether something happened, each with the side that would show it.
ASKED: Sequence[tuple[Column, Side]] = (*OLDER, (Column.WIP_END, Side.HIGH), (Column.DEPARTURES, Side.LOW))
_COLUMNS = tuple(dict.fromkeys((*SHOWN, *(column for column, _ in ASKED))))


class StageStanding(NamedTuple):
    """The class of the cause, and the numbers of the last week that have limits. None without any week."""

    cause: Cause
    numbers: tuple[StageNumber, ...] = ()


NOT_MEASURED = StageStanding(UNKNOWN)


async def standing(executor: Executor, policy: Policy, pipeline: str, stage: str) -> StageStanding:
    """How the stage moves, by the weeks that are over."""
    charts = [Chart(pipeline, stage, column) for column in _COLUMNS]
    known = await weekly_points.load(executor, pipeline, charts, policy.timezone)
    if known is None:
        return NOT_MEASURED
    decided = await relocks.load(executor, [chart.name for chart in charts])
    found = {chart.column: chart_signals(chart, known, decided, policy) for chart in charts}

    def segments_of(column: Column) -> list[Segment]:
        return [found[column].judged]

    cause = cause_of(ASKED, known.over, segments_of)
    return StageStanding(cause, tuple(one for column in SHOWN if (one := _number(found[column], known.over))))


def _number(signals: ChartSignals, over: int) -> StageNumber | None:
    """The last week; None where it has no value, or where no limits are known."""
    if not signals.points or signals.points[-1].week != over - 1:
        return None
    limits, last, column = signals.newest.xmr, signals.points[-1], signals.chart.column
    if limits is None:
        return None
    return StageNumber(
        measure=column,
        week=signals.weeks.name(last.week),
        value=_plain(column, last.value),
        low=None if limits.lower is None else _plain(column, limits.lower),
        high=_plain(column, limits.upper),
    )


def _plain(column: Column, value: Value) -> float:
    found = printed(column, value)
    assert found is not None  # noqa: S101 (it has a value)
    return float(found)

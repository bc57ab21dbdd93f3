"""`flow.measures` (compacted): points of measures. Record key: pipeline/stage/measure/start of the period.

A day's measures (`Measure`) are counts at its end; a week's (`Column`) are defined in docs/developer/statistics.md.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field, FiniteFloat

from shared.contracts.envelope import Count, Envelope, Message, Moment, Name

_SECOND = 1_000_000


class Measure(StrEnum):
    """What is measured per stage at the end of each day. Ages are in seconds on the stage's clock."""

    WIP = "wip"
    OVER_AGE = "over-age"
    STALLED = "stalled"
    AGE_MEDIAN = "age-median"
    AGE_OLDEST = "age-oldest"


class Column(StrEnum):
    """A weekly measure; its value names the column wherever measures are printed. `_s`: seconds on the age clock."""

    ARRIVALS = "arrivals"
    DEPARTURES = "departures"
    WIP_END = "wip_end"
    TIME_IN_STAGE_MEDIAN = "time_in_stage_median_s"
    TIME_IN_STAGE_P85 = "time_in_stage_p85_s"
    REWORK = "rework"
    REWORK_RATE = "rework_rate"
    THROUGHPUT = "throughput"
    WON = "won"
    LOST = "lost"
    WIN_RATE = "win_rate"
    LEAD_TIME_MEDIAN = "lead_time_median_s"
    LEAD_TIME_P85 = "lead_time_p85_s"
    OPEN_AGE_MEAN = "open_age_mean_s"
    PUSHED = "pushed"
    OPEN_WITH_CLOSE = "open_with_close"
    PUSHED_SHARE = "pushed_share"

    @property
    def measure(self) -> str:
        """Its name in policies and problem keys: without the unit."""
        return self.value.removesuffix("_s")

    @property
    def of_pipeline(self) -> bool:
        """Whether a pipeline has it; else a stage has."""
        return self in _OF_PIPELINE

    @property
    def scale(self) -> int:
        """How much of a value makes 1 of what is printed: a median is kept as the sum of two times in microseconds."""
        return _SCALES.get(self, 1)


_OF_PIPELINE = frozenset(
    {Column.THROUGHPUT, Column.WON, Column.LOST, Column.WIN_RATE, Column.LEAD_TIME_MEDIAN, Column.LEAD_TIME_P85}
    | {Column.PUSHED, Column.OPEN_WITH_CLOSE, Column.PUSHED_SHARE}
)
_SCALES = {
    Column.TIME_IN_STAGE_MEDIAN: 2 * _SECOND,
    Column.LEAD_TIME_MEDIAN: 2 * _SECOND,
    Column.TIME_IN_STAGE_P85: 20 * _SECOND,
    Column.LEAD_TIME_P85: 20 * _SECOND,
    Column.OPEN_AGE_MEAN: _SECOND,
}


class MeasureData(Message):
    """One point: `value` at the end of, or over, `[start, end)`; null: none. Published again when it changes."""

    pipeline: Name
    stage: Name | None
    measure: Measure | Column
    period: Literal["day", "week"] = "day"
    start: Moment
    end: Moment
    value: FiniteFloat | None
    exact: str | None = Field(
        None, pattern=r"^-?[0-9]+(/[1-9][0-9]*)?$", description="the value of a week without rounding, as 5 or 5/7"
    )
    is_revised: bool = Field(False, description="computed after judgement time had passed the end of the period")
    week: Count | None = Field(None, description="the number of the week; 0 holds the first event of the log")
    over: Count | None = Field(
        None, description="how many weeks are over: points of all of them are published, though others may come later"
    )
    numbering: Count | None = Field(
        None, description="increases when weeks are numbered anew: then points of a lower one no longer count"
    )
    since: Moment | None = Field(
        None, description="after `andon reevaluate`: problems that cleared later than this are to be found anew"
    )
    known_at: Moment | None = Field(
        None, description="of a week: the judgement time when the value was computed; null: not told"
    )
    definition: int = 1

    @property
    def key(self) -> str:
        return f"{self.pipeline}/{self.stage or '-'}/{self.measure}/{self.start.date()}"


class MeasureEvent(Envelope[MeasureData]):
    type: Literal["andon.measure.point"] = "andon.measure.point"

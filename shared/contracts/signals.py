"""`flow.signals` (compacted): what the weeks of a chart show. Record key: pipeline/stage/measure.

A chart is one weekly measure of a stage or pipeline. Weeks are ISO names, values are in the printed unit.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, FiniteFloat

from shared.contracts.envelope import Count, Envelope, Message, Name, Words
from shared.contracts.measures import Column

SideName = Literal["high", "low"]


class ChartSegment(Message):
    """Points that are judged by one baseline: `baseline`, up to `size` weeks.

    `locked_by`: `rule` for the first points of a chart, else who decided that these weeks are the baseline, and why.
    """

    first_week: Words | None = Field(description="null: no point yet")
    size: Count
    locked_by: Literal["rule", "system", "person"]
    reason: Words | None = None
    baseline: tuple[Words, ...]


class ChartMark(Message):
    """A week that stands out on an XmR chart, by one of Wheeler's rules 1 to 3."""

    week: Words
    rule: Count
    side: SideName
    in_baseline: bool


class SegmentLimits(ChartSegment):
    """XmR limits and marks of a segment; null before the baseline is complete, and where it hardly moves."""

    centre: FiniteFloat | None = None
    upper: FiniteFloat | None = None
    lower: FiniteFloat | None = Field(None, description="null also where it would lie below zero")
    mean_moving_range: FiniteFloat | None = None
    range_limit: FiniteFloat | None = None
    marks: tuple[ChartMark, ...] = ()


class WindowNeed(Message):
    """What the last `weeks` points need to fire; null: no result of them is rare enough."""

    weeks: Literal[4, 8]
    critical: Count | None
    g: FiniteFloat
    need: FiniteFloat | None


class FiredWindow(Message):
    """At the end of `week`, the window of the last `weeks` points fired."""

    week: Words
    weeks: Literal[4, 8]


class SegmentWindows(ChartSegment):
    """The windows of a segment for one kind of problem; `needs` is empty before the baseline is complete."""

    kind: Name
    bad: SideName
    level: Words = Field(pattern=r"^[0-9]+(/[1-9][0-9]*)?$", description="chance of a window to fire at one look")
    phi: FiniteFloat | None = None
    needs: tuple[WindowNeed, ...] = ()
    fired: tuple[FiredWindow, ...] = ()


class ChartData(Message):
    """One chart as of the end of week `as_of`. Segments are in order; `windows`: of each kind that watches it."""

    pipeline: Name
    stage: Name | None
    measure: Column
    as_of: Words
    limits: tuple[SegmentLimits, ...] = ()
    windows: tuple[SegmentWindows, ...] = ()

    @property
    def key(self) -> str:
        return f"{self.pipeline}/{self.stage or '-'}/{self.measure.value}"


class ChartEvent(Envelope[ChartData]):
    type: Literal["andon.chart.judged"] = "andon.chart.judged"

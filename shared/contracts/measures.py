"""`flow.measures` (compacted): points of measures. Record key: pipeline/stage/measure/start of the period."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import FiniteFloat

from shared.contracts.envelope import Envelope, Message, Moment, Name

MEASURE_TYPE = "andon.measure.point"


class Measure(StrEnum):
    """What is measured per stage at the end of each day. Ages are in seconds on the stage's clock."""

    WIP = "wip"
    OVER_AGE = "over-age"
    STALLED = "stalled"
    AGE_MEDIAN = "age-median"
    AGE_OLDEST = "age-oldest"


class MeasureData(Message):
    """One point: `value` at the end of `[start, end)`; null: none. Published again when late events change it."""

    pipeline: Name
    stage: Name | None
    measure: Measure
    period: Literal["day"] = "day"
    start: Moment
    end: Moment
    value: FiniteFloat | None
    definition: int = 1

    @property
    def key(self) -> str:
        return f"{self.pipeline}/{self.stage or '-'}/{self.measure}/{self.start:%Y-%m-%d}"


class MeasureEvent(Envelope[MeasureData]):
    type: Literal["andon.measure.point"] = "andon.measure.point"

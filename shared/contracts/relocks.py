"""`flow.relocks` (compacted): from which week on a chart has a new baseline. Record key: chart@week."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from shared.contracts.envelope import Envelope, Message, Moment, Name, Words

WEEK_PATTERN = r"^[0-9]{4}-W(0[1-9]|[1-4][0-9]|5[0-3])$"


def _existing(week: str) -> str:
    year, number = week.split("-W")
    try:
        date.fromisocalendar(int(year), int(number), 1)
    except ValueError:
        raise ValueError(f"{week} does not exist; write a week of that year, such as {year}-W52") from None
    return week


class RelockData(Message):
    """One lock. Of those with the same chart and week the last one counts.

    `from_week`: the first week of the new baseline; null: the first baseline, locked early. `at`: when it was decided.
    """

    chart: Name = Field(description="pipeline/stage/measure, `-` for the stage of a pipeline's measure")
    from_week: Annotated[str, AfterValidator(_existing)] | None = Field(pattern=WEEK_PATTERN)
    points: int = Field(20, ge=12, le=20)
    reason: Words = Field(min_length=1, max_length=1000)
    actor: Literal["system", "person"]
    at: Moment

    @property
    def key(self) -> str:
        return f"{self.chart}@{self.from_week or ''}"


class RelockEvent(Envelope[RelockData]):
    type: Literal["andon.chart.relocked"] = "andon.chart.relocked"

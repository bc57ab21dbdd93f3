"""What a chart shows, as a value: drawing it needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from pydantic import TypeAdapter

Point = tuple[datetime, float]


@dataclass(frozen=True)
class LineChart:
    """Lines of daily points, limits as named lines, the problem's intervals shaded, deals as dots."""

    title: str
    unit: str
    lines: Mapping[str, Sequence[Point]]
    since: datetime
    until: datetime
    zone: str
    limits: Mapping[str, float] = field(default_factory=dict)
    usual: float | None = None
    intervals: Sequence[tuple[datetime, datetime | None]] = ()
    dots: Sequence[Point] = ()

    def rows(self) -> list[tuple[datetime, list[float | None]]]:
        """The numbers behind the lines, the newest first: one value a line, none where it has no point."""
        by_time: dict[datetime, list[float | None]] = {}
        for column, points in enumerate(self.lines.values()):
            for at, value in points:
                by_time.setdefault(at, [None] * len(self.lines))[column] = value
        return sorted(by_time.items(), reverse=True)

    def to_json(self) -> bytes:
        return _JSON.dump_json(self)

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """The same chart, to the microsecond and the last digit."""
        return _JSON.validate_json(text)  # type: ignore[return-value]


_JSON = TypeAdapter(LineChart)

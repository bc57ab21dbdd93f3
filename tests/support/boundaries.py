"""All changes of a count, whether they decide anything or not."""

from __future__ import annotations

from collections.abc import Iterable

from shared.flow.intervals import Boundary
from shared.flow.rules.rule import Span


def boundaries(spans: Iterable[Span]) -> list[Boundary]:
    """The starts and ends of spans, in no order."""
    starts = [(start, 1) for start, _ in spans]
    return starts + [(end, -1) for _, end in spans if end is not None]

"""`stalled`: at least `count` open deals without progress for `limit`, and without a planned next step in the future.

Progress is entering the stage, or a touch in which the buyer took part. A note by the seller is no progress.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from shared.contracts.measures import Measure
from shared.flow.rules.rule import OLDER, Rule, Span
from shared.flow.visits import Visit


class Stalled(Rule):
    """A visit counts from each progress + limit until the next progress, except while a planned step is due later."""

    kind = "stalled"
    measure = Measure.STALLED
    cause_charts = OLDER

    @property
    def threshold(self) -> int:
        return int(self.rule.count)

    def spans(self, visit: Visit) -> list[Span]:
        excused = list(_excused(visit))
        marks: list[int | None] = [visit.entered, *visit.progress, visit.left]
        found: list[Span] = []
        for since, until in pairwise(marks):
            due = self.clock.due(since or 0, self.limit or 0)
            if until is None or due < until:
                found += _without((due, until), excused)
        return found

    def breached(self, count: int) -> bool:
        return count >= self.threshold


def _excused(visit: Visit) -> Iterator[tuple[int, int]]:
    """The spans in which a planned step, known by then, lay ahead."""
    last = len(visit.steps) - 1
    for number, (known, step) in enumerate(visit.steps):
        end = step if number == last or step is None else min(step, visit.steps[number + 1][0])
        if end is not None and known < end:
            yield known, end


def _without(span: Span, holes: list[tuple[int, int]]) -> Iterator[Span]:
    """What is left of the span. `holes` are in order and do not overlap."""
    start, end = span
    for begin, finish in holes:
        if finish <= start or (end is not None and begin >= end):
            continue
        if begin > start:
            yield start, begin
        start = finish
    if end is None or start < end:
        yield start, end

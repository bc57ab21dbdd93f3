"""Visits as they were known at an instant: later events have told nothing yet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from shared.flow.visits import Visit, WithdrawnVisit


def known_before(visits: Iterable[Visit], withdrawn: Iterable[WithdrawnVisit], instant: int) -> list[Visit]:
    """The visits that events before the instant make."""
    found = [visit for visit in visits if visit.entered < instant and visit.recorded < instant]
    found += [visit for visit, at in withdrawn if visit.since < instant <= at]
    return [visit if visit.left is not None and visit.left < instant else _cut(visit, instant) for visit in found]


def _cut(visit: Visit, instant: int) -> Visit:
    """The visit itself where nothing of it is later."""
    last = max(visit.left or 0, visit.progressed, visit.steps[-1][0] if visit.steps else 0)
    if last < instant:
        return visit
    left = visit.left if visit.left is not None and visit.left < instant else None
    progress = [touch for touch in visit.progress if touch < instant]
    return replace(visit, left=left, progress=progress, steps=[step for step in visit.steps if step[0] < instant])

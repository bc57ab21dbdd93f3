"""The newest count of a problem. Its growth is told by half again only, but each end of a day is counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.tickets.charts.render import Point
from services.tickets.domain.lifecycle import Ticket
from services.tickets.store import tickets as store
from services.tickets.store.tickets import Series
from shared.contracts.measures import Measure
from shared.contracts.problems import ProblemData

MEASURE = {
    "aging": Measure.OVER_AGE,
    "wip-high": Measure.WIP,
    "wip-low": Measure.WIP,
    "stalled": Measure.STALLED,
}


@dataclass(frozen=True)
class LatestCount:
    """A problem with its newest count, and as of when that is."""

    problem: ProblemData
    at: datetime


def series(problem: ProblemData, measure: Measure) -> Series:
    return problem.pipeline, problem.stage or "", measure.value


def judged(problem: ProblemData) -> list[Series]:
    """The measure that the problem's rule counts; none of a kind that is not drawn."""
    return [series(problem, MEASURE[problem.kind])] if problem.kind in MEASURE else []


def told_at(problem: ProblemData) -> datetime:
    return problem.evidence.at if problem.evidence is not None else problem.detected_at


def counted(problem: ProblemData, points: Sequence[Point] = ()) -> LatestCount:
    """As it was told, or as its measure was counted at the end of a day after that."""
    if problem.cleared_at is None and points and told_at(problem) < points[-1][0]:
        at, value = points[-1]
        return LatestCount(problem.model_copy(update={"count": int(value)}), at)
    return LatestCount(problem, told_at(problem))


async def newest(connection: Any, tickets: Sequence[Ticket], now: datetime) -> dict[int, LatestCount]:
    """By ticket. A closed one says what it was told: the rule may be another since."""
    wanted = {ticket.id: judged(ticket.problem) for ticket in tickets if ticket.is_open}
    found = await store.newest_points(connection, [one for some in wanted.values() for one in some], now)
    points = {number: [found[one] for one in some if one in found] for number, some in wanted.items()}
    return {ticket.id: counted(ticket.problem, points.get(ticket.id, ())) for ticket in tickets}

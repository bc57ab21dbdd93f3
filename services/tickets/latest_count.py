"""The newest count of a problem: messages report only growth by half, but measures have a count for every day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.tickets.domain.lifecycle import Ticket
from services.tickets.store import measures
from services.tickets.store.measures import Point, Series
from shared import wording
from shared.contracts.measures import Measure
from shared.contracts.problems import ProblemData
from shared.postgres.pool import Executor


@dataclass(frozen=True)
class LatestCount:
    """A problem with its newest count, and as of when that is."""

    problem: ProblemData
    at: datetime


def series(problem: ProblemData, measure: Measure) -> Series:
    """A measure of the problem's stage."""
    return problem.pipeline, problem.stage or "", measure.value


def rule_series(problem: ProblemData) -> Series | None:
    """What the problem's rule counts. None for a kind that this version does not know."""
    spec = wording.of(problem.kind).chart
    return series(problem, spec.measure) if spec else None


def counted_at(problem: ProblemData) -> datetime:
    """As of when the count in a problem's message is."""
    return problem.evidence.at if problem.evidence is not None else problem.detected_at


def latest_count(problem: ProblemData, points: Sequence[Point] = ()) -> LatestCount:
    """The count of the message, or of the last day where that ended after it."""
    if problem.cleared_at is None and points and counted_at(problem) < points[-1][0]:
        at, value = points[-1]
        return LatestCount(problem.model_copy(update={"count": int(value)}), at)
    return LatestCount(problem, counted_at(problem))


async def latest_counts(executor: Executor, found: Sequence[Ticket], now: datetime) -> Mapping[int, LatestCount]:
    """By ticket. Closed tickets keep the count of their message: the rule may have changed since."""
    wanted = {ticket.id: rule_series(ticket.problem) for ticket in found if ticket.is_open}
    points = await measures.newest_points(executor, [one for one in wanted.values() if one], now)
    newest = {number: [points[one]] for number, one in wanted.items() if one in points}
    return {ticket.id: latest_count(ticket.problem, newest.get(ticket.id, ())) for ticket in found}

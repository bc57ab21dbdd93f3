"""Which changes fall into the same weeks of the same stage: no study can tell then what each of them did."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from services.tickets.domain.seal import SealedPlan
from services.tickets.domain.ticket import Ticket
from services.tickets.store import plans
from services.tickets.store.plans import SealedChange
from services.tickets.study.change_weeks import ChangeWeeks, change_instant, judged_from
from shared.flow.statistics.columns import Chart
from shared.flow.statistics.weeks import Weeks
from shared.postgres.pool import Executor
from shared.runtime.instants import moment

# Longer than any study.
_LONGEST = timedelta(days=366)
# A stage, or a whole pipeline where it is empty.
Place = tuple[str, str]


@dataclass(frozen=True)
class ChangeSpan:
    """From its change to the end of its study, in microseconds, and the places that a change is about."""

    ticket: int
    places: Collection[Place]
    start: int
    end: int

    @classmethod
    def of(cls, ticket: Ticket, measure: Chart, start: int, end: int) -> ChangeSpan:
        """Of the stage of the problem, and of that of the measure."""
        problem = ticket.problem
        return cls(ticket.id, _places(problem.pipeline, problem.stage, measure), start, end)

    def overlaps(self, other: ChangeSpan) -> bool:
        """Whether both are about the same place at the same time, and of different tickets."""
        is_same_time = self.start < other.end and other.start < self.end
        return is_same_time and self.ticket != other.ticket and not set(self.places).isdisjoint(other.places)


def span_of(ticket: Ticket, sealed: SealedPlan) -> ChangeSpan:
    """The span of a sealed plan."""
    start, end = _study(sealed)
    return ChangeSpan.of(ticket, sealed.plan.measure, start, end)


async def overlapping(executor: Executor, span: ChangeSpan) -> tuple[int, ...]:
    """The tickets whose changes overlap with this one, those not yet made too."""
    first, last = moment(span.start).date() - _LONGEST, moment(span.end).date() + _LONGEST
    found = await plans.changes_at(executor, span.places, first, last)
    return tuple(sorted({one.sealed.ticket for one in found if span.overlaps(_span(one))}))


def _span(change: SealedChange) -> ChangeSpan:
    measure = change.sealed.plan.measure
    places = _places(change.pipeline, change.stage, measure)
    return ChangeSpan(change.sealed.ticket, places, *_study(change.sealed))


def _places(pipeline: str, stage: str | None, measure: Chart) -> frozenset[Place]:
    """The stages that a change is about; the pipeline, where it is about no stage."""
    found = {(pipeline, stage or ""), (measure.pipeline, measure.stage)}
    return frozenset({place for place in found if place[1]} or found)


def _study(sealed: SealedPlan) -> tuple[int, int]:
    start, at = change_instant(sealed.plan.change_date, 0, sealed.ground.zone), judged_from(sealed)
    return start, ChangeWeeks(Weeks(at, sealed.ground.zone), at).end_of(sealed.ground.window)

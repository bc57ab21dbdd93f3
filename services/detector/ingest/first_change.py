"""The first instant at which what is known of a deal changes: weekly measures of weeks before it stay as they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from shared.flow.statistics.close_dates import tells_close
from shared.flow.visits import DealState, Event, Visit, WithdrawnVisit


def of_later_events(
    first: int, visits: Iterable[Visit], before: Visit | None, withdrawn: Iterable[WithdrawnVisit]
) -> int:
    """After events, the `first` at this instant, that a state went on with; `before` was its current visit.

    `visits`, `withdrawn`: of the state since. A visit may begin before its event, which tells when it was entered, or
    belong to another pipeline from its beginning.
    """
    for visit in visits:
        if visit is not before and visit.entered < first:
            first = visit.entered
    for one in withdrawn:
        first = min(first, one.visit.entered)
    return first


def of_refold(old: DealState, new: DealState, changed: Iterable[Event] = ()) -> int | None:
    """Between two folds of all events of a deal. None: nothing changes.

    `changed`: the events that only one of them has.
    """
    instants = [*_of_visits(old.visits, new.visits), *_of_closings(old, new)]
    instants += [event.key.time for event in changed if tells_close(event)]
    return min(instants, default=None)


def _of_visits(old: Sequence[Visit], new: Sequence[Visit]) -> Iterator[int]:
    """Visits are compared by their beginning; of one that only ends at another time the earlier end counts."""
    others = {visit.entered: visit for visit in new}
    for visit in old:
        other = others.pop(visit.entered, None)
        if other is None or _place(visit) != _place(other):
            yield visit.entered
        elif visit.left != other.left:
            yield min(left for left in (visit.left, other.left) if left is not None)
    yield from others


def _place(visit: Visit) -> tuple[str, str, bool]:
    return visit.pipeline, visit.stage, visit.known


def _of_closings(old: DealState, new: DealState) -> Iterator[int]:
    before, after = Counter(old.closings), Counter(new.closings)
    return (closing.time for closing in (before - after) + (after - before))

"""The visits of one stage as the events before each of several instants make them; the instants come in order.

Each visit costs a few steps in sorted lists however many instants are asked, so that a history of years is learned
from week by week in one pass.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import compress
from operator import lt

from shared.flow.calendars import AgeClock
from shared.flow.visits import Visit, WithdrawnVisit


class _SortedTimes:
    """Times that count at some of the instants only. `now`: those that count at the present one, sorted."""

    def __init__(self, instants: int) -> None:
        self.now: list[int] = []
        self._come: list[list[int]] = [[] for _ in range(instants)]
        self._gone: list[list[int]] = [[] for _ in range(instants + 1)]

    def add(self, time: int, first: int, last: int) -> None:
        """The time counts at the instants `[first, last)`."""
        if first < last:
            self._come[first].append(time)
            self._gone[last].append(time)

    def forward(self, number: int) -> None:
        """Move to the instant of that number, the one after the present."""
        if self._gone[number]:
            self.now = _without(self.now, sorted(self._gone[number]))
        self.now += self._come[number]
        # Two sorted runs, nearly: this costs one comparison for each time.
        self.now.sort()


def _without(times: list[int], gone: list[int]) -> list[int]:
    """Sorted times without some of them, in runs: to delete one after another would move all later ones each time."""
    kept, start = list[int](), 0
    for time in gone:
        at = bisect_left(times, time, start)
        kept += times[start:at]
        start = at + 1
    return kept + times[start:]


class KnownStays:
    """The visits of a stage with its clock; times are microseconds. `instants`: all that are asked for, in order."""

    def __init__(
        self,
        visits: Iterable[Visit],
        withdrawn: Iterable[WithdrawnVisit],
        clock: AgeClock,
        window: int,
        instants: Sequence[int],
    ) -> None:
        self._clock, self._window, self._instants, self._passed = clock, window, instants, 0
        stays: list[tuple[Visit, int | None]] = [*((visit, None) for visit in visits), *withdrawn]
        # Positions on the clock are counted from here; any instant does, one near by costs least.
        self._reading = clock.reading(min((visit.entered for visit, _ in stays), default=0))
        # Of visits entered, at a known instant, within `window`: times in stage; of open ones, positions of entering.
        self._finished, self._positions = _SortedTimes(len(instants)), _SortedTimes(len(instants))
        # Of all open visits: when they were entered.
        self._open = _SortedTimes(len(instants))
        done = sorted(found for visit, until in stays if (found := self._add(visit, until)) is not None)
        # Of all visits that are left, in the order of leaving.
        self._left, self._entered = [left for left, _, _ in done], [entered for _, entered, _ in done]
        self._lengths = array("q", [length for _, _, length in done])
        self._long = list[int]()
        self._least: int | None = None

    def _add(self, visit: Visit, until: int | None) -> tuple[int, int, int] | None:
        """Take in a visit; gives when it was left and entered, and its time in stage, where it was left."""
        instants, entered, left = self._instants, visit.entered, visit.left
        position, end = self._reading(entered), until if left is None else left
        known = bisect_right(instants, visit.since)
        closed = len(instants) if end is None else bisect_right(instants, end)
        if known < closed:
            self._open.add(entered, known, closed)
        if not visit.known:
            return None if left is None else (left, entered, self._reading(left) - position)
        expired = bisect_right(instants, entered + self._window)
        if known < closed:
            self._positions.add(position, known, min(closed, expired))
        if left is None:
            return None
        length = self._reading(left) - position
        self._finished.add(length, closed, expired)
        return left, entered, length

    def forward(self, instant: int) -> None:
        """Move to one of the instants, not before the last one: what happened before it is known, at it nothing yet."""
        upto = bisect_right(self._instants, instant)
        for number in range(self._passed, upto):
            self._finished.forward(number)
            self._positions.forward(number)
            self._open.forward(number)
        self._passed = upto

    @property
    def finished(self) -> list[int]:
        """Sorted times in stage of the visits entered, at a known instant, within `window`, that have been left."""
        return self._finished.now

    def ages(self, instant: int) -> list[int]:
        """Sorted ages, at the instant, of the visits that would belong to `finished` had they been left."""
        here = self._reading(instant)
        return [here - position for position in reversed(self._positions.now)]

    def over(self, limit: int, begin: int, end: int) -> tuple[list[int], list[int]]:
        """When visits are over age `limit` in `[begin, end)`: the sorted starts, and the sorted ends before `end`.

        `end` is the instant moved to.
        """
        first, last = bisect_right(self._left, begin), bisect_left(self._left, end)
        long = [number for number in self._longer(limit, first, last) if self._lengths[number] >= limit]
        starts = self._clock.dues([self._entered[number] for number in long], limit)
        ends = [self._left[number] for number in long]
        reached = list(map(lt, starts, ends))
        if not all(reached):
            starts, ends = list(compress(starts, reached)), list(compress(ends, reached))
        # Of two visits the one entered first reaches the limit first.
        due, entered = self._clock.due, self._open.now
        starts += self._clock.dues(entered[: bisect_left(entered, end, key=lambda one: due(one, limit))], limit)
        return sorted(starts), ends

    def _longer(self, limit: int, first: int, last: int) -> list[int]:
        """Numbers `[first, last)` of visits that are left, all that last for `limit` among them.

        Limits of two instants differ little, so that a list of the long visits serves many of them.
        """
        if self._least is None or not self._least <= limit <= 2 * self._least:
            self._least = least = limit * 3 // 4
            self._long = [number for number, length in enumerate(self._lengths) if length >= least]
        return self._long[bisect_left(self._long, first) : bisect_left(self._long, last)]

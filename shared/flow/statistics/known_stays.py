"""The visits of one stage as the events before an instant make them; the instant moves forward only.

Each visit costs a few steps in sorted lists however many instants are asked, so that a history of years is learned
from week by week in one pass.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from enum import IntEnum
from operator import itemgetter

from shared.flow.calendars import AgeClock
from shared.flow.visits import Visit, WithdrawnVisit


class _StayChange(IntEnum):
    """What happens to a visit; of one instant in this order."""

    RECORDED = 0
    LEFT = 1
    WITHDRAWN = 2
    EXPIRED = 3


class _Stay:
    """A visit on its way through the sorted lists. `member`: the list that holds its time, and that time."""

    __slots__ = ("counted", "entered", "left", "length", "member", "position")

    def __init__(self, visit: Visit, clock: AgeClock, origin: int) -> None:
        self.entered, self.left, self.counted = visit.entered, visit.left, visit.known
        self.position = clock.age(origin, visit.entered)
        self.length = 0 if visit.left is None else clock.age(visit.entered, visit.left)
        self.member: tuple[list[int], int] | None = None

    def put(self, times: list[int], time: int) -> None:
        """Into a sorted list, and out of the one where it is."""
        self.take()
        if self.counted:
            insort(times, time)
            self.member = times, time

    def take(self) -> None:
        """Out of the list where it is."""
        if self.member is not None:
            times, time = self.member
            del times[bisect_left(times, time)]
            self.member = None


class KnownStays:
    """The visits of a stage with its clock; times are microseconds.

    `finished`: sorted times in stage of the visits that were entered, at a known instant, within `window` before the
    instant, and have been left.
    """

    def __init__(
        self, visits: Iterable[Visit], withdrawn: Iterable[WithdrawnVisit], clock: AgeClock, window: int
    ) -> None:
        self._clock, self._window = clock, window
        stays = [*((visit, None) for visit in visits), *withdrawn]
        # Positions on the clock are counted from here; any instant does, one near by costs least.
        self._origin = min((visit.entered for visit, _ in stays), default=0)
        self.finished: list[int] = []
        # Of the open ones of these: the positions on the clock at which they were entered, sorted.
        self._positions: list[int] = []
        # All visits of the stage, also those entered earlier or at an unknown instant.
        self._open: set[_Stay] = set()
        self._done: list[_Stay] = []
        self._first_done = self._applied = 0
        changes = [change for visit, until in stays for change in self._changes(visit, until)]
        self._changes_due = sorted(changes, key=itemgetter(0, 1))

    def _changes(self, visit: Visit, until: int | None) -> Iterable[tuple[int, _StayChange, _Stay]]:
        stay = _Stay(visit, self._clock, self._origin)
        yield visit.since, _StayChange.RECORDED, stay
        yield visit.entered + self._window, _StayChange.EXPIRED, stay
        if visit.left is not None:
            yield visit.left, _StayChange.LEFT, stay
        elif until is not None:
            yield until, _StayChange.WITHDRAWN, stay

    def forward(self, instant: int) -> None:
        """Move to an instant, not before the last one: what happened before it is known, at it nothing yet."""
        due, number = self._changes_due, self._applied
        while number < len(due) and due[number][0] < instant:
            self._apply(due[number][1], due[number][2])
            number += 1
        self._applied = number

    def _apply(self, change: _StayChange, stay: _Stay) -> None:
        if change is _StayChange.EXPIRED:
            stay.take()
            stay.counted = False
        elif change is _StayChange.RECORDED:
            self._open.add(stay)
            stay.put(self._positions, stay.position)
        elif change is _StayChange.LEFT:
            self._open.discard(stay)
            self._done.append(stay)
            stay.put(self.finished, stay.length)
        else:
            self._open.discard(stay)
            stay.take()

    def ages(self, instant: int) -> list[int]:
        """Sorted ages, at the instant, of the visits that would belong to `finished` had they been left."""
        here = self._clock.age(self._origin, instant)
        return [here - position for position in reversed(self._positions)]

    def over(self, limit: int, begin: int, end: int) -> tuple[list[int], list[int]]:
        """When visits are over age `limit` in `[begin, end)`: the sorted starts, and the sorted ends before `end`.

        `end` is the instant moved to; `begin` is not before that of an earlier call.
        """
        while self._first_done < len(self._done) and (self._done[self._first_done].left or 0) <= begin:
            self._first_done += 1
        starts, ends, due, here = [], [], self._clock.due, self._clock.age(self._origin, end)
        long = [stay for stay in self._done[self._first_done :] if stay.length >= limit]
        for stay in long:
            if stay.left is not None and (start := due(stay.entered, limit)) < stay.left:
                starts.append(start)
                ends.append(stay.left)
        reached = (due(stay.entered, limit) for stay in self._open if here - stay.position >= limit)
        starts += [start for start in reached if start < end]
        return sorted(starts), ends

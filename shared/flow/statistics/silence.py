"""Silence of a source: no event for longer than its own rhythm lets expect.

The gap after a receipt is judged with the table of that receipt's week, for its whole length. Time counts in expected
events: nights, weekends and days off pass quickly.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import compress, pairwise
from math import floor
from operator import itemgetter

from shared.flow.intervals import Interval
from shared.flow.statistics.columns import Value
from shared.flow.statistics.ranks import TOLERANCE
from shared.flow.statistics.rhythm import EVENT, WEEKS, Rhythm, WeekReceipts, learn, week_receipts
from shared.flow.statistics.wall_hours import DAYS, HOUR, HOURS, WallHours

_SECOND = 1_000_000
# How far to look for the next opening.
_AHEAD = WEEKS * DAYS * HOURS * HOUR


@dataclass(frozen=True)
class SourceSilence:
    """Intervals in which a source was silent; `peak`: the events that were to be expected, rounded down.

    `need`: the expected events that silence takes now, None while nothing is judged. `due`: when to judge again if no
    event comes: the next opening, or as far ahead as was looked; None: not before the next event.
    """

    intervals: list[Interval]
    need: float | None
    due: int | None = None


class ReceiptLog:
    """Collects when sources were heard: of the events of one source with one id the first that is added counts."""

    def __init__(self) -> None:
        self._heard: dict[str, tuple[list[str], list[int]]] = defaultdict(lambda: ([], []))

    def add(self, sources: Sequence[str], event_ids: Sequence[str], instants: Sequence[int]) -> None:
        """Events were received: of each the source, its id and when."""
        for source in set(sources):
            ids, heard = self._heard[source]
            chosen = [one == source for one in sources]
            ids += compress(event_ids, chosen)
            heard += compress(instants, chosen)

    def by_source(self) -> dict[str, array[int]]:
        """The receipts of each source, in order."""
        return {source: array("q", sorted(_first(*heard).values())) for source, heard in self._heard.items()}


def _first(ids: Sequence[str], instants: Sequence[int]) -> dict[str, int]:
    """By id, the first instant."""
    return dict(zip(reversed(ids), reversed(instants), strict=True))


def silence(receipts: Sequence[int], hours: WallHours, budget: Value, as_of: int) -> SourceSilence:
    """When one source was silent. `receipts`: in order, all of them at `as_of` or before.

    `budget`: openings by chance in 91 days.
    """
    if not receipts:
        return SourceSilence([], None)
    return silence_since(receipts, hours, budget, as_of, receipts[0], receipts[0])


def silence_since(
    receipts: Sequence[int], hours: WallHours, budget: Value, as_of: int, first: int, since: int
) -> SourceSilence:
    """As `silence`, of the gaps that begin at `since` or later; others of that week may come too.

    `first`: the source's first receipt ever. `receipts`: at least those from `learned_from(since)` on.
    """
    source = _Source(receipts, hours, budget, as_of, first)
    rhythm = source.rhythm(hours.weeks.of(as_of))
    return SourceSilence(list(source.intervals(since)), rhythm.need if rhythm else None, source.due())


def learned_from(since: int, hours: WallHours) -> int:
    """The first instant of the weeks that the table in force at `since` is learned from."""
    return hours.weeks.start(hours.weeks.of(since) - WEEKS)


@dataclass
class _Source:
    receipts: Sequence[int]
    hours: WallHours
    budget: Value
    as_of: int
    first: int
    _weeks: dict[int, WeekReceipts] = field(default_factory=dict)

    def rhythm(self, week: int) -> Rhythm | None:
        """The table in force in a week; None before the source has eight full weeks."""
        learned = range(week - WEEKS, week)
        if learned[0] <= self.hours.weeks.of(self.first):
            return None
        working = [self.hours.working(one) for one in learned]
        start = self.hours.weeks.start(week)
        return learn([self._week(one) for one in learned], working, start, self.budget)

    def due(self) -> int | None:
        """When the gap after the last receipt opens, where that is after `as_of`."""
        last = self.receipts[-1]
        rhythm, ahead = self.rhythm(self.hours.weeks.of(last)), self.as_of + _AHEAD
        if rhythm is None:
            return None
        opened = self._opens(rhythm, last, ahead)
        if opened is None:
            return ahead
        return opened if opened > self.as_of else None

    def intervals(self, since: int) -> Iterator[Interval]:
        """Those of the week of `since` and later ones, in order."""
        at = bisect_left(self.receipts, self.hours.weeks.start(self.hours.weeks.of(since)))
        while at < len(self.receipts):
            week = self.hours.weeks.of(self.receipts[at])
            rhythm = self.rhythm(week)
            if rhythm:
                yield from self._in_week(week, rhythm)
            at = bisect_left(self.receipts, self.hours.weeks.end(week))

    def _in_week(self, week: int, rhythm: Rhythm) -> Iterator[Interval]:
        """Those that follow a receipt of the week."""
        for since, until in sorted(self._long_gaps(week, rhythm), key=itemgetter(0)):
            end = self.as_of if until is None else until
            opened = self._opens(rhythm, since, end)
            if opened is not None and (opened < end or (until is None and opened == end)):
                yield Interval(opened, until, self._peak(rhythm, since, end))

    def _long_gaps(self, week: int, rhythm: Rhythm) -> Iterator[tuple[int, int | None]]:
        """Gaps that may be long enough; the last one has no end yet."""
        found, least = self._week(week), (rhythm.need - TOLERANCE) * EVENT
        for cell, first, last, widest in found.hours:
            if rhythm.rates[cell] * widest[-1] >= least:
                yield from pairwise(self.receipts[first : last + 1])
        for gap in found.gaps:
            if not gap.cells or rhythm.expected(gap) >= least:
                yield gap.since, gap.until
        if self.receipts[-1] < self.hours.weeks.end(week):
            yield self.receipts[-1], None

    def _opens(self, rhythm: Rhythm, since: int, until: int) -> int | None:
        """When the needed number is reached, as a whole second; None where that is later than within a second."""
        need, seen = rhythm.need * EVENT, 0
        for start, end, cell in self.hours.between(since, until + _SECOND):
            more = rhythm.rates[cell] * (end - start)
            if more and seen + more >= need - TOLERANCE * EVENT:
                return _whole_second(start, min(max((need - seen) / rhythm.rates[cell], 0.0), float(end - start)))
            seen += more
        return None

    def _peak(self, rhythm: Rhythm, since: int, until: int) -> int:
        expected = sum(rhythm.rates[cell] * (end - start) for start, end, cell in self.hours.between(since, until))
        return floor(expected / EVENT + TOLERANCE)

    def _week(self, week: int) -> WeekReceipts:
        if week not in self._weeks:
            self._weeks[week] = week_receipts(self.receipts, self.hours, week)
        return self._weeks[week]


def _whole_second(start: int, wait: float) -> int:
    """The instant `wait` microseconds after the start, rounded up; less than a microsecond above a second is on it."""
    second, rest = divmod(start + floor(wait), _SECOND)
    return (second if rest + wait - floor(wait) < 1 else second + 1) * _SECOND

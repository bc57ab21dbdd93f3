"""How often would a count reach a number by chance alone? From the count's own past.

In a steady state a count rises from n - 1 to n at the rate of arrivals times the probability of n - 1 (PASTA, Wolff
1982; Brill, "Level Crossing Methods in Stochastic Models"): the expected number of openings in continuous time. The
count is taken as negative binomial: a Poisson count (the M/G/infinity queue, Mirasol 1963) widened for bursts and for
the error of its mean.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import count
from math import ceil, exp, floor, log, log1p
from typing import NamedTuple

from shared.flow.rules.rule import Span

QUARTER_DAYS = 91
DAY = 86_400_000_000
# Floors and ceilings of doubles hold within this.
_TOLERANCE = 1e-9
# A count that was always 0 is taken to be this on average.
_LEAST_MEAN = 1e-6
# Probabilities below exp of this are 0 as doubles.
_VANISHED = -746.0


class Crossings(NamedTuple):
    """A count over a window of time `[begin, end)`; times in units of which `day` make a day.

    `mean` and `variance` over time. `reached`: how often the count rose by one. `busy_rises`: how often it did while it
    had been 1 or more, after `begin`. `busy_time`: how long it was 1 or more.
    """

    mean: Fraction
    variance: Fraction
    reached: int
    busy_rises: int
    busy_time: int
    window: int
    day: int = DAY

    @property
    def busy_rate(self) -> float:
        """Rises a day while the count is 1 or more; 0 where it never is."""
        return float(Fraction(self.busy_rises * self.day, self.busy_time)) if self.busy_time else 0.0

    @property
    def window_days(self) -> float:
        return float(Fraction(self.window, self.day))

    @property
    def model(self) -> CrossingModel:
        """What chance makes of such a count."""
        return CrossingModel(self.mean, float(self.variance), self.reached, self.busy_rate, self.window_days)


def crossings_of(spans: Iterable[Span], begin: int, end: int, day: int = DAY) -> Crossings:
    """The crossings of the number of spans that hold an instant, over `[begin, end)`."""
    held = [(s, e) for s, e in spans if s < end and (e is None or (e > begin and e > s))]
    return crossings(sorted([s for s, _ in held]), sorted([e for _, e in held if e is not None]), begin, end, day)


def crossings(starts: Sequence[int], ends: Sequence[int], begin: int, end: int, day: int = DAY) -> Crossings:
    """As `crossings_of`, from the sorted starts and the sorted ends of spans."""
    first = bisect_right(starts, begin)
    last = bisect_left(starts, end, first)
    level = first - bisect_right(ends, begin)
    # Odd: the count rises. Of one instant the falls come first, which changes no area.
    marks = [2 * start + 1 for start in starts[first:last]]
    marks += [2 * stop for stop in ends[first - level :] if stop < end]
    marks.append(2 * end)
    marks.sort()
    area = squares = busy_time = busy_rises = 0
    at, before = begin, level
    for mark in marks:
        instant = mark >> 1
        if instant != at:
            length = instant - at
            area += level * length
            squares += level * level * length
            busy_time += length if level else 0
            at, before = instant, level
        if mark & 1:
            level += 1
            busy_rises += before > 0
        else:
            level -= 1
    window = end - begin
    mean = Fraction(area, window)
    reached = last - bisect_left(starts, begin)
    return Crossings(mean, Fraction(squares, window) - mean * mean, reached, busy_rises, busy_time, window, day)


@dataclass(frozen=True)
class CrossingModel:
    """The count that chance makes of a past with this mean and variance over `window_days`.

    `mean`: exact. `reached`: rises in the window. `busy_rate`: rises a day while the count is 1 or more.
    """

    mean: Fraction
    seen_variance: float
    reached: Fraction | int
    busy_rate: float
    window_days: float

    @cached_property
    def rate(self) -> float:
        """Rises a day."""
        return max(float(self.reached), 1.0) / self.window_days

    @property
    def variance(self) -> float:
        """The variance of the count, widened for bursts and for the error of the mean."""
        return self._mean * (1 + self._excess)

    @property
    def clears_at(self) -> int:
        """The mean, rounded down: so high the count usually is."""
        return floor(self.mean)

    def openings(self, number: int) -> float:
        """Expected rises from `number` - 1 (0 or more) to `number` in 91 days."""
        rate = self.rate if number == 1 else self._busiest
        for at, found in enumerate(self._logarithms()):
            if at == number - 1:
                return QUARTER_DAYS * rate * exp(found)
            if at > self._mean and found < _VANISHED:
                break
        return 0.0

    def least_number(self, budget: Fraction) -> int:
        """The least number above the mean that chance reaches at most `budget` times in 91 days."""
        start, allowed = ceil(self._mean - _TOLERANCE), float(budget)
        number = 0
        for number, found in enumerate(self._logarithms(), 1):
            if number > start and QUARTER_DAYS * self._busiest * exp(found) <= allowed:
                break
        return number

    @cached_property
    def _mean(self) -> float:
        return float(self.mean) or _LEAST_MEAN

    @property
    def _busiest(self) -> float:
        """Rises a day; of a queue, whose rises come in heaps, those while it is busy."""
        return max(self.rate, self.busy_rate)

    @cached_property
    def _excess(self) -> float:
        """By which share the variance is greater than the mean. A sum of positive terms, so that no digits are lost."""
        bursts = max(self.seen_variance / self._mean - 1, 0.0)
        mean_error = 2 * self._mean / self.rate / self.window_days
        bursts_error = bursts / (1 + bursts) / 2
        return bursts + mean_error * (1 + bursts) + bursts_error * (1 + bursts) * (1 + mean_error)

    def _logarithms(self) -> Iterator[float]:
        """The logarithm of the probability of 0, 1, 2, ... without end."""
        size, share = self._mean / self._excess, self._excess / (1 + self._excess)
        found = -size * log1p(self._excess)
        for below in count():
            yield found
            found += log((size + below) * share / (below + 1))

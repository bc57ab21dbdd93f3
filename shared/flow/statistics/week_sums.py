"""The sum of random weeks: its exact distribution and quantiles, by convolution in integers, without random numbers.

Counts of all sums of k draws are the coefficients of a polynomial to the k-th power. The polynomial is packed into one
long integer (Kronecker substitution), so that Python's multiplication of integers does the convolution.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property
from itertools import accumulate
from math import gcd
from operator import mul


class Draws:
    """Draws with replacement from the given weeks: whole numbers, one or more."""

    def __init__(self, weeks: Sequence[int]) -> None:
        self.weeks = tuple(weeks)
        self._least = min(weeks)
        # Weeks of 20, 30 and 50 are counted as 0, 1 and 3 steps above the least: short tables.
        self._step = gcd(*(week - self._least for week in weeks)) or 1
        self._steps = Counter((week - self._least) // self._step for week in weeks)
        self._counts: dict[int, list[int]] = {}

    @cached_property
    def mean(self) -> Fraction:
        """The mean of one draw."""
        return Fraction(sum(self.weeks), len(self.weeks))

    @cached_property
    def variance(self) -> Fraction:
        """The variance of one draw."""
        return Fraction(sum(week * week for week in self.weeks), len(self.weeks)) - self.mean**2

    def quantile(self, draws: int, p: Fraction) -> int:
        """The least sum of so many draws that is reached or not exceeded with a probability of at least p."""
        needed = p * len(self.weeks) ** draws
        below = _SumsOfTwo(self._table(draws - draws // 2), self._table(draws // 2))
        steps = bisect_left(range(below.last), needed, key=below.up_to)
        return draws * self._least + steps * self._step

    def _table(self, draws: int) -> list[int]:
        """How many of all ordered draws sum up to 0, 1, 2, ... steps above the least."""
        if draws not in self._counts:
            width = (len(self.weeks) ** draws).bit_length() // 8 + 1
            size = draws * max(self._steps) + 1
            packed = sum(count << 8 * width * steps for steps, count in self._steps.items()) ** draws
            raw = packed.to_bytes(size * width, "little")
            self._counts[draws] = [int.from_bytes(raw[at : at + width], "little") for at in range(0, len(raw), width)]
        return self._counts[draws]


class _SumsOfTwo:
    """Counts of the sums of two independent parts: asked at one point at a time, the whole table is not needed."""

    def __init__(self, one: list[int], other: list[int]) -> None:
        self._one, self._other = list(accumulate(one)), other
        self.last = len(one) + len(other) - 2

    def up_to(self, total: int) -> int:
        """How many pairs have a sum of at most `total`."""
        whole = max(0, total - len(self._one) + 1)
        part = self._other[whole : total + 1]
        beside = self._one[total - whole - len(part) + 1 : total - whole + 1]
        found: int = self._one[-1] * sum(self._other[:whole]) + sum(map(mul, part, reversed(beside)))
        return found

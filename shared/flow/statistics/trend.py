"""Do values rise or fall over time? Mann-Kendall's test and Sen's slope, without a word on the shape of the values.

Mann 1945, "Nonparametric tests against trend"; Kendall 1954 (variance with ties); Sen 1968, "Estimates of the
regression coefficient based on Kendall's tau". Sums and slopes are exact.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations
from math import sqrt

from shared.flow.statistics.columns import Value
from shared.flow.statistics.ranks import in_order

# A trend counts from here: one side of 5 % of a normal distribution.
TREND_Z = 1.645


def falls_less_rises(values: Sequence[Value]) -> int:
    """How many pairs of values fall from the earlier to the later, less how many rise."""
    return sum((a > b) - (a < b) for a, b in combinations(values, 2))


def trend_z(values: Sequence[Value]) -> float:
    """The pairs that fall less those that rise, in standard deviations of chance: above 0 when values fall."""
    length = len(values)
    eighteenfold = _pairs(length) - sum(_pairs(equal) for equal in Counter(values).values())
    return falls_less_rises(values) / sqrt(eighteenfold / 18) if eighteenfold else 0.0


def slope(values: Sequence[Value]) -> Fraction:
    """The median slope of all pairs of values, per step from one value to the next. Needs two values or more."""
    slopes = in_order(Fraction(b - a, j - i) for (i, a), (j, b) in combinations(enumerate(values), 2))
    return (slopes[len(slopes) // 2] + slopes[(len(slopes) - 1) // 2]) / 2


def _pairs(length: int) -> int:
    """18 times the variance of the sum of signs over `length` distinct values."""
    return length * (length - 1) * (2 * length + 5)

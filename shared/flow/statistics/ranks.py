"""The rank test: do recent weeks rank differently from a reference, whatever the shape of their values?

Counts of U and critical values are exact (Mann & Whitney 1947, "On a test of whether one of two random variables is
stochastically larger than the other"). `stretch` widens the distance that is needed by what a measure remembers from
week to week (bias of r1: Kendall 1954; Marriott & Pope 1954).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import cache
from math import comb, sqrt
from operator import mul
from typing import TypeVar

from shared.flow.statistics.columns import Value

# Comparisons with a needed distance, a double, hold within this.
TOLERANCE = 1e-9
_PHI_MAX = 0.9
ValueT = TypeVar("ValueT", int, Fraction, Value)


@cache
def counts(m: int, n: int) -> tuple[int, ...]:
    """How many arrangements of n values among m + n have U = 0, 1, ..., m * n."""
    found = [1] + [0] * (m * n)
    for i in range(1, n + 1):
        for u in range(m * n, m + i - 1, -1):
            found[u] -= found[u - m - i]
        for u in range(i, m * n + 1):
            found[u] += found[u - i]
    return tuple(found)


@cache
def critical(m: int, n: int, level: Fraction) -> int | None:
    """The least u that chance reaches with a probability of at most `level`; None where even m * n is too frequent."""
    allowed, tail, found = level * comb(m + n, n), 0, None
    for u in range(m * n, -1, -1):
        tail += counts(m, n)[u]
        if tail > allowed:
            break
        found = u
    return found


def twice_u(reference: Sequence[Value], late: Sequence[Value], *, higher: bool) -> int:
    """Twice the number of pairs in which the late value is the higher (else: the lower) one; a tie counts one half."""
    ordered = in_order(reference)
    below = sum(bisect_left(ordered, value) + bisect_right(ordered, value) for value in late)
    return below if higher else 2 * len(reference) * len(late) - below


def memory(history: Sequence[Value]) -> float:
    """How much a week resembles the one before: the lag-1 autocorrelation of midranks, less its bias, in 0 to 0.9."""
    length = len(history)
    if length < 2:
        return 0.0
    centred = _centred_ranks(history)
    total = sum(c * c for c in centred)
    if total == 0:
        return 0.0
    products = sum(map(mul, centred, centred[1:]))
    # r1 + (1 + 3 r1) / length over one denominator: the division of integers rounds once, as that of a fraction does.
    phi, whole = products * (length + 3) + total, total * length
    return 0.0 if phi <= 0 else min(phi / whole, _PHI_MAX)


def _centred_ranks(values: Sequence[Value]) -> list[int]:
    """Twice the midrank of each value, less the mean of these."""
    # Doubles first: fractions are compared only where these are equal.
    keys = [(float(value), value) for value in values]
    order = sorted(range(len(values)), key=keys.__getitem__)
    found, first = [0] * len(values), 0
    for last in range(1, len(order) + 1):
        if last == len(order) or keys[order[last]] != keys[order[first]]:
            for at in order[first:last]:
                found[at] = first + last - len(order)
            first = last
    return found


def in_order(values: Iterable[ValueT]) -> list[ValueT]:
    """Sorted; fractions by their doubles where these differ: that is much faster than to compare fractions."""
    found = list(values)
    if all(isinstance(value, int) for value in found):
        return sorted(found)
    return [value for _, value in sorted((float(value), value) for value in found)]


def vif(phi: float, n: int) -> float:
    """How much memory inflates the variance of a mean of n weeks."""
    return 1 + 2 * sum((1 - k / n) * phi**k for k in range(1, n))


def stretch(phi: float, m: int, n: int, distance: float | None = None, length: int = 0) -> float:
    """How much farther than without memory U must lie from its middle.

    `distance`: weeks between the middles of both samples where a trend over `length` weeks was taken off.
    """
    extra = 0.0 if distance is None else distance**2 * 12 / length**3 * vif(phi, length)
    return sqrt((vif(phi, m) / m + vif(phi, n) / n + extra) / (1 / m + 1 / n))


def passes(twice: int, m: int, n: int, level: Fraction, g: float) -> bool:
    """Whether U, given as `twice` U, is at least g times as far from its middle as its critical value."""
    found = critical(m, n, level)
    return found is not None and (twice - m * n) / 2 >= g * (found - m * n / 2) - TOLERANCE

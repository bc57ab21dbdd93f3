"""How long visits last, estimated from finished and open ones (Kaplan & Meier 1958), exactly.

A time counts as exceeded when a visit lasts longer. An open visit is censored: it lasts longer than its age, nobody
knows how much. Of visits that end and visits censored at the same time, the ends come first.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

# The learned limit is the least time that at most this share of visits exceeds.
LIMIT_SHARE = Fraction(3, 20)
# Fewer finished visits say too little.
MIN_FINISHED = 30


class _Ends(NamedTuple):
    """The ends of visits between two censored times: `finished[first:last]`.

    `at_risk`: visits that last at least as long as the first end. Before it the share is `numerator / denominator`.
    """

    first: int
    last: int
    at_risk: int
    numerator: int
    denominator: int


class Survival:
    """The share of visits that exceed a time, from sorted times of finished visits and sorted ages of open ones."""

    def __init__(self, finished: Sequence[int], ages: Sequence[int]) -> None:
        self._finished, self._ages = finished, ages

    def quantile(self, share: Fraction) -> int | None:
        """The least time that at most `share` (below 1) of visits exceed; None where more exceed every time."""
        for run in self._runs():
            # The product telescopes: after k ends it is numerator * (at_risk - k) / (denominator * at_risk).
            left = run.denominator * run.at_risk * share.numerator // (run.numerator * share.denominator)
            if run.at_risk - left <= run.last - run.first:
                return self._finished[run.first + run.at_risk - left - 1]
        return None

    def exceeding(self, time: int) -> Fraction:
        """The share of visits that exceed the time."""
        upto, share = bisect_right(self._finished, time), Fraction(1)
        for run in self._runs():
            if run.first >= upto:
                break
            left = run.at_risk - (min(run.last, upto) - run.first)
            share = Fraction(run.numerator * left, run.denominator * run.at_risk)
        return share

    def _runs(self) -> Iterator[_Ends]:
        """The runs that hold at least one end, in order."""
        first, numerator, denominator, total = 0, 1, 1, len(self._finished) + len(self._ages)
        for censored in range(len(self._ages) + 1):
            more = censored < len(self._ages)
            last = bisect_right(self._finished, self._ages[censored], first) if more else len(self._finished)
            if last > first:
                at_risk = total - first - censored
                yield _Ends(first, last, at_risk, numerator, denominator)
                numerator *= at_risk - (last - first)
                denominator *= at_risk
                first = last

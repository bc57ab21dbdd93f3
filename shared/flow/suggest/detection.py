"""How soon a lasting change of a watched chart is found, by its size: figures of `make simulate-signals`.

Independent normal weeks after a baseline of 20; a chart that is one of so many of a pipeline that accepts one false
ticket a quarter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import log
from typing import NamedTuple


class Detection(NamedTuple):
    """`size`: of the change, in standard deviations of the weeks. `weeks`: until half are found; None: over 26."""

    size: float
    within_quarter: float
    weeks: int | None


# By the charts that share one false ticket a quarter.
FOUND: Mapping[int, Sequence[Detection]] = {
    8: (Detection(1, 0.48, 14), Detection(1.5, 0.79, 7), Detection(2, 0.93, 4), Detection(3, 0.99, 4)),
    18: (Detection(1, 0.36, 22), Detection(1.5, 0.70, 8), Detection(2, 0.88, 6), Detection(3, 0.99, 4)),
    36: (Detection(1, 0.26, None), Detection(1.5, 0.61, 10), Detection(2, 0.84, 7), Detection(3, 0.98, 4)),
}


def detections(per_quarter: Fraction) -> Sequence[Detection]:
    """Of a chart that chance opens so often in a quarter: the figures of the nearest simulated one."""
    nearest = min(FOUND, key=lambda charts: abs(log(charts * per_quarter)))
    return FOUND[nearest]

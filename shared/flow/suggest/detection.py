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
    8: [Detection(1, 0.0, None)],
    18: [Detection(1, 0.0, None)],
    36: [Detection(1, 0.0, None)],
}


def detections(per_quarter: Fraction) -> Sequence[Detection]:
    """Of a chart that chance opens so often in a quarter: the figures of the nearest simulated one."""
    nearest = min(FOUND, key=lambda charts: abs(log(charts * per_quarter)))
    return FOUND[nearest]

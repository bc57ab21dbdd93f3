"""One figure of the bench: a measured value and its target."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Figure:
    """`is_met` is None where there is no target. `rounds`: what each measured, where the value is their median."""

    name: str
    value: float
    unit: str
    target: str = ""
    is_met: bool | None = None
    rounds: tuple[float, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def median_of(name: str, rounds: Iterable[float], unit: str, minimum: float | None = None) -> Figure:
    """The median of rounds; `minimum` is its target."""
    listed = tuple(rounds)
    figure = Figure(name, statistics.median(listed), unit, rounds=listed)
    if minimum is None:
        return figure
    return replace(figure, target=f">= {minimum:g}", is_met=figure.value >= minimum)


def at_least(name: str, value: float, unit: str, target: float) -> Figure:
    return Figure(name, value, unit, f">= {target:g}", value >= target)


def at_most(name: str, value: float, unit: str, target: float) -> Figure:
    return Figure(name, value, unit, f"<= {target:g}", value <= target)

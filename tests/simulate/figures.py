"""Figures of a simulation, each with its target, and the cells that are simulated, each with a seed of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

# Compared as they are printed.
_DIGITS = 3


@dataclass(frozen=True)
class SimulatedFigure:
    """`most`, `least`: the target; both None where the figure only informs. A share is in 0 to 1."""

    study: str
    case: str
    what: str
    value: float
    most: float | None = None
    least: float | None = None

    @property
    def target(self) -> str:
        if self.most is not None:
            return f"<= {self.most:g}"
        return "" if self.least is None else f">= {self.least:g}"

    @property
    def is_met(self) -> bool:
        """Whether the target is met; true without one."""
        value = round(self.value, _DIGITS)
        return (self.most is None or value <= self.most) and (self.least is None or value >= self.least)

    def as_json(self) -> dict[str, Any]:
        return {
            "study": self.study,
            "case": self.case,
            "what": self.what,
            "value": round(self.value, 4),
            "target": self.target or None,
            "is_met": self.is_met if self.target else None,
        }


@dataclass(frozen=True)
class Cell:
    """A part of a study that one process simulates. `run(random, scale, *arguments)` gives its figures.

    `scale`: the share of the full number of histories; 1 for `make simulate-signals`.
    """

    study: str
    case: str
    run: Callable[..., Sequence[SimulatedFigure]]
    arguments: tuple[Any, ...] = ()

    def figures(self, scale: float) -> list[SimulatedFigure]:
        """Simulate. The seed is the cell's name: the same figures on every machine and in any order."""
        random = Random(f"{self.study}/{self.case}")
        return list(self.run(random, scale, *self.arguments))


def scaled(number: int, scale: float) -> int:
    """How many of `number` histories to simulate, at least one."""
    return max(1, round(number * scale))

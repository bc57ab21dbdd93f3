"""Figures of a simulation, each with its target, and the cells that are simulated, each with a seed of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from random import Random
from typing import Any

# Compared as they are printed.
_DIGITS = 3


@dataclass(frozen=True)
class SimulatedFigure:
    """`most`, `least`: the target; both None where the figure only informs. A share is in 0 to 1.

    `gate`: what is required in place of a target that is out of reach, on the target's side. `of`: the histories that
    a share was counted in.
    """

    study: str
    case: str
    what: str
    value: float
    most: float | None = None
    least: float | None = None
    gate: float | None = None
    of: int | None = None

    @property
    def target(self) -> str:
        return _bounds(self.most, self.least)

    @property
    def required(self) -> str:
        """The gate where there is one, else the target."""
        return _bounds(*self._required)

    @property
    def is_met(self) -> bool:
        """Whether the target is met; true without one."""
        return self._is_within(self.most, self.least)

    @property
    def passes(self) -> bool:
        """Whether what is required is met."""
        return self._is_within(*self._required)

    @property
    def error(self) -> float | None:
        """The standard error of a share."""
        return sqrt(self.value * (1 - self.value) / self.of) if self.of else None

    @property
    def _required(self) -> tuple[float | None, float | None]:
        if self.gate is None:
            return self.most, self.least
        return (None, self.gate) if self.most is None else (self.gate, None)

    def _is_within(self, most: float | None, least: float | None) -> bool:
        value = round(self.value, _DIGITS)
        return (most is None or value <= most) and (least is None or value >= least)

    def as_json(self) -> dict[str, Any]:
        return {
            "study": self.study,
            "case": self.case,
            "what": self.what,
            "value": round(self.value, 4),
            "standard_error": None if self.error is None else round(self.error, 4),
            "of": self.of,
            "target": self.target or None,
            "is_met": self.is_met if self.target else None,
            "required": self.required or None,
            "passes": self.passes if self.required else None,
        }


def share_figure(study: str, case: str, what: str, part: int, whole: int, **bounds: float | None) -> SimulatedFigure:
    """The share `part` of `whole` histories, 0 of none, with its standard error. `bounds`: most, least, gate."""
    return SimulatedFigure(study, case, what, part / max(whole, 1), of=whole, **bounds)


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


def _bounds(most: float | None, least: float | None) -> str:
    if most is not None:
        return f"<= {most:g}"
    return "" if least is None else f">= {least:g}"

"""One figure of the bench: what was measured, what was to be reached."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """`reached` is None where there is nothing to be reached."""

    name: str
    value: float
    unit: str
    target: str = ""
    reached: bool | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def at_least(name: str, value: float, unit: str, target: float) -> Figure:
    return Figure(name, value, unit, f">= {target:g}", value >= target)


def at_most(name: str, value: float, unit: str, target: float) -> Figure:
    return Figure(name, value, unit, f"<= {target:g}", value <= target)

"""Gathers how counts change, packed by series."""

from __future__ import annotations

from array import array
from collections import defaultdict

from shared.flow.deltas import in_order, number
from shared.flow.rules import Series
from shared.flow.ruleset import Ruleset
from shared.flow.visits import Visit


class CountDeltas:
    """Eight bytes for each change, until they are asked for."""

    def __init__(self, judging: Ruleset) -> None:
        self._judging = judging
        self._numbers: dict[Series, array[int]] = defaultdict(lambda: array("q"))

    def add(self, visit: Visit, sign: int = 1) -> None:
        """Let a visit count (+1), or no longer (-1)."""
        more = sign > 0
        for series, spans in self._judging.spans(visit):
            numbers = self._numbers[series]
            for start, end in spans:
                numbers.append(number(start, more))
                if end is not None:
                    numbers.append(number(end, not more))

    def packed(self) -> dict[str, bytes]:
        """What changes of each series, by its name."""
        return {series.text: raw for series, numbers in self._numbers.items() if (raw := in_order(numbers))}

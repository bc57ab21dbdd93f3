"""What two policies find in the same history, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from shared.flow.intervals import Interval

# An interval without an end overlaps all that begins later.
_NEVER = float("inf")


class Overlap(NamedTuple):
    """Problems that overlap in time, by their places in the lists of both policies; those of one may be none."""

    first: Sequence[int]
    second: Sequence[int]

    @property
    def in_both(self) -> bool:
        return bool(self.first and self.second)


def overlaps(first: Sequence[Interval], second: Sequence[Interval]) -> list[Overlap]:
    """Every problem of one rule, grouped by what it overlaps; in order. Intervals of one list do not overlap."""
    both = [(one.opened_at, 0, number, one) for number, one in enumerate(first)]
    both += [(one.opened_at, 1, number, one) for number, one in enumerate(second)]
    found: list[Overlap] = []
    groups: tuple[list[int], list[int]] = ([], [])
    end = -_NEVER
    for opened, side, number, one in sorted(both):
        if opened >= end and any(groups):
            found.append(Overlap(*groups))
            groups = ([], [])
        groups[side].append(number)
        end = max(end, _NEVER if one.cleared_at is None else one.cleared_at)
    return [*found, Overlap(*groups)] if any(groups) else found


def compared(
    first: Mapping[str, Sequence[Interval]], second: Mapping[str, Sequence[Interval]]
) -> Iterator[tuple[str, list[Overlap]]]:
    """By problem key, of all rules of either policy: those of the first in its order, then those of the second."""
    for key in dict.fromkeys(chain(first, second)):
        yield key, overlaps(first.get(key, ()), second.get(key, ()))

"""Boundaries as bytes: each a 64-bit number, the instant times two, plus one where the count rises."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable

from services.detector.fold import Boundary

SLOT = 6 * 3600 * 1_000_000


def pack(boundaries: Iterable[Boundary]) -> bytes:
    """Little-endian numbers; a delta of n is n entries."""
    numbers = array("q")
    for instant, delta in boundaries:
        numbers.extend([instant * 2 + (delta > 0)] * abs(delta))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def unpack(raw: bytes) -> list[Boundary]:
    """What `pack` wrote."""
    numbers = array("q")
    numbers.frombytes(raw)
    if sys.byteorder == "big":
        numbers.byteswap()
    return [(number >> 1, 1 if number & 1 else -1) for number in numbers]


def net(boundaries: Iterable[Boundary]) -> list[Boundary]:
    """One boundary per instant, in order; what cancels out is gone."""
    sums: dict[int, int] = {}
    for instant, delta in boundaries:
        sums[instant] = sums.get(instant, 0) + delta
    return sorted((instant, delta) for instant, delta in sums.items() if delta)


def by_slot(boundaries: Iterable[Boundary]) -> dict[int, list[Boundary]]:
    """Boundaries by the slot of six hours that they lie in."""
    slots: dict[int, list[Boundary]] = {}
    for boundary in boundaries:
        slots.setdefault(boundary[0] // SLOT, []).append(boundary)
    return slots

"""Boundaries as bytes: each a 64-bit number, the instant times two, plus one where the count rises.

What is kept in a bucket is in order, so that a place in it is found by bisection and most of it is never unpacked.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable

from services.detector.fold import Boundary

# Of a thousand moves a second a slot still holds no more than can be written again with each pass.
SLOT = 15 * 60 * 1_000_000
_WIDTH = 8


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
    return [(number >> 1, 1 if number & 1 else -1) for number in _numbers(raw)]


def unpack_after(raw: bytes, instant: int) -> list[Boundary]:
    """Those of a bucket that come later than the instant."""
    return unpack(raw[_place(raw, instant + 1) :])


def first_at(raw: bytes) -> int:
    """The instant of the first boundary."""
    return unpack(raw[:_WIDTH])[0][0]


def merged(raw: bytes, more: Iterable[Boundary]) -> bytes:
    """A bucket with more boundaries in it, in order; what lies before the first of them is left as it is."""
    fresh = net(more)
    if not fresh:
        return raw
    place = _place(raw, fresh[0][0])
    return raw[:place] + pack(net([*unpack(raw[place:]), *fresh]))


def _numbers(raw: bytes) -> array[int]:
    numbers = array("q")
    numbers.frombytes(raw)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _place(raw: bytes, instant: int) -> int:
    """Where in the bytes of a bucket the boundaries of this instant and later ones begin."""
    return bisect_left(_numbers(raw), instant * 2) * _WIDTH


def net(boundaries: Iterable[Boundary]) -> list[Boundary]:
    """One boundary per instant, in order; what cancels out is gone."""
    sums: dict[int, int] = {}
    for instant, delta in boundaries:
        sums[instant] = sums.get(instant, 0) + delta
    return sorted((instant, delta) for instant, delta in sums.items() if delta)


def by_slot(boundaries: Iterable[Boundary]) -> dict[int, list[Boundary]]:
    """Boundaries by the slot that they lie in."""
    slots: dict[int, list[Boundary]] = {}
    for boundary in boundaries:
        slots.setdefault(boundary[0] // SLOT, []).append(boundary)
    return slots

"""Changes of a count as bytes: each boundary a 64-bit number, its instant times two, plus one where the count rises.

They are kept in order, so that a place among them is found by bisection, and are worked on as numbers: unpacked they
take twenty times the room. Several at one instant are several numbers; a rise and a fall at one instant are none.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from shared.flow.intervals import Boundary

# Of a thousand moves a second a slot still holds no more than can be written again with each pass.
SLOT = 5 * 60 * 1_000_000
_WIDTH = 8
_ODD = bytes(number & 1 for number in range(256))


def number(instant: int, rises: bool) -> int:
    """A boundary at which the count changes by one."""
    return instant * 2 + rises


def instant_of(one: int) -> int:
    """The instant at which it does."""
    return one >> 1


def in_order(numbers: Iterable[int]) -> bytes:
    """Boundaries as they are kept, little-endian."""
    kept: list[int] = []
    for one in sorted(numbers):
        # At one instant the falls come before the rises.
        if one & 1 and kept and kept[-1] == one - 1:
            kept.pop()
        else:
            kept.append(one)
    packed = array("q", kept)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def numbers_of(raw: bytes) -> Sequence[int]:
    """The numbers, in order."""
    if sys.byteorder == "little":
        return memoryview(raw).cast("q")
    numbers = array("q", raw)
    numbers.byteswap()
    return numbers


def clamped(raw: bytes, edge: int) -> Iterator[int]:
    """The numbers, those before the edge moved to it."""
    place = _place(raw, edge)
    # The lowest byte of a number tells whether the count rises; so many are not worth a look each.
    rises = raw[:place:_WIDTH].translate(_ODD).count(1)
    before = 2 * rises - place // _WIDTH
    yield from (number(edge, before > 0) for _ in range(abs(before)))
    yield from numbers_of(raw[place:])


def later_than(buckets: Iterable[bytes], instant: int) -> Sequence[int]:
    """The numbers of buckets, in order, that lie later than the instant."""
    return numbers_of(b"".join([raw[_place(raw, instant + 1) :] for raw in buckets]))


def count_upto(numbers: Sequence[int], instant: int) -> int:
    """How many of the numbers lie at the instant or before."""
    return bisect_left(numbers, number(instant + 1, False))


def unpacked(numbers: Iterable[int]) -> Iterator[Boundary]:
    """Each with its delta, 1 or -1."""
    return ((one >> 1, 1 if one & 1 else -1) for one in numbers)


def first_at(raw: bytes) -> int:
    """The instant of the first boundary."""
    return instant_of(numbers_of(raw[:_WIDTH])[0])


def merged(raw: bytes, more: bytes) -> bytes:
    """Both; what lies before the first of `more` is left as it is."""
    if not more:
        return raw
    place = _place(raw, first_at(more))
    return raw[:place] + in_order(chain(numbers_of(raw[place:]), numbers_of(more)))


def by_slot(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """Boundaries by the slot that they lie in."""
    start = 0
    while start < len(raw):
        slot = first_at(raw[start : start + _WIDTH]) // SLOT
        end = max(_place(raw, (slot + 1) * SLOT), start + _WIDTH)
        yield slot, raw[start:end]
        start = end


def _place(raw: bytes, instant: int) -> int:
    """Where in the bytes the boundaries of this instant and later ones begin."""
    return bisect_left(numbers_of(raw), instant * 2) * _WIDTH

"""Changes of counts, packed: each change is a 64-bit number, its instant times two, plus one where the count rises.

Packed changes stay in order, so that an instant is found by bisection. They take eight bytes each; as Python objects
they would take twenty times as many. Several changes at one instant are several numbers; a rise and a fall at one
instant cancel out.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from shared.flow.intervals import Boundary
from shared.flow.rules import Series
from shared.flow.ruleset import Counter, Ruleset
from shared.flow.visits import Visit

# Microseconds of a bucket. Each pass rewrites the buckets that change: at a thousand moves a second this stays cheap.
SLOT = 5 * 60 * 1_000_000
_WIDTH = 8
_ODD = bytes(number & 1 for number in range(256))


@dataclass(frozen=True, slots=True)
class PackedDeltas:
    """Changes of one count by +1 and -1, in the order of their instants. `raw`: little-endian, as it is stored."""

    raw: bytes = b""

    @classmethod
    def of(cls, boundaries: Iterable[Boundary]) -> PackedDeltas:
        """Pack changes, each (instant, 1 or -1), in any order."""
        return cls(_pack(_number(instant, delta > 0) for instant, delta in boundaries))

    @classmethod
    def combine(cls, parts: Iterable[PackedDeltas], edge: int) -> PackedDeltas:
        """The changes of all parts; those before `edge` are moved to it."""
        return cls(_pack(chain.from_iterable(part._clamped(edge) for part in parts)))

    @classmethod
    def correction(cls, parts: Iterable[PackedDeltas], edge: int) -> PackedDeltas:
        """What takes changes that `combine` moved to the edge back to their own instants, once it is merged."""
        return cls(_pack(chain.from_iterable(part._moved_back(edge) for part in parts)))

    @classmethod
    def concat(cls, parts: Iterable[PackedDeltas]) -> PackedDeltas:
        """The changes of parts that follow one another in time."""
        return cls(b"".join([part.raw for part in parts]))

    def __bool__(self) -> bool:
        return bool(self.raw)

    def __len__(self) -> int:
        """How many changes by one."""
        return len(self.raw) // _WIDTH

    def __iter__(self) -> Iterator[Boundary]:
        """Each change as (instant, 1 or -1)."""
        for number in _numbers(self.raw):
            yield number >> 1, 1 if number & 1 else -1

    @property
    def first_at(self) -> int:
        """The instant of the first change."""
        return _numbers(self.raw[:_WIDTH])[0] >> 1

    @property
    def total(self) -> int:
        """By how much the count changes in all."""
        rises = self.raw[::_WIDTH].translate(_ODD).count(1)
        return 2 * rises - len(self)

    def upto(self, instant: int) -> PackedDeltas:
        """The changes at the instant and before."""
        return PackedDeltas(self.raw[: self._offset(instant + 1)])

    def after(self, instant: int) -> PackedDeltas:
        """The changes later than the instant."""
        return PackedDeltas(self.raw[self._offset(instant + 1) :])

    def cut(self, instants: Iterable[int]) -> Iterator[PackedDeltas]:
        """For each of the instants, in order: the changes up to it that are later than the one before."""
        start = 0
        for instant in instants:
            end = self._offset(instant + 1)
            yield PackedDeltas(self.raw[start:end])
            start = end

    def merge(self, more: PackedDeltas) -> PackedDeltas:
        """The changes of both. Does not unpack those before the first of `more`."""
        if not more or not self:
            return self or more
        offset = self._offset(more.first_at)
        return PackedDeltas(self.raw[:offset] + _pack(chain(_numbers(self.raw[offset:]), _numbers(more.raw))))

    def by_slot(self) -> Iterator[tuple[int, PackedDeltas]]:
        """The changes by the slot of SLOT microseconds that they lie in."""
        numbers, width, start = _numbers(self.raw), _number(SLOT, False), 0
        while start < len(numbers):
            slot = numbers[start] // width
            end = bisect_left(numbers, (slot + 1) * width, start)
            yield slot, PackedDeltas(self.raw[start * _WIDTH : end * _WIDTH])
            start = end

    def _clamped(self, edge: int) -> Iterator[int]:
        """The numbers, those before the edge moved to it."""
        offset = self._offset(edge)
        # What was before the edge is one net change there: its numbers need not be unpacked.
        net = PackedDeltas(self.raw[:offset]).total
        yield from (_number(edge, net > 0) for _ in range(abs(net)))
        yield from _numbers(self.raw[offset:])

    def _moved_back(self, edge: int) -> Iterator[int]:
        """The numbers before the edge, and the opposite of what `_clamped` puts there for them."""
        before = PackedDeltas(self.raw[: self._offset(edge)])
        yield from (_number(edge, before.total < 0) for _ in range(abs(before.total)))
        yield from _numbers(before.raw)

    def _offset(self, instant: int) -> int:
        """Where in the bytes the changes at this instant and later begin."""
        return bisect_left(_numbers(self.raw), _number(instant, False)) * _WIDTH


class CountDeltas:
    """Collects how visits change the counts of a ruleset's series."""

    def __init__(self, ruleset: Ruleset) -> None:
        self._ruleset = ruleset
        self._numbers: dict[Series, array[int]] = defaultdict(lambda: array("q"))
        # By stage: where the changes of each of its series go, and when a visit counts there.
        self._counters: dict[tuple[str, str], list[tuple[Callable[[int], None], Counter]]] = {}

    def add(self, visit: Visit, sign: int = 1) -> None:
        """Count a visit (+1), or count it no longer (-1)."""
        rises, stage = sign > 0, (visit.pipeline, visit.stage)
        if (counters := self._counters.get(stage)) is None:
            found = self._ruleset.counters.get(stage, ())
            counters = self._counters[stage] = [(self._numbers[series].append, spans) for series, spans in found]
        for append, spans in counters:
            for start, end in spans(visit):
                append(start * 2 + rises)
                if end is not None:
                    append(end * 2 + (not rises))

    def packed(self) -> dict[str, PackedDeltas]:
        """The changes of each series that changes, by its name."""
        packed = ((series.text, PackedDeltas(_pack(numbers))) for series, numbers in self._numbers.items())
        return {name: deltas for name, deltas in packed if deltas}


def _number(instant: int, rises: bool) -> int:
    return instant * 2 + rises


def _pack(numbers: Iterable[int]) -> bytes:
    """Sort, cancel out, and pack."""
    kept: list[int] = []
    for number in sorted(numbers):
        # At one instant the falls come before the rises.
        if number & 1 and kept and kept[-1] == number - 1:
            kept.pop()
        else:
            kept.append(number)
    packed = array("q", kept)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def _numbers(raw: bytes) -> Sequence[int]:
    """The numbers, in order."""
    if sys.byteorder == "little":
        return memoryview(raw).cast("q")
    numbers = array("q", raw)
    numbers.byteswap()
    return numbers

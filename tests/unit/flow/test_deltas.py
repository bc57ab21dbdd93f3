"""Packed deltas: what is put in comes out, in any order and however often more is added."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from shared.flow.deltas import SLOT, PackedDeltas

INSTANTS = st.integers(-50, 50) | st.integers(-(2**61), 2**61)
CHANGES = st.lists(st.tuples(INSTANTS, st.sampled_from([1, -1])), max_size=30)
Changes = list[tuple[int, int]]


def net(changes: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    sums = Counter[int]()
    for instant, delta in changes:
        sums[instant] += delta
    return sorted((instant, delta) for instant, delta in sums.items() if delta)


@given(CHANGES)
def test_what_goes_in_comes_out_in_order_without_what_cancels_out(changes: Changes) -> None:
    packed = PackedDeltas.of(changes)

    assert net(packed) == net(changes)
    assert [at for at, _ in packed] == sorted(at for at, _ in packed)
    assert len(packed) == sum(abs(delta) for _, delta in net(changes))
    assert len(packed.raw) == 8 * len(packed)
    assert packed.total == sum(delta for _, delta in changes)


@given(st.lists(CHANGES, max_size=5))
def test_more_and_more_is_the_same_as_all_at_once(parts: list[Changes]) -> None:
    merged, everything = PackedDeltas(), []
    for part in parts:
        merged = merged.merge(PackedDeltas.of(part))
        everything += part
        assert merged == PackedDeltas.of(everything)
    assert not merged or merged.first_at == net(everything)[0][0]


@given(CHANGES)
def test_slots_hold_all_each_its_own(changes: Changes) -> None:
    slots = dict(PackedDeltas.of(changes).by_slot())

    assert PackedDeltas.concat(slots.values()) == PackedDeltas.of(changes)
    for slot, deltas in slots.items():
        assert deltas
        assert {instant // SLOT for instant, _ in deltas} == {slot}


@given(CHANGES, INSTANTS)
def test_an_instant_divides_what_comes_later_from_the_rest(changes: Changes, instant: int) -> None:
    packed = PackedDeltas.of(changes)

    assert net(packed.after(instant)) == [change for change in net(changes) if change[0] > instant]
    assert PackedDeltas.concat([packed.upto(instant), packed.after(instant)]) == packed


@given(CHANGES, st.lists(INSTANTS, max_size=4).map(sorted))
def test_cutting_gives_each_instant_its_part(changes: Changes, instants: list[int]) -> None:
    packed = PackedDeltas.of(changes)
    parts = list(packed.cut(instants))

    for number, instant in enumerate(instants):
        assert PackedDeltas.concat(parts[: number + 1]) == packed.upto(instant)


@given(st.lists(CHANGES, max_size=3), INSTANTS)
def test_what_lies_before_the_edge_takes_effect_there(parts: list[Changes], edge: int) -> None:
    combined = PackedDeltas.combine([PackedDeltas.of(part) for part in parts], edge)

    assert combined == PackedDeltas.of((max(at, edge), delta) for part in parts for at, delta in part)

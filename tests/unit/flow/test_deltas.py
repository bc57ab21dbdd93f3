"""Packed boundaries: what is put in comes out, whatever the order and however often more is added."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from shared.flow.deltas import (
    SLOT,
    by_slot,
    clamped,
    count_upto,
    first_at,
    in_order,
    later_than,
    merged,
    number,
    numbers_of,
    unpacked,
)

INSTANTS = st.integers(-50, 50) | st.integers(-(2**61), 2**61)
CHANGES = st.lists(st.tuples(INSTANTS, st.booleans()), max_size=30)
Changes = list[tuple[int, bool]]


def packed(changes: Changes) -> bytes:
    return in_order(number(instant, rises) for instant, rises in changes)


def net(changes: Iterable[tuple[int, bool]]) -> list[tuple[int, int]]:
    sums = Counter[int]()
    for instant, rises in changes:
        sums[instant] += 1 if rises else -1
    return sorted((instant, delta) for instant, delta in sums.items() if delta)


def summed(numbers: Iterable[int]) -> list[tuple[int, int]]:
    return net((at, delta > 0) for at, delta in unpacked(numbers))


@given(CHANGES)
def test_what_goes_in_comes_out_in_order_without_what_cancels_out(changes: Changes) -> None:
    raw = packed(changes)

    assert summed(numbers_of(raw)) == net(changes)
    assert list(numbers_of(raw)) == sorted(numbers_of(raw))
    assert len(raw) == 8 * sum(abs(delta) for _, delta in net(changes))


@given(st.lists(CHANGES, max_size=5))
def test_more_and_more_is_the_same_as_all_at_once(parts: list[Changes]) -> None:
    raw, everything = b"", []
    for part in parts:
        raw = merged(raw, packed(part))
        everything += part
        assert raw == packed(everything)
    assert not raw or first_at(raw) == net(everything)[0][0]


@given(CHANGES)
def test_slots_hold_all_each_its_own(changes: Changes) -> None:
    slots = dict(by_slot(packed(changes)))

    assert b"".join(slots.values()) == packed(changes)
    for slot, raw in slots.items():
        assert raw
        assert {instant // SLOT for instant, _ in unpacked(numbers_of(raw))} == {slot}


@given(CHANGES, INSTANTS)
def test_what_comes_later_than_an_instant(changes: Changes, instant: int) -> None:
    buckets = [raw for _, raw in by_slot(packed(changes))]

    later = [boundary for boundary in net(changes) if boundary[0] > instant]
    assert summed(later_than(buckets, instant)) == later
    assert (
        later_than(buckets, instant) == numbers_of(packed(changes))[count_upto(numbers_of(packed(changes)), instant) :]
    )


@given(CHANGES, INSTANTS)
def test_what_lies_before_the_edge_takes_effect_there(changes: Changes, edge: int) -> None:
    assert in_order(clamped(packed(changes), edge)) == packed([(max(at, edge), rises) for at, rises in changes])

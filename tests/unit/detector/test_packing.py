"""Buckets of boundaries: what is put in comes out, whatever the order and however often more is added."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.detector.packing import first_at, merged, net, pack, unpack, unpack_after

INSTANTS = st.integers(-50, 50) | st.integers(-(2**61), 2**61)
BOUNDARIES = st.lists(st.tuples(INSTANTS, st.integers(-3, 3).filter(bool)), max_size=30)


@given(st.lists(BOUNDARIES, max_size=5))
def test_more_and_more_is_the_same_as_all_at_once(parts: list[list[tuple[int, int]]]) -> None:
    raw, everything = b"", []
    for part in parts:
        raw = merged(raw, part)
        everything += part
        assert raw == pack(net(everything))
    assert net(unpack(raw)) == net(everything)
    assert not raw or first_at(raw) == net(everything)[0][0]


@given(BOUNDARIES, INSTANTS)
def test_what_comes_later_than_an_instant(some: list[tuple[int, int]], instant: int) -> None:
    later = net(unpack_after(pack(net(some)), instant))

    assert later == [boundary for boundary in net(some) if boundary[0] > instant]

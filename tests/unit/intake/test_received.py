"""A request in several records is read whole, however its records are ordered and fetched."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.intake.received import MAX_PART_BYTES, RequestAssembler, read_requests, request_records
from tests.support.webhooks import request, source


def parts_of(mark: bytes, count: int) -> list[Any]:
    body = mark * ((count - 1) * MAX_PART_BYTES + 1)
    return [
        SimpleNamespace(value=one.value, headers=one.headers)
        for one in request_records(source("hubspot"), request(body, {}), prefix="")
    ]


ONE, TWO = parts_of(b"a", 2), parts_of(b"b", 3)
SMALL = parts_of(b"c", 1)


@given(st.permutations([0, 0, 1, 1, 1, 2]), st.integers(1, 6))
def test_parts_of_several_requests_may_lie_mixed_and_be_read_in_portions(order: list[int], portion: int) -> None:
    waiting = [iter(ONE), iter(TWO), iter(SMALL)]
    records = [next(waiting[number]) for number in order]

    assembler = RequestAssembler()
    found = [
        one.body[:1]
        for start in range(0, len(records), portion)
        for one in assembler.assemble(records[start : start + portion])
    ]

    last = {b"abc"[n : n + 1]: max(place for place, number in enumerate(order) if number == n) for n in range(3)}
    assert found == sorted(last, key=lambda mark: last[mark])


def test_a_request_without_its_beginning_is_left_out() -> None:
    assert [one.body[:1] for one in read_requests([*TWO[1:], *ONE])] == [b"a"]


def test_what_is_never_finished_is_let_go() -> None:
    assembler = RequestAssembler(max_pending_bytes=3 * MAX_PART_BYTES)
    never = [record for mark in b"defghi" for record in parts_of(bytes([mark]), 2)[:1]]

    assert not list(assembler.assemble(never))
    assert assembler.pending_bytes <= 3 * MAX_PART_BYTES
    assert [one.body[:1] for one in assembler.assemble(ONE)] == [b"a"]

"""When a log is known to have ended somewhere: never later than the fetch that saw it was sent."""

from __future__ import annotations

from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from shared.stream.log_ends import FetchStamps

ONE, OTHER = TopicPartition("t", 0), TopicPartition("t", 1)
# How long after the one before a fetch is sent, until it is handled, and whether the stamp is observed before the next.
FETCHES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 10_000), st.booleans()))


@given(FETCHES)
def test_no_time_after_the_fetch_was_sent(fetches: list[tuple[int, int, bool]]) -> None:
    stamps, now = FetchStamps(), 1_000

    for pause, takes, is_observed in fetches:
        sent = now + pause
        now = sent + takes
        known = stamps.sent_after(ONE, now) if is_observed else None
        assert known is None or known <= sent


def test_the_stamp_before_however_often_it_is_observed() -> None:
    stamps = FetchStamps()

    assert [stamps.sent_after(ONE, stamp) for stamp in (100, 100, 200, 200, 310)] == [None, None, 100, 100, 200]


def test_each_partition_for_itself() -> None:
    stamps = FetchStamps()
    stamps.sent_after(ONE, 100)

    assert stamps.sent_after(OTHER, 200) is None


def test_nothing_is_known_where_the_clock_was_set_back() -> None:
    stamps = FetchStamps()

    assert [stamps.sent_after(ONE, stamp) for stamp in (5_000, 1_000, 1_100)] == [None, None, 1_000]

"""The cursor of a partition: each case of its protocol, and a state machine over every order of what may happen."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shared.stream.cursor import Decision, PartitionCursor, Restart, SeekTo, Take


@pytest.mark.parametrize(
    ("fetches", "decisions"),
    [
        ([(5, 7, 2)], [Take()]),
        ([(5, 7, 2), (8, 8, 3)], [Take(), Take()]),
        ([(0, 9, 1)], [SeekTo(5)]),  # fetched before aiokafka was told where to start
        ([(9, 9, 2)], [SeekTo(5)]),  # a gap: ask once more
        ([(9, 9, 2), (5, 9, 3)], [SeekTo(5), Take()]),  # the records were there
        ([(9, 9, 2), (9, 9, 3)], [SeekTo(5), Take(missing=4)]),  # they are gone from the log
        ([(9, 9, 2), (8, 9, 3), (8, 9, 4)], [SeekTo(5), SeekTo(5), Take(missing=3)]),  # other records came back
        ([(9, 9, 2), (9, 9, 3), (12, 12, 4)], [SeekTo(5), Take(missing=4), SeekTo(10)]),
        ([(0, 3, 2)], [Restart()]),  # aiokafka found our offset outside of the log
    ],
)
def test_each_case(fetches: list[tuple[int, int, int]], decisions: list[Decision]) -> None:
    cursor = PartitionCursor(5, assigned_in_poll=1)

    assert [cursor.accept(*fetch) for fetch in fetches] == decisions


@pytest.mark.parametrize(
    ("position", "log_begin", "missing", "next_offset"), [(8, 0, 0, 8), (8, 7, 2, 8), (8, 8, 3, 8), (5, 0, 0, 5)]
)
def test_the_cursor_follows_over_offsets_that_are_never_handed_out(
    position: int, log_begin: int, missing: int, next_offset: int
) -> None:
    cursor = PartitionCursor(5, assigned_in_poll=1)

    assert (cursor.follow(position, log_begin), cursor.next_offset) == (missing, next_offset)


class OneLog(RuleBasedStateMachine):
    """A log, a consumer that fetches as aiokafka does, and a cursor between it and what was taken."""

    def __init__(self) -> None:
        super().__init__()
        self.log: dict[int, int] = {}  # offset -> record; offsets without one are markers or compacted
        self.begin = self.end = self.record = 0
        self.taken: set[int] = set()

    @initialize()
    def start(self) -> None:
        self.poll, self.stored, self.committed = 0, 0, 0
        self.assign()

    def assign(self) -> None:
        self.poll += 1
        self.position = self.committed  # aiokafka fetches from there before it is told where to start
        self.early = self._fetched(self.committed, 3)
        self.cursor = PartitionCursor(self.stored, self.poll)
        self.position = self.stored

    def _are_there(self, start: int, end: int) -> bool:
        """Whether the log holds records in [start, end): they must not be reported as missing."""
        return any(offset in self.log for offset in range(start, end))

    def _fetched(self, start: int, count: int) -> list[int]:
        return [offset for offset in sorted(self.log) if offset >= start][:count]

    @rule(count=st.integers(1, 5), marker=st.booleans())
    def append(self, count: int, marker: bool) -> None:
        if self.end < self.cursor.next_offset <= self.end + count + marker:
            # Known limit: a log that was truncated and has grown to where we stand looks like the old one.
            self.fetch(1)
            return
        for _ in range(count):
            self.record += 1
            self.log[self.end] = self.record
            self.end += 1
        self.end += marker

    @rule(count=st.integers(1, 6))
    def let_retention_go(self, count: int) -> None:
        begin = min(self.end, self.begin + count)
        self.log = {offset: record for offset, record in self.log.items() if offset >= begin}
        self.begin = begin

    @rule(count=st.integers(1, 4))
    def lose_the_end_and_fetch(self, count: int) -> None:
        """A broker lost what it wrote last. A fetch notices, as long as the log has not grown to where we stand."""
        self.end = max(self.begin, self.end - count)
        self.log = {offset: record for offset, record in self.log.items() if offset < self.end}
        self.committed = min(self.committed, self.end)
        if self.cursor.next_offset > self.end:
            self.early, self.position = [], self.begin

    @rule()
    def rebalance(self) -> None:
        """Another replica had the partition, or this one again: what was taken is stored."""
        self.stored = self.cursor.next_offset if self.cursor.next_offset <= self.end else self.begin
        self.assign()

    @rule(count=st.integers(0, 4))
    def commit_too_far(self, count: int) -> None:
        """As a replica that was killed with batches in hand may have left it."""
        self.committed = min(self.end, self.cursor.next_offset + count)

    @rule(count=st.integers(1, 5))
    def fetch(self, count: int) -> None:
        if self.early:
            records, self.early = self.early, []
            self._hand_out(records)
            return
        self.poll += 1
        if not self.begin <= self.position <= self.end:
            self.position = self.begin
        if records := self._fetched(self.position, count):
            self._hand_out(records)
        elif self.end > self.cursor.next_offset:
            self.position, expected = self.end, self.cursor.next_offset
            missing = self.cursor.follow(self.position, self.begin)
            assert not self._are_there(expected, expected + missing)

    def _hand_out(self, records: list[int]) -> None:
        self.position, expected = records[-1] + 1, self.cursor.next_offset
        decision = self.cursor.accept(records[0], records[-1], self.poll)
        if isinstance(decision, SeekTo):
            self.position = decision.offset
        elif isinstance(decision, Restart):
            self.stored = self.begin
            self.assign()
            self.early = []
        else:
            assert not self._are_there(expected, expected + decision.missing)
            self.taken |= {self.log[offset] for offset in records}

    @invariant()
    def nothing_before_the_cursor_is_skipped(self) -> None:
        reached = min(self.cursor.next_offset, self.position)
        passed = {record for offset, record in self.log.items() if offset < reached}
        assert passed <= self.taken

    @precondition(lambda self: self.cursor.next_offset <= self.end <= 60)
    @rule()
    def read_to_the_end(self) -> None:
        for _ in range(200):
            if self.cursor.next_offset == self.end and not self.early:
                break
            self.fetch(3)
        assert self.cursor.next_offset == self.end
        assert set(self.log.values()) <= self.taken


OneLog.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestOneLog = OneLog.TestCase

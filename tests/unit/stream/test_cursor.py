"""The cursor of a partition: each case of its protocol, and a state machine over every order of what may happen."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shared.stream.cursor import Decision, PartitionCursor, Restart, SeekTo, Take
from shared.stream.positions import StoredPosition
from shared.stream.truncation import is_truncated
from tests.support.examples import examples


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


@pytest.mark.parametrize(
    ("stored", "end", "first_newer", "truncated"),
    [
        ((5, 900), 5, None, False),
        ((5, 900), 9, 5, False),  # new records
        ((5, 900), 9, 7, False),  # retention, or a marker, between
        ((5, 900), 4, None, True),
        ((5, 900), 9, 4, True),  # something newer lies before what was read
        ((5, 900), None, 0, True),
        ((5, 900), None, None, False),  # no leader answers
        ((0, 0), 9, 0, False),
    ],
)
def test_a_log_is_another_one_where_it_holds_less_or_something_newer(
    stored: tuple[int, int], end: int | None, first_newer: int | None, truncated: bool
) -> None:
    assert is_truncated(StoredPosition(*stored, *stored), end, first_newer) is truncated


class OneLog(RuleBasedStateMachine):
    """A log, a consumer that fetches as aiokafka does, and a cursor between it and what was taken.

    Postgres holds `row`, and may lose its last commits. The time of a record is its number.
    """

    def __init__(self) -> None:
        super().__init__()
        self.log: dict[int, int] = {}  # offset -> record; offsets without one are markers or compacted
        self.begin = self.end = self.record = 0
        self.taken: set[int] = set()
        self.row = self.known = StoredPosition(0, 0, 0, 0)
        self.rows = [(self.row, self.taken)]  # what Postgres may go back to

    @initialize()
    def start(self) -> None:
        self.poll, self.committed, self.is_anew = 0, 0, False
        self.assign()

    def assign(self) -> None:
        self.poll += 1
        self.position = self.committed  # aiokafka fetches from there before it is told where to start
        self.early = self._fetched(self.committed, 3)
        if self._is_truncated():
            self._set_back()
        self._verify()
        self.known = self.row
        self.cursor = PartitionCursor(self.row.next_offset, self.poll)
        self.position = self.row.next_offset

    def _set_back(self) -> None:
        """Known limit: Postgres must not lose this commit where the log has grown again to where it had ended."""
        self._set_row(StoredPosition(self.begin, self.row.last_ms, self.begin, self.row.last_ms))
        if not self.is_anew:
            self.rows = self.rows[-1:]

    def _verify(self) -> None:
        self.is_anew = False
        self._set_row(self.row._replace(verified_offset=self.row.next_offset, verified_ms=self.row.last_ms))

    def _is_truncated(self) -> bool:
        newer = (offset for offset, record in sorted(self.log.items()) if record > (self.row.verified_ms or 0))
        return is_truncated(self.row, self.end, next(newer, None))

    def _set_row(self, row: StoredPosition) -> None:
        self.row = row
        self.rows.append((row, set(self.taken)))

    def _are_there(self, start: int, end: int) -> bool:
        """Whether the log holds records in [start, end): they must not be reported as missing."""
        return any(offset in self.log for offset in range(start, end))

    def _fetched(self, start: int, count: int) -> list[int]:
        return [offset for offset in sorted(self.log) if offset >= start][:count]

    @rule(count=st.integers(1, 5), marker=st.booleans())
    def append(self, count: int, marker: bool) -> None:
        reached = max(self.cursor.next_offset, self.row.next_offset)
        if self.end < reached <= self.end + count + marker and not self.is_anew:
            # Known limit: a log that lost its end after the last check, and has grown past our position, looks whole.
            self.check()
            self.fetch(1)
        for _ in range(count):
            self.record += 1
            self.log[self.end] = self.record
            self.end += 1
        self.end += marker

    @precondition(lambda self: not self._is_truncated())
    @rule(count=st.integers(1, 6))
    def let_retention_go(self, count: int) -> None:
        begin = min(self.end, self.begin + count)
        self.log = {offset: record for offset, record in self.log.items() if offset >= begin}
        self.begin = begin

    @rule(count=st.integers(1, 4))
    def lose_the_end_and_fetch(self, count: int) -> None:
        """A broker lost what it wrote last. A fetch notices, as long as the log has not grown past our position."""
        self.end = max(self.begin, self.end - count)
        self.log = {offset: record for offset, record in self.log.items() if offset < self.end}
        self.committed = min(self.committed, self.end)
        if self.cursor.next_offset > self.end:
            self.early, self.position = [], self.begin

    @precondition(lambda self: self.cursor.next_offset <= self.row.next_offset)
    @rule(count=st.integers(0, 30))
    def make_the_log_anew(self, count: int) -> None:
        """Under the same name, with other records: fewer than were read, or more.

        Known limits: a new log that has grown to where we stand looks like the old one while the cursor stands beyond
        the row (after markers alone), or where retention deletes its records before the next check.
        """
        self.log, self.begin, self.end, self.committed = {}, 0, 0, 0
        self.early, self.is_anew = [], True
        self.append(count, False)

    @rule()
    def check(self) -> None:
        """From time to time, and whenever a partition is assigned."""
        if self._is_truncated() or self.row.next_offset < self.known.next_offset:
            self.assign()
            self.early = []
        else:
            self._verify()

    @rule(back=st.integers(1, 5))
    def lose_commits(self, back: int) -> None:
        """Postgres goes back in time under the running consumer."""
        del self.rows[max(1, len(self.rows) - back) :]
        self.row, taken = self.rows[-1]
        self.taken = set(taken)

    @rule()
    def rebalance(self) -> None:
        """Another replica had the partition, or this one again."""
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
            self._set_back()
            self.assign()
            self.early = []
        else:
            assert not self._are_there(expected, expected + decision.missing)
            self._handle(records)

    def _handle(self, records: list[int]) -> None:
        """In one transaction with the row, which must not be jumped."""
        if self.row.next_offset < self.known.next_offset:
            self.assign()
            self.early = []
            return
        self.taken |= {self.log[offset] for offset in records}
        last_ms = max(self.row.last_ms or 0, *(self.log[offset] for offset in records))
        end, verified = records[-1] + 1, (self.row.verified_offset, self.row.verified_ms)
        self._set_row(StoredPosition(end, last_ms, *(verified if self.row.next_offset else (end, last_ms))))
        self.known = self.row

    @invariant()
    def nothing_before_the_row_is_skipped(self) -> None:
        """Except in a log that was truncated and is not yet found to be."""
        if not self._is_truncated():
            passed = {record for offset, record in self.log.items() if offset < self.row.next_offset}
            assert passed <= self.taken

    @property
    def is_read(self) -> bool:
        """Whether nothing is left to fetch.

        The cursor may stand beyond the end of a log that holds no record: it followed over markers, and the log lost
        them. Nothing shows that until there is a new record: its fetch begins before the cursor.
        """
        at_end = self.cursor.next_offset == self.position == self.end
        lost_markers = not self.log and self.row.next_offset <= self.end < self.cursor.next_offset
        return (at_end or lost_markers) and not self.early and self.known.next_offset == self.row.next_offset

    @precondition(lambda self: self.end <= 90)
    @rule()
    def read_to_the_end(self) -> None:
        self.check()
        for _ in range(300):
            if self.is_read:
                break
            self.fetch(3)
            self.check()
        assert self.is_read
        assert set(self.log.values()) <= self.taken


def test_an_empty_log_that_lost_markers_is_read_on_from_the_first_new_record() -> None:
    log = OneLog()
    log.start()
    log.append(count=1, marker=True)
    log.read_to_the_end()
    log.let_retention_go(count=1)
    log.lose_the_end_and_fetch(count=1)
    log.read_to_the_end()

    log.append(count=1, marker=False)
    log.read_to_the_end()

    assert log.cursor.next_offset == log.row.next_offset == log.end == 2
    assert log.taken == {1, 2}


OneLog.TestCase.settings = settings(max_examples=examples(150), stateful_step_count=30, deadline=None)
TestOneLog = OneLog.TestCase

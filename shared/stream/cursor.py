"""The position of a consumer in one partition, and what to do with fetched records. Pure.

The protocol, for each fetch of a partition:

1. After an assignment the cursor stands where Postgres says. Records of the same poll were fetched before the seek:
   seek again.
2. The fetch begins at the cursor: take it. The cursor then stands behind its last record.
3. It begins before the cursor: aiokafka found our offset outside of the log and went back to the beginning. The log is
   shorter than what was read of it: restart at its beginning.
4. It begins after the cursor: seek back and ask once more. Where the next fetch begins there again, the gap is in the
   log itself (retention or compaction): take it, and report the records between as missing.
5. Some offsets are never handed out (markers of transactions, compacted records). When nothing was fetched and
   aiokafka stands further, the cursor follows it. Only what lies before the log's beginning is missing.

Not promised: that a record is taken once. After a restart all of the log is taken again; ids make that harmless.
"""

from __future__ import annotations

from typing import NamedTuple


class Take(NamedTuple):
    """Hand the records to the workers; `missing` records before them are no longer in the log."""

    missing: int = 0


class SeekTo(NamedTuple):
    """Drop the records and fetch from here."""

    offset: int


class Restart(NamedTuple):
    """Drop the records and read the log from its beginning."""


Decision = Take | SeekTo | Restart


class PartitionCursor:
    """`next_offset`: the first offset that was not taken."""

    __slots__ = ("_assigned_in_poll", "_gap_at", "next_offset")

    def __init__(self, next_offset: int, assigned_in_poll: int) -> None:
        self.next_offset = next_offset
        self._assigned_in_poll = assigned_in_poll
        self._gap_at: int | None = None

    def accept(self, first: int, last: int, poll: int) -> Decision:
        """What to do with the records at offsets `first` to `last`, which the poll of this number brought."""
        if poll == self._assigned_in_poll:
            return SeekTo(self.next_offset)
        if first < self.next_offset:
            return Restart()
        if first > self.next_offset and self._gap_at != first:
            self._gap_at = first
            return SeekTo(self.next_offset)
        missing, self._gap_at = first - self.next_offset, None
        self.next_offset = last + 1
        return Take(missing)

    def follow(self, position: int, log_begin: int) -> int:
        """Nothing was fetched, and aiokafka stands at `position`: go there. How many records are missing."""
        missing = max(0, log_begin - self.next_offset)
        self.next_offset = max(self.next_offset, position)
        return missing

"""Times more than five minutes ahead of the present are rejected, regardless of earlier checks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from aiokafka import ConsumerRecord

from services.detector.ingest.future_times import FutureCheck
from shared.stream.processor import InvalidRecord

START = datetime(2026, 3, 2, 9, tzinfo=UTC)


def written_at(minute: int) -> ConsumerRecord:
    timestamp = int((START + timedelta(minutes=minute)).timestamp() * 1000)
    return ConsumerRecord("t", 0, 0, timestamp, 0, b"", b"", 0, 0, 0, ())


@pytest.mark.parametrize(("minute", "ahead", "valid"), [(0, 5, True), (0, 6, False), (60, 65, True), (60, 66, False)])
@pytest.mark.parametrize("before", [None, -60, 0, 120])
def test_five_minutes(before: int | None, minute: int, ahead: int, valid: bool) -> None:
    check = FutureCheck(lambda record: datetime.fromtimestamp(record.timestamp / 1000, UTC))
    if before is not None:
        check.check(written_at(before), START - timedelta(days=1))

    if valid:
        check.check(written_at(minute), START + timedelta(minutes=ahead))
    else:
        with pytest.raises(InvalidRecord, match="five minutes in the future"):
            check.check(written_at(minute), START + timedelta(minutes=ahead))


@pytest.mark.parametrize("reuse", [1, 3])
def test_after_our_own_clock_was_ahead_times_are_rejected_again(reuse: int) -> None:
    present = [START + timedelta(days=365)]
    check = FutureCheck(lambda record: present[0], reuse)
    for _ in range(reuse):
        check.check(written_at(0), START)
    present[0] = START

    with pytest.raises(InvalidRecord, match="five minutes in the future"):
        check.check(written_at(0), START + timedelta(days=1))

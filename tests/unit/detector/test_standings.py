"""How far a replica's partitions are applied, from where their logs end and what is handled."""

from __future__ import annotations

from datetime import timedelta

import pytest
from aiokafka import TopicPartition

from services.detector.store.watermark import Standing, standings
from shared.kafka.records import Position
from shared.stream.log_ends import LogEnd

ONE = TopicPartition("t", 1)
SECOND = 1_000_000


@pytest.mark.parametrize(
    ("end", "position", "standing"),
    [
        (LogEnd(7, 9_000), Position(7, 3_000), Standing(1, True, 10 * SECOND, 3 * SECOND)),
        (LogEnd(8, 9_000), Position(7, 3_000), Standing(1, False, 3 * SECOND, 3 * SECOND)),
        (LogEnd(7, None), Position(7, 3_000), Standing(1, False, 3 * SECOND, 3 * SECOND)),
        (LogEnd(0, 9_000), Position(0, 0), Standing(1, True, 10 * SECOND, 0)),
    ],
)
def test_now_only_where_the_end_is_known_and_reached(end: LogEnd, position: Position, standing: Standing) -> None:
    assert standings({ONE: end}, {ONE: position}, ahead=timedelta(seconds=1)) == [standing]


def test_a_partition_that_has_not_been_fetched_stands_nowhere() -> None:
    assert standings({}, {ONE: Position(7, 3_000)}) == []

"""The daily points of measures: stored, and published where they are new or have changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.detector.settings import EVENT_SOURCE
from shared.contracts.measures import MeasureData, MeasureEvent
from shared.contracts.topics import MEASURES
from shared.kafka.publisher import OutgoingMessage
from shared.postgres.pool import Connection, Record
from shared.runtime.instants import moment
from shared.stream import outbox

_SAVE = """
INSERT INTO measure AS m (pipeline, stage, measure, start_at, end_at, value)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::float8[])
ON CONFLICT (pipeline, stage, measure, end_at) DO UPDATE SET value = excluded.value
WHERE m.value IS DISTINCT FROM excluded.value
RETURNING pipeline, stage, measure, start_at, end_at, value
"""


class MeasurePoint(NamedTuple):
    """The value of a measure at the end of a day, `at` in microseconds; ages are in seconds."""

    pipeline: str
    stage: str
    measure: str
    at: int
    value: float


class MeasurePublisher:
    """Stores points, and publishes them on `flow.measures`. Days are those of `zone`."""

    def __init__(self, zone: ZoneInfo, topic_prefix: str) -> None:
        self._zone, self._topic = zone, topic_prefix + MEASURES

    async def publish(self, connection: Connection, points: Sequence[MeasurePoint]) -> None:
        """Put messages for new and changed points into the outbox, in the caller's transaction."""
        if not points:
            return
        ends = [moment(point.at) for point in points]
        rows = await connection.fetch(
            _SAVE,
            [p.pipeline for p in points],
            [p.stage for p in points],
            [p.measure for p in points],
            [self._day_start(end) for end in ends],
            ends,
            [p.value for p in points],
        )
        await outbox.put(connection, [self._message(row) for row in rows])

    def _day_start(self, end: datetime) -> datetime:
        local = end.astimezone(self._zone)
        return (local.replace(tzinfo=None) - timedelta(days=1)).replace(tzinfo=self._zone)

    def _message(self, row: Record) -> OutgoingMessage:
        data = MeasureData(
            pipeline=row["pipeline"],
            stage=row["stage"],
            measure=row["measure"],
            start=row["start_at"],
            end=row["end_at"],
            value=row["value"],
        )
        event = MeasureEvent.new(source=EVENT_SOURCE, subject=data.key, time=row["end_at"], data=data)
        return OutgoingMessage.of(self._topic, event)

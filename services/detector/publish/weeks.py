"""The weekly measures of stages and pipelines: published when a week is over, and again when they change.

Weeks go out the oldest first, some in a transaction. Every week has a point on every chart, a zero or none too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.detector.settings import EVENT_SOURCE
from services.detector.store import causes, evaluation, weeks
from services.detector.store.weeks import WeekState
from shared.contracts.measures import Column, MeasureData, MeasureEvent
from shared.contracts.topics import MEASURES
from shared.flow.checkpoints import BEGINNING
from shared.flow.statistics.columns import Chart, Value, exact_text, printed
from shared.flow.statistics.measures import DEFINITION, MeasureTallies, WeeklyMeasures, definition_of
from shared.flow.statistics.weeks import Weeks
from shared.kafka.publisher import OutgoingMessage
from shared.policy import Policy
from shared.postgres.pool import Connection
from shared.runtime.instants import moment
from shared.stream import outbox

_SAVE = """
INSERT INTO measure AS m (pipeline, stage, measure, period, start_at, end_at, value, exact)
SELECT p, s, n, 'week', b, e, v, x
FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::float8[], $7::text[])
    AS w (p, s, n, b, e, v, x)
ON CONFLICT (pipeline, stage, measure, end_at) DO UPDATE SET value = excluded.value, exact = excluded.exact
WHERE m.exact IS DISTINCT FROM excluded.exact
RETURNING pipeline, stage, measure, end_at
"""
# Points of all charts in one transaction.
_POINTS_AT_ONCE = 20_000
_MESSAGES_AT_ONCE = 200


class WeeksDone(NamedTuple):
    """`messages`: how many were put into the outbox. `is_complete`: no weeks are left to compute."""

    messages: int = 0
    is_complete: bool = True


class _WeekRange(NamedTuple):
    """Weeks `[first, last)` are computed now; `over` are over in all."""

    weeks: Weeks
    first: int
    last: int
    over: int


class _WeekPoint(NamedTuple):
    chart: Chart
    week: int
    value: Value | None


class WeekPublisher:
    """Keeps nothing between runs: all state is in the database."""

    def __init__(self, policy: Policy, topic_prefix: str, points_at_once: int = _POINTS_AT_ONCE) -> None:
        self._policy, self._topic = policy, topic_prefix + MEASURES
        self._zone, self._definition = ZoneInfo(policy.timezone), definition_of(policy)
        charts = sum(
            len(Column) + len(pipeline.open_stages) * (len(Column) // 2) for pipeline in policy.pipelines.values()
        )
        self._weeks_at_once = max(1, points_at_once // charts)

    async def publish_some(self, connection: Connection) -> WeeksDone:
        """Publish the oldest weeks that are to be computed, in the caller's transaction. One replica at a time."""
        if not await weeks.try_lock(connection):
            return WeeksDone()
        watermark, is_held = await evaluation.state(connection)
        state = await weeks.state(connection)
        is_early = watermark is None or state.first_event is None or state.first_event > watermark
        if is_early or is_held or state.policy not in ("", self._definition):
            return WeeksDone()
        state.policy = self._definition
        part = await self._next_part(connection, state, watermark or 0)
        return await self._publish(connection, state, part, watermark or 0)

    async def _next_part(self, connection: Connection, state: WeekState, watermark: int) -> _WeekRange:
        """What to compute next. What is left of the marked weeks is marked again."""
        known = Weeks(state.first_event or 0, self._policy.timezone)
        if state.origin != known.start(0):
            await weeks.forget(connection)
            state.origin, state.over, state.numbering = known.start(0), 0, state.numbering + 1
        over = known.over(watermark)
        state.over = min(state.over, over)
        first = _marked_week(known, state.over, await weeks.take_marks(connection))
        last = min(first + self._weeks_at_once, over)
        if last < state.over:
            await weeks.mark(connection, known.start(last))
        return _WeekRange(known, first, last, over)

    async def _publish(self, connection: Connection, state: WeekState, part: _WeekRange, watermark: int) -> WeeksDone:
        points = await self._points(connection, part) if part.first < part.last else []
        wanted = await self._save(connection, part.weeks, points)
        await self._mark_causes(connection, part, state, min((week for _, week in wanted), default=None), watermark)
        is_complete = part.last == part.over
        if is_complete and state.since is not None:
            # Something must bring `since` to who finds problems, also where nothing changed.
            wanted |= {(Chart(name, "", Column.THROUGHPUT), part.over - 1) for name in self._policy.pipelines}
        found = [point for point in points if point[:2] in wanted]
        messages = await self._messages(part, state, moment(watermark), found)
        await outbox.put(connection, messages)
        state.over = max(state.over, part.last)
        if is_complete:
            state.reached, state.since = max(watermark, state.reached or watermark), None
        await weeks.save_state(connection, state)
        return WeeksDone(len(messages), is_complete)

    async def _mark_causes(
        self, connection: Connection, part: _WeekRange, state: WeekState, first: int | None, watermark: int
    ) -> None:
        """Cause classes rest on weekly points. Where weeks are new, problems of any age have not known them."""
        if first is None:
            return
        if first < state.over:
            since = watermark - self._policy.lateness.micros() if state.since is None else state.since
            await causes.mark(connection, part.weeks.end(first), since)
        if part.last > state.over:
            await causes.mark(connection, part.weeks.end(max(first, state.over)), BEGINNING)

    async def _points(self, connection: Connection, part: _WeekRange) -> list[_WeekPoint]:
        start, end = part.weeks.start(part.first), part.weeks.start(part.last)
        tallies = MeasureTallies(self._policy, Weeks(start, self._policy.timezone), part.last - part.first)
        async for deals in weeks.facts(connection, start, end, self._zone):
            for deal in deals:
                tallies.add(deal)
        return list(_points_of(tallies.measures(), part.first))

    async def _save(self, connection: Connection, known: Weeks, points: Sequence[_WeekPoint]) -> set[tuple[Chart, int]]:
        """Store points; gives those that are new or have changed."""
        numbers = {moment(known.end(week)): week for week in {point.week for point in points}}
        ends = {week: end for end, week in numbers.items()}
        rows = await connection.fetch(
            _SAVE,
            [p.chart.pipeline for p in points],
            [p.chart.stage for p in points],
            [p.chart.column.value for p in points],
            [moment(known.start(p.week)) for p in points],
            [ends[p.week] for p in points],
            [printed(p.chart.column, p.value) for p in points],
            [exact_text(p.chart.column, p.value) for p in points],
        )
        return {(Chart(row["pipeline"], row["stage"], Column(row["measure"])), numbers[row["end_at"]]) for row in rows}

    async def _messages(
        self, part: _WeekRange, state: WeekState, known_at: datetime, points: Sequence[_WeekPoint]
    ) -> list[OutgoingMessage]:
        found = []
        for number, point in enumerate(sorted(points, key=lambda point: point.week)):
            if number % _MESSAGES_AT_ONCE == 0:
                await asyncio.sleep(0)
            found.append(self._message(point, part, state, known_at))
        return found

    def _message(self, point: _WeekPoint, part: _WeekRange, state: WeekState, known_at: datetime) -> OutgoingMessage:
        end = part.weeks.end(point.week)
        value = printed(point.chart.column, point.value)
        data = MeasureData(
            pipeline=point.chart.pipeline,
            stage=point.chart.stage or None,
            measure=point.chart.column,
            period="week",
            start=moment(part.weeks.start(point.week)),
            end=moment(end),
            value=None if value is None else float(value),
            exact=exact_text(point.chart.column, point.value),
            is_revised=point.week < state.over or (state.reached is not None and end <= state.reached),
            week=point.week,
            over=part.over,
            numbering=state.numbering,
            since=None if state.since is None else moment(max(state.since, 0)),
            known_at=known_at,
            definition=DEFINITION,
        )
        event = MeasureEvent.new(source=EVENT_SOURCE, subject=data.key, time=moment(end), data=data)
        return OutgoingMessage.of(self._topic, event)


def _marked_week(known: Weeks, over: int, mark: int | None) -> int:
    """The first week to compute: that of the mark, or the first one that is not published."""
    if mark is None or mark >= known.start(over):
        return over
    return 0 if mark <= known.first_event else known.of(mark)


def _points_of(measures: WeeklyMeasures, first: int) -> Iterator[_WeekPoint]:
    for chart, values in measures.values.items():
        yield from (_WeekPoint(chart, week, value) for week, value in enumerate(values, first))

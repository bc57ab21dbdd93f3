"""The weekly measures of stages and pipelines: published when a week is over, and again when they change.

Weeks go out the oldest first, some in a transaction. Every week has a point on every chart, a zero or none too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.detector.settings import EVENT_SOURCE
from services.detector.store import causes, evaluation, weeks
from services.detector.store.copy_tables import instant, stage
from services.detector.store.weeks import WeekState
from shared.contracts.measures import Column, MeasureData, MeasureEvent
from shared.contracts.topics import MEASURES
from shared.flow.checkpoints import BEGINNING
from shared.flow.statistics.columns import COLUMNS, Chart, exact_text, printed
from shared.flow.statistics.measures import DEFINITION, MeasureTallies, WeeklyMeasures, definition_of
from shared.flow.statistics.weeks import Weeks
from shared.kafka.publisher import OutgoingMessage
from shared.policy import Policy
from shared.postgres.pool import Connection
from shared.runtime.instants import moment
from shared.stream import outbox

_SAVE = f"""
INSERT INTO measure AS m (pipeline, stage, measure, period, start_at, end_at, value, exact)
SELECT pipeline, stage, measure, 'week', {instant("start_at")}, {instant("end_at")}, value, exact FROM staged_week
ON CONFLICT (pipeline, stage, measure, end_at) DO UPDATE SET value = excluded.value, exact = excluded.exact
WHERE m.exact IS DISTINCT FROM excluded.exact
RETURNING pipeline, stage, measure, end_at
"""
# Points of all charts in one transaction.
_POINTS_AT_ONCE = 20_000
_MESSAGES_AT_ONCE = 200
_WEEK = attrgetter("week")


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
    """`value`: as it is printed; `exact`: as messages write it. None: the week has none."""

    chart: Chart
    week: int
    value: int | float | None
    exact: str | None


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
        await stage(
            connection,
            "staged_week",
            ((*chart, known.start(week), known.end(week), value, exact) for chart, week, value, exact in points),
        )
        numbers = {moment(known.end(week)): week for week in {point.week for point in points}}
        rows = await connection.fetch(_SAVE)
        return {(Chart(row["pipeline"], row["stage"], COLUMNS[row["measure"]]), numbers[row["end_at"]]) for row in rows}

    async def _messages(
        self, part: _WeekRange, state: WeekState, known_at: datetime, points: Sequence[_WeekPoint]
    ) -> list[OutgoingMessage]:
        found = list[OutgoingMessage]()
        for _, some in groupby(sorted(points, key=_WEEK), _WEEK):
            listed = list(some)
            like = self._event(listed[0], part, state, known_at)
            for start in range(0, len(listed), _MESSAGES_AT_ONCE):
                await asyncio.sleep(0)
                found += [self._message(point, like) for point in listed[start : start + _MESSAGES_AT_ONCE]]
        return found

    def _message(self, point: _WeekPoint, like: MeasureEvent) -> OutgoingMessage:
        """The message of a point; `like`: of another one of the same week."""
        fields = {"pipeline": point.chart.pipeline, "stage": point.chart.stage or None, "measure": point.chart.column}
        value = None if point.value is None else float(point.value)
        data = like.data.model_copy(update=fields | {"value": value, "exact": point.exact})
        return OutgoingMessage.of(self._topic, like.with_data(data.key, data))

    def _event(self, point: _WeekPoint, part: _WeekRange, state: WeekState, known_at: datetime) -> MeasureEvent:
        end = part.weeks.end(point.week)
        data = MeasureData(
            pipeline=point.chart.pipeline,
            stage=point.chart.stage or None,
            measure=point.chart.column,
            period="week",
            start=moment(part.weeks.start(point.week)),
            end=moment(end),
            value=point.value,
            exact=point.exact,
            is_revised=point.week < state.over or (state.reached is not None and end <= state.reached),
            week=point.week,
            over=part.over,
            numbering=state.numbering,
            since=None if state.since is None else moment(max(state.since, 0)),
            known_at=known_at,
            definition=DEFINITION,
        )
        return MeasureEvent.new(source=EVENT_SOURCE, subject=data.key, time=moment(end), data=data)


def _marked_week(known: Weeks, over: int, mark: int | None) -> int:
    """The first week to compute: that of the mark, or the first one that is not published."""
    if mark is None or mark >= known.start(over):
        return over
    return 0 if mark <= known.first_event else known.of(mark)


def _points_of(measures: WeeklyMeasures, first: int) -> Iterator[_WeekPoint]:
    for chart, values in measures.values.items():
        column = chart.column
        for week, value in enumerate(values, first):
            yield _WeekPoint(chart, week, printed(column, value), exact_text(column, value))

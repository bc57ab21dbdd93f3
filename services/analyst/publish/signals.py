"""Publishes what charts show on `flow.signals`, where it changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from services.analyst.evaluate.charts import ChartSet, load
from services.analyst.settings import EVENT_SOURCE
from services.analyst.store import charts, pipelines, points
from shared.contracts.signals import (
    ChartData,
    ChartEvent,
    ChartMark,
    FiredWindow,
    SegmentLimits,
    SegmentWindows,
    WindowNeed,
)
from shared.contracts.topics import SIGNALS
from shared.flow.statistics.chart_records import DRAWN
from shared.flow.statistics.columns import Chart, Value, printed
from shared.flow.statistics.relocks import chart_names, relock_of
from shared.flow.statistics.segments import Segment
from shared.flow.statistics.watched import WatchedChart, watches
from shared.flow.statistics.weeks import Weeks
from shared.flow.statistics.windows import LONG, SHORT, WindowTest, window_test
from shared.flow.statistics.xmr import xmr
from shared.kafka.publisher import OutgoingMessage
from shared.policy import Policy
from shared.postgres import locks
from shared.postgres.pool import Connection
from shared.stream import outbox

# Charts in one transaction: problems must not wait for them.
AT_ONCE = 200


class SignalPublisher:
    """Publishes charts of the policy that are drawn or watched."""

    def __init__(self, policy: Policy, topic_prefix: str) -> None:
        self._policy, self._topic = policy, topic_prefix + SIGNALS
        self._names = chart_names(policy)
        self._watches: dict[Chart, list[WatchedChart]] = {}
        for watch in watches(policy):
            self._watches.setdefault(watch.chart, []).append(watch)

    async def publish_some(self, connection: Connection) -> int | None:
        """Publish some charts that may have changed, in the caller's transaction; returns how many. None: none left.

        One replica at a time: None while another does it, or has another policy and was started later.
        """
        if not await locks.try_lock(connection, "signals") or await charts.policy(connection) != self._policy.digest:
            return None
        stale = await charts.take_signals(connection, AT_ONCE)
        if not stale:
            return None
        states = await pipelines.known(connection)
        wanted = {chart: states[chart.pipeline].numbering for chart in stale if chart.pipeline in states}
        return await self._publish(connection, {chart: n for chart, n in wanted.items() if self._is_shown(chart)})

    def _is_shown(self, chart: Chart) -> bool:
        return chart.name in self._names and (chart.column in DRAWN or chart in self._watches)

    async def _publish(self, connection: Connection, wanted: Mapping[Chart, int]) -> int:
        """`wanted`: charts with their numbering."""
        extents = await points.extents(connection, wanted)
        known = await load(connection, extents, self._policy.timezone)
        found = {chart: self._data(chart, known[chart.pipeline]) for chart in sorted(extents)}
        digests = {data.key: _digest(data) for data in found.values()}
        published = await charts.digests(connection, digests)
        new = {c: data for c, data in found.items() if published.get(data.key) != digests[data.key]}
        await outbox.put(connection, [self._message(data, extents[chart].until) for chart, data in new.items()])
        await charts.save_digests(connection, {data.key: digests[data.key] for data in new.values()})
        return len(new)

    def _message(self, data: ChartData, until: datetime) -> OutgoingMessage:
        event = ChartEvent.new(source=EVENT_SOURCE, subject=data.key, time=until, data=data)
        return OutgoingMessage.of(self._topic, event)

    def _data(self, chart: Chart, known: ChartSet) -> ChartData:
        fields = _SegmentFields(chart, known)
        drawn = known.segments.drawn(chart) if chart.column in DRAWN else []
        judged = known.segments.judged(chart)
        return ChartData(
            pipeline=chart.pipeline,
            stage=chart.stage or None,
            measure=chart.column,
            as_of=known.weeks.name(len(known.segments.values(chart)) - 1),
            limits=tuple(fields.limits(segment) for segment in drawn),
            windows=tuple(
                fields.windows(segment, watch) for watch in self._watches.get(chart, ()) for segment in judged
            ),
        )


class _SegmentFields:
    """The segments of one chart as fields of the contract."""

    def __init__(self, chart: Chart, known: ChartSet) -> None:
        self._chart, self._weeks, self._relocks = chart, known.weeks, known.relocks
        self._over = len(known.segments.values(chart))

    def limits(self, segment: Segment) -> SegmentLimits:
        found = xmr(segment)
        if found is None:
            return SegmentLimits(**self._common(segment))
        return SegmentLimits(
            **self._common(segment),
            centre=self._number(found.centre),
            upper=self._number(found.upper),
            lower=self._number(found.lower),
            mean_moving_range=self._number(found.mean_moving_range),
            range_limit=self._number(found.range_limit),
            marks=tuple(
                ChartMark(
                    week=self._weeks.name(mark.week), rule=mark.rule, side=mark.side.value, in_baseline=mark.in_baseline
                )
                for mark in found.marks
            ),
        )

    def windows(self, segment: Segment, watch: WatchedChart) -> SegmentWindows:
        common = self._common(segment) | {"kind": watch.kind, "bad": watch.side.value, "level": str(watch.level)}
        test = window_test(segment, watch.side, watch.level)
        if test is None:
            return SegmentWindows(**common)
        return SegmentWindows(
            **common,
            phi=test.phi,
            needs=tuple(
                WindowNeed(weeks=n, critical=one.critical, g=one.g, need=one.need) for n, one in test.windows.items()
            ),
            fired=tuple(_fired(test, segment, self._weeks)),
        )

    def _common(self, segment: Segment) -> dict[str, Any]:
        """The weeks of the baseline, and why they are."""
        first = segment.points[0].week if segment.points else None
        lock = relock_of(segment, self._relocks, self._chart.name, self._weeks, self._over)
        return {
            "first_week": None if first is None else self._weeks.name(first),
            "size": segment.size,
            "locked_by": lock.actor if lock else "rule",
            "reason": lock.reason if lock else None,
            "baseline": tuple(self._weeks.name(point.week) for point in segment.baseline),
        }

    def _number(self, value: Value | None) -> float | None:
        found = printed(self._chart.column, value)
        return None if found is None else float(found)


def _fired(test: WindowTest, segment: Segment, weeks: Weeks) -> Iterator[FiredWindow]:
    for look in test.looks(segment.after):
        if look.fires_4:
            yield FiredWindow(week=weeks.name(look.week), weeks=SHORT)
        if look.fires_8:
            yield FiredWindow(week=weeks.name(look.week), weeks=LONG)


def _digest(data: ChartData) -> str:
    return hashlib.sha256(data.model_dump_json().encode()).hexdigest()[:16]

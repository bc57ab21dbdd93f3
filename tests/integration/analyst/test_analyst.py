"""The analyst on a real Postgres, and behind a real Kafka: it finds f(points, policy, relocks) in weekly points."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from services.analyst.evaluate.rules import rules_of
from services.analyst.store import charts
from services.cli.what_if_json import interval_json
from shared.contracts.envelope import iso
from shared.contracts.problems import ProblemReason
from shared.contracts.relocks import RelockData, RelockEvent
from shared.contracts.signals import ChartData
from shared.contracts.topics import MEASURES, RELOCKS
from shared.flow.statistics.bottleneck import BottleneckCharts
from shared.flow.statistics.chart_records import DRAWN
from shared.flow.statistics.charts import ChartSegments
from shared.flow.statistics.columns import Chart, Column
from shared.flow.statistics.findings import bottleneck_findings, window_findings
from shared.flow.statistics.measures import WeeklyMeasures
from shared.flow.statistics.relocks import Relock
from shared.flow.statistics.watched import watches
from shared.flow.statistics.weeks import Weeks
from shared.kafka.access import KafkaAccess
from shared.kafka.publisher import OutgoingMessage, Publisher
from shared.policy import Policy, load, parse
from shared.postgres.pool import Pool, open_pool
from shared.runtime.instants import moment
from shared.stream import relocks
from tests.support.analyst_store import PROBLEMS, AnalystStore, Intervals, intervals_of
from tests.support.databases import migrated_database
from tests.support.printed_log import PrintedLog
from tests.support.processes import ServiceProcess
from tests.support.variation_cases import same
from tests.support.waiting import eventually
from tests.support.weekly_points import point_events

SHOP = Path(__file__).parents[2] / "data" / "shop"
KINDS = ("shift", "rework", "slipping", "bottleneck")
TABLES = (
    "weekly_point, pipeline_state, chart_state, stale_chart, stale_relock, stale_signal, relock, problem, correction,"
    " signals_published, outbox, position, receipt_hour, judged_source, stale_source"
)


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load(SHOP / "policy.yaml")


@pytest.fixture(scope="module")
def shop(policy: Policy) -> WeeklyMeasures:
    """The weekly measures of the whole log, of charts that rules judge."""
    log, rules = PrintedLog("shop"), [rule for some in policy.pipelines.items() for rule in rules_of(*some)]
    judged = {chart for rule in rules for chart in rule.charts}
    return WeeklyMeasures(log.weeks, {chart: list(log.values[chart]) for chart in judged})


@pytest.fixture(scope="module")
async def pool(postgres: str) -> AsyncIterator[Pool]:
    dsn = await migrated_database(postgres)
    pool = await open_pool(dsn, "analysis", max_size=3)
    yield pool
    await pool.close()


def expected_intervals() -> Intervals:
    written = json.loads((SHOP / "expected-problems.json").read_text())["problems"]
    return {
        key: [{name: one[name] for name in ("opened_at", "cleared_at", "peak")} for one in some]
        for key, some in written.items()
        if some and key.partition("/")[0] in KINDS
    }


def relock_events() -> list[RelockEvent]:
    found = []
    for second, one in enumerate(json.loads((SHOP / "relocks.json").read_text())):
        fields = {"chart": one["chart"], "from_week": one["from"], "reason": one["reason"], "actor": "person"}
        data = RelockData(**fields, points=one.get("points", 20), at=datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC))
        found.append(RelockEvent.new(source="andon/test", subject=data.key, time=data.at, data=data))
    return found


@pytest.fixture
async def store(pool: Pool, policy: Policy) -> AnalystStore:
    await pool.execute(
        f"TRUNCATE {TABLES}; UPDATE analysis_state SET policy = ''; UPDATE silence_state SET until = NULL"
    )
    store = AnalystStore(pool, policy)
    await store.follow(policy)
    return store


async def test_a_whole_log_at_once_in_any_order_and_twice(store: AnalystStore, shop: WeeklyMeasures) -> None:
    events, seed = point_events(shop), random.Random(5)
    mixed = [*events, *seed.sample(events, len(events) // 10)]
    seed.shuffle(mixed)
    await store.take(relock_events())
    for start in range(0, len(mixed), len(mixed) // 5):
        await store.take(mixed[start : start + len(mixed) // 5])
        await store.evaluate()

    assert await store.intervals() == expected_intervals()
    assert await store.evaluate() == 0


async def test_a_relock_that_is_saved_while_the_points_of_its_chart_are(
    store: AnalystStore, shop: WeeklyMeasures
) -> None:
    async with store.pool.acquire() as connection, connection.transaction():
        locks = [event.data for event in relock_events()]
        await relocks.save(connection, locks)
        await charts.mark_relocks(connection, {one.chart for one in locks})
        await store.take(point_events(shop))
        await store.evaluate()
        assert await store.intervals() != expected_intervals()
    await store.evaluate()

    assert await store.intervals() == expected_intervals()


async def test_a_replica_with_an_earlier_policy_evaluates_nothing(
    store: AnalystStore, shop: WeeklyMeasures, policy: Policy
) -> None:
    other = parse((SHOP / "policy.yaml").read_text().replace("lateness: 7d", "lateness: 8d"))
    assert other.digest != policy.digest
    await store.take([*relock_events(), *point_events(shop)])
    await store.follow(other)

    assert await store.try_evaluate() is None
    assert await store.charts() == {}
    after = AnalystStore(store.pool, other)
    await after.evaluate()
    assert await after.intervals() == expected_intervals()


async def test_some_weeks_after_the_others(store: AnalystStore, shop: WeeklyMeasures) -> None:
    weeks = len(next(iter(shop.values.values())))
    await store.take(relock_events())
    for first in range(0, weeks, 3):
        over = min(first + 3, weeks)
        await store.take(point_events(shop, first, over))
        await store.evaluate()

    assert await store.intervals() == expected_intervals()
    told = await store.messages()
    assert {event.data.reason for event in told} <= {ProblemReason.OPENED, ProblemReason.GREW, ProblemReason.CLEARED}
    assert not any(event.data.historic for event in told)


def found_in(measures: WeeklyMeasures, policy: Policy) -> Intervals:
    """What the pure core finds in weekly measures."""
    relocks = [
        Relock(one["chart"], one["from"], one.get("points", 20), one["reason"])
        for one in json.loads((SHOP / "relocks.json").read_text())
    ]
    segments = ChartSegments(measures, Weeks(measures.weeks.start(0), policy.timezone), relocks)
    found = {watch.key: window_findings(watch, segments) for watch in watches(policy)}
    for stage in policy.pipelines["sales"].bottleneck_rules:
        judged = BottleneckCharts.of("sales", stage, policy.pipelines["sales"].open_stages)
        found[f"bottleneck/sales/{stage}"] = bottleneck_findings(judged.judged(segments), segments.weeks)
    return {key: [interval_json(one.interval) for one in some] for key, some in found.items() if some}


def without(measures: WeeklyMeasures, name: str, weeks: range) -> WeeklyMeasures:
    """The measures, with no values of one chart in these weeks."""
    values = {
        chart: [None if chart.name == name and week in weeks else value for week, value in enumerate(some)]
        for chart, some in measures.values.items()
    }
    return WeeklyMeasures(measures.weeks, values)


async def test_a_late_point_revises_within_the_lateness_and_reevaluate_all(
    store: AnalystStore, shop: WeeklyMeasures, policy: Policy
) -> None:
    chart, key = "sales/-/win_rate", "shift/sales//win_rate"
    late = without(shop, chart, range(124, 127))
    expected, newest = found_in(late, policy), max(map(len, late.values.values())) - 1
    await store.take([*relock_events(), *point_events(shop)])
    await store.evaluate()
    before = await store.intervals()
    await store.messages()

    await store.take([e for e in point_events(late, 124, is_revised=True) if e.data.value is None])
    await store.evaluate()
    after = await store.intervals()
    assert expected[key] != before[key]
    assert after == before | {key: [*before[key][:-1], *expected[key][-1:]]} or after == before, "older ones stay"

    await store.take(point_events(late, newest, is_revised=True, since=moment(0)))
    await store.evaluate()
    assert await store.intervals() == expected
    told = await store.messages()
    assert {event.data.key for event in told} == {key}
    found = [event.data for event in told if event.data.reason in (ProblemReason.OPENED, ProblemReason.CLEARED)]
    assert all(data.historic for data in found if data.cleared_at is not None)


async def test_a_history_that_is_loaded_is_historic(store: AnalystStore, shop: WeeklyMeasures) -> None:
    await store.take([*relock_events(), *point_events(shop, is_revised=True)])
    await store.evaluate()

    assert await store.intervals() == expected_intervals()
    told = await store.messages()
    assert {event.data.historic for event in told if event.data.cleared_at is not None} == {True}
    lasting = [event.data for event in told if event.data.cleared_at is None]
    assert lasting
    assert not any(data.historic for data in lasting)


@pytest.mark.parametrize("last", ["sales/legal/open_age_mean_s", "sales/signing/wip_end"])
async def test_a_bottleneck_waits_for_all_of_its_charts_and_says_why(
    last: str, store: AnalystStore, shop: WeeklyMeasures
) -> None:
    key, events = "bottleneck/sales/legal", point_events(shop)
    late = [event for event in events if f"{event.data.pipeline}/{event.data.stage}/{event.data.measure}" == last]
    await store.take([*relock_events(), *(event for event in events if event not in late)])
    await store.evaluate()
    assert key not in await store.intervals()
    await store.take(late)
    await store.evaluate()

    (told,) = [event.data for event in await store.messages() if event.data.key == key]
    (expected,) = json.loads((SHOP / "expected-problems.json").read_text())["problems"][key]
    assert (iso(told.opened_at), told.cleared_at, told.peak) == (expected["opened_at"], None, expected["peak"])
    assert (told.reason, told.historic, told.chance) == (ProblemReason.OPENED, False, 0.1)
    assert (told.cause_class, told.stage) == (expected["cause"], "legal")
    found = told.bottleneck
    assert found is not None
    assert (found.label, found.next_starved) == (expected["label"], expected["next_starved"])
    assert {"wip_drift": found.wip_drift, "age_drift": found.age_drift, "holds": False} == expected["little"]
    assert found.usual_wip < found.wip < told.peak


async def test_a_late_point_takes_a_bottleneck_back(store: AnalystStore, shop: WeeklyMeasures, policy: Policy) -> None:
    key = "bottleneck/sales/legal"
    arrivals = Chart("sales", "legal", Column.ARRIVALS)
    none_came = WeeklyMeasures(shop.weeks, {arrivals: [0] * len(shop.values[arrivals])})
    await store.take([*relock_events(), *point_events(shop)])
    await store.evaluate()
    await store.messages()
    await store.take(point_events(none_came, is_revised=True))
    await store.evaluate()

    (told,) = [event.data for event in await store.messages() if event.data.key == key]
    assert told.reason is ProblemReason.RETRACTED
    assert await store.intervals() == found_in(WeeklyMeasures(shop.weeks, {**shop.values, **none_came.values}), policy)
    await store.take(point_events(shop, is_revised=True))
    await store.evaluate()
    (told,) = [event.data for event in await store.messages() if event.data.key == key]
    assert told.reason is ProblemReason.OPENED


@pytest.mark.parametrize(
    ("rule", "gone"),
    [
        ("{kind: slipping", "slipping/sales//pushed_share"),
        ("{kind: bottleneck, stage: legal", "bottleneck/sales/legal"),
    ],
)
async def test_another_policy_takes_back_what_no_rule_covers_and_changes_modes(
    rule: str, gone: str, store: AnalystStore, shop: WeeklyMeasures, policy: Policy
) -> None:
    await store.take([*relock_events(), *point_events(shop)])
    await store.evaluate()
    before = await store.intervals()
    await store.messages()
    text = (SHOP / "policy.yaml").read_text()
    assert f"- {rule}}}" in text
    other = parse(text.replace(f"{rule}}}", f"{rule}, mode: off}}", 1))
    after = AnalystStore(store.pool, other)
    await after.follow(other)
    await after.evaluate()

    assert before[gone][-1]["cleared_at"] is None
    assert gone not in await after.intervals()
    (told,) = [event.data for event in await after.messages() if event.data.key == gone]
    assert told.reason is ProblemReason.UNRULED
    await store.follow(policy)
    await store.evaluate()
    assert (await store.intervals())[gone][-1] == before[gone][-1]


async def test_weeks_that_are_numbered_anew_count_when_all_have_come(
    store: AnalystStore, shop: WeeklyMeasures, policy: Policy
) -> None:
    weeks = Weeks(shop.weeks.start(2), policy.timezone)
    later = WeeklyMeasures(weeks, {chart: list(some[2:]) for chart, some in shop.values.items()})
    await store.take([*relock_events(), *point_events(later)])
    await store.evaluate()
    await store.messages()
    events = point_events(shop, numbering=2, is_revised=True, since=moment(0))
    await store.take(events[: len(events) // 2])
    assert await store.evaluate() == 0
    await store.take(events[len(events) // 2 :])
    await store.evaluate()

    assert await store.intervals() == expected_intervals()


async def test_charts_are_published_where_they_change(
    store: AnalystStore, shop: WeeklyMeasures, policy: Policy
) -> None:
    log = PrintedLog("shop")
    watched = {watch.chart for watch in watches(policy)}
    shown = [chart for chart in log.values if chart.pipeline == "sales" and (chart.column in DRAWN or chart in watched)]
    events = point_events(WeeklyMeasures(log.weeks, {chart: list(log.values[chart]) for chart in shown}))
    await store.take([*relock_events(), *events])
    await store.evaluate()
    found = await store.charts()

    signals = json.loads((SHOP / "expected-signals.json").read_text())
    windows = json.loads((SHOP / "expected-windows.json").read_text())
    names = {name for name in signals if "@" not in name and name.startswith("sales/")}
    windows = {name: some for name, some in windows.items() if "@" not in name and name.startswith("sales/")}
    assert names | windows.keys() == found.keys()
    for name in names:
        check_limits(found[name], signals[name])
    for name, expected in windows.items():
        if expected is not None:
            check_windows(found[name], expected)
    demo = found["sales/demo/time_in_stage_median_s"]
    assert [one.locked_by for one in demo.limits] == ["rule", "person"]
    assert demo.limits[1].reason == "verified change: the repair, again at 20"
    assert demo.limits[1].first_week == "2025-W10"

    await store.take(events[-5:])
    await store.evaluate()
    assert await store.charts() == {}


def check_limits(data: ChartData, expected: dict[str, Any] | None) -> None:
    newest = data.limits[-1]
    if expected is None:
        assert newest.centre is None
        return
    for name in ("centre", "upper", "lower", "mean_moving_range", "range_limit"):
        assert same(getattr(newest, name), expected[name]), name
    marks = [(mark.week, mark.rule, mark.side, mark.in_baseline) for mark in newest.marks]
    assert marks == [(one["period"], one["rule"], one["side"], one["baseline"]) for one in expected["signals"]]


def check_windows(data: ChartData, expected: dict[str, Any]) -> None:
    newest = data.windows[-1]
    assert (newest.size, list(newest.baseline), newest.bad) == (expected["m"], expected["baseline"], expected["bad"])
    assert newest.phi == pytest.approx(expected["phi"])
    assert {str(one.weeks): one.critical for one in newest.needs} == expected["critical"]
    assert {str(one.weeks): one.need for one in newest.needs} == pytest.approx(expected["need"])
    fired = [(one.week, one.weeks) for one in newest.fired]
    wanted = [[(week, 4)] * four + [(week, 8)] * eight for week, _, _, four, eight in expected["looks"]]
    assert fired == [one for some in wanted for one in some]


async def test_behind_a_real_kafka(
    shop: WeeklyMeasures, policy: Policy, kafka: str, dsn: str, prefix: str, tmp_path: Path
) -> None:
    environment = {
        "ANDON_KAFKA": kafka,
        "ANDON_POSTGRES": dsn,
        "ANDON_POLICY": str(SHOP / "policy.yaml"),
        "ANDON_TOPIC_PREFIX": prefix,
    }
    events, seed = point_events(shop), random.Random(6)
    mixed = [*events, *seed.sample(events, len(events) // 10)]
    seed.shuffle(mixed)
    publisher = Publisher(KafkaAccess(kafka), deadline_seconds=60)
    messages = [OutgoingMessage(prefix + MEASURES, event.subject.encode(), event.to_json()) for event in mixed]
    messages += [OutgoingMessage(prefix + RELOCKS, e.subject.encode(), e.to_json()) for e in relock_events()]
    analyst = ServiceProcess("analyst", environment, tmp_path).start().ready()
    connection = await asyncpg.connect(dsn)

    async def found() -> Intervals:
        return intervals_of(await connection.fetch(PROBLEMS))

    try:
        for start in range(0, len(messages), 2000):
            await publisher.publish_all(messages[start : start + 2000])
        await eventually(found, lambda some: some == expected_intervals(), 60)
    finally:
        analyst.stop()
        await publisher.stop()
        await connection.close()

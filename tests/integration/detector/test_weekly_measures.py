"""Weekly measures on a real Postgres: in any order, batches and steps, they are those of the same events at once."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.detector.evaluate import rebuild
from services.detector.publish.weeks import WeekPublisher, WeeksDone
from services.detector.settings import DetectorSettings
from services.detector.store import evaluation, weeks
from shared.contracts.events import DealEvent
from shared.contracts.measures import MeasureEvent
from shared.flow.ruleset import Ruleset
from shared.flow.stage_facts import stage_fields
from shared.flow.stage_map import StageMap
from shared.policy import Policy, parse
from shared.postgres.pool import Pool
from tests.integration.detector.test_stages import StageStore, a_description
from tests.support import histories
from tests.support.detector_store import WIP, emptied
from tests.support.histories import START
from tests.support.weekly_points import WeeklyPoints, expected_points, published_points
from tests.unit.flow.test_edge_cases import CASES

HALF_DAY = 43_200
WEEK = timedelta(days=7)
_PUBLISHED = "SELECT value FROM outbox WHERE topic = 'flow.measures' ORDER BY id"


class WeekStore(StageStore):
    """A detector that also publishes weeks, so few points at once that weeks take several transactions."""

    def __init__(self, pool: Pool, policy: Policy, points_at_once: int = 60) -> None:
        super().__init__(pool, policy)
        self.present = datetime.now(UTC)
        self.weeks = WeekPublisher(policy, "", points_at_once)

    async def publish_some(self) -> WeeksDone:
        async with self.pool.acquire() as connection, connection.transaction():
            return await self.weeks.publish_some(connection)

    async def publish(self) -> int:
        """Publish all weeks; how many messages that were."""
        messages = 0
        for _ in range(1000):
            done = await self.publish_some()
            messages += done.messages
            if done.is_complete:
                return messages
        raise AssertionError("weeks are never complete")

    async def points(self) -> WeeklyPoints:
        return published_points(row["value"] for row in await self.pool.fetch(_PUBLISHED))

    async def messages(self) -> list[MeasureEvent]:
        """Of weeks, since this was called last."""
        rows = await self.pool.fetch(_PUBLISHED)
        await self.pool.execute("TRUNCATE outbox")
        found = [MeasureEvent.model_validate_json(row["value"]) for row in rows]
        return [event for event in found if event.data.period == "week"]


def slower(events: Iterable[DealEvent], seconds: int = HALF_DAY) -> list[DealEvent]:
    """The same events, each second of the history that many."""

    def later(instant: datetime) -> datetime:
        return START + (instant - START) * seconds

    changed = []
    for event in events:
        data = {
            name: later(value) if isinstance(value := getattr(event.data, name), datetime) else value
            for name in event.data.model_fields_set
        }
        changed.append(event.model_copy(update={"time": later(event.time), "data": event.data.model_copy(update=data)}))
    return changed


@st.composite
def with_close_dates(draw: st.DrawFn, events: st.SearchStrategy[list[DealEvent]]) -> list[DealEvent]:
    """Events of which some tell an expected close, or take it back."""
    dates = st.none() | st.sampled_from(["2026-03-01", "2026-03-09", "2026-04-01T23:30:00+00:00", "2026-04-02", "soon"])
    found = []
    for event in draw(events):
        text = json.loads(event.to_json())
        if draw(st.booleans()):
            text["data"]["expected_close"] = draw(dates)
        found.append(DealEvent.model_validate(text))
    return found


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(with_close_dates(histories.events(ends=True) | histories.wandering()), st.randoms(use_true_random=False))
async def test_weekly_measures_do_not_hang_on_order_batches_or_steps(
    pool: Pool, events: list[DealEvent], chance: Any
) -> None:
    events = slower(events)
    policy = parse(json.dumps(histories.two_pipelines(WIP) | {"timezone": "Asia/Tokyo"}))
    store, end = WeekStore(await emptied(pool), policy), START + timedelta(days=30)
    mixed = events + chance.sample(events, len(events) // 3)
    chance.shuffle(mixed)
    stops = sorted(START + chance.random() * timedelta(days=30) for _ in mixed)
    while mixed:
        size = chance.randint(1, 4)
        await store.take([event.to_json() for event in mixed[:size]])
        mixed = mixed[size:]
        await store.evaluate_at(stops[min(len(stops) - 1, len(stops) - len(mixed))])
        await store.publish_some()
    await store.evaluate_at(end)
    await store.publish()

    assert await store.points() == expected_points(events, policy, end)
    assert await store.publish() == 0


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
async def test_edge_cases(case: dict[str, Any], pool: Pool) -> None:
    policy, until = parse(json.dumps(case["policy"])), datetime.fromisoformat(case["as_of"]) + 2 * WEEK
    events = [DealEvent.model_validate(event) for event in case["events"]]
    events = [event for event in events if event.time <= datetime.fromisoformat(case["as_of"])]
    store = WeekStore(await emptied(pool), policy)
    for event in sorted(events, key=lambda event: event.time):
        await store.take([event.to_json()])
        await store.evaluate_at(event.time)
        await store.publish_some()
    await store.evaluate_at(until)
    await store.publish()

    assert await store.points() == expected_points(events, policy, until)


def a_deal(number: int, entered: timedelta, left: timedelta | None = None) -> list[DealEvent]:
    """A deal that enters stage a and is won."""
    found = [an_event(number, 0, entered, "created", {"pipeline": "p", "stage": "a"})]
    return found if left is None else [*found, an_event(number, 1, left, "won", {})]


def an_event(deal: int, number: int, since: timedelta, kind: str, data: dict[str, Any]) -> DealEvent:
    return DealEvent.model_validate(
        {
            "id": f"{deal}-{number}",
            "source": "crm",
            "type": f"andon.deal.{kind}",
            "subject": f"crm:{deal}",
            "time": START + since,
            "data": data,
        }
    )


def json_of(events: Iterable[DealEvent]) -> list[bytes]:
    return [event.to_json() for event in events]


async def test_a_week_is_published_once_when_it_is_over_and_again_where_a_late_event_changes_it(pool: Pool) -> None:
    policy = parse(json.dumps(histories.policy_text(WIP)))
    store, day = WeekStore(await emptied(pool), policy, 10_000), timedelta(days=1)
    events = a_deal(1, 0 * day, 9 * day)
    await store.take(json_of(events))
    await store.evaluate_at(START + 6 * day)
    assert await store.publish() == 0
    await store.evaluate_at(START + 15 * day)
    await store.publish()
    first = await store.messages()

    assert {(one.data.week, one.data.over, one.data.is_revised) for one in first} == {(0, 2, False), (1, 2, False)}
    assert {one.data.known_at for one in first} == {START + 15 * day}
    assert await store.publish() == 0

    late = a_deal(2, 8 * day)
    await store.take(json_of(late))
    await store.evaluate_at(START + 16 * day)
    await store.publish()
    revised = await store.messages()
    assert {one.data.known_at for one in revised} == {START + 16 * day}
    assert {(one.data.week, one.data.measure.value, one.data.is_revised) for one in revised} == {
        (1, "arrivals", True),
        (1, "wip_end", True),
        (1, "open_age_mean_s", True),
        (1, "rework_rate", True),
    }


async def test_an_event_before_all_others_numbers_the_weeks_anew(pool: Pool) -> None:
    policy = parse(json.dumps(histories.policy_text(WIP)))
    store, day = WeekStore(await emptied(pool), policy), timedelta(days=1)
    events = a_deal(1, 0 * day, 9 * day)
    await store.take(json_of(events))
    await store.evaluate_at(START + 15 * day)
    await store.publish()
    earlier = a_deal(2, -20 * day, 3 * day)
    await store.take(json_of(earlier))
    await store.publish()

    assert await store.points() == expected_points(events + earlier, policy, START + 15 * day)
    assert {one.data.numbering for one in await store.messages()} == {1, 2}


async def test_an_import_waits_until_it_is_complete_and_its_weeks_are_of_the_past(pool: Pool, tmp_path: Path) -> None:
    written = histories.policy_text(WIP)
    policy, day = parse(json.dumps(written)), timedelta(days=1)
    store = WeekStore(await emptied(pool), policy)
    await evaluation.set_held(pool, True)
    events = a_deal(1, 0 * day, 9 * day)
    await store.take(json_of(events))
    await store.evaluate_at(START + 15 * day)
    assert await store.publish() == 0

    (tmp_path / "policy.yaml").write_text(json.dumps(written))
    settings = DetectorSettings(policy=tmp_path / "policy.yaml")
    await rebuild.rebuild(pool, Ruleset(policy), settings, 0, lambda done, total: None)
    await store.publish()

    assert await store.points() == expected_points(events, policy, START + 15 * day)
    found = await store.messages()
    assert all(one.data.is_revised and one.data.since is not None for one in found)


async def test_reevaluate_tells_since_when_also_where_nothing_changes(pool: Pool) -> None:
    policy, day = parse(json.dumps(histories.policy_text(WIP))), timedelta(days=1)
    store = WeekStore(await emptied(pool), policy)
    await store.take(json_of(a_deal(1, 0 * day, 9 * day)))
    await store.evaluate_at(START + 15 * day)
    await store.publish()
    await store.messages()

    await rebuild.rebuild(pool, store.ruleset, DetectorSettings(), 0, lambda done, total: None)
    await store.publish()
    (one,) = await store.messages()
    assert (one.data.measure.value, one.data.week, one.data.since) == (
        "throughput",
        1,
        datetime.fromtimestamp(0, tz=START.tzinfo),
    )
    assert await store.publish() == 0


async def test_another_clock_of_a_stage_makes_all_weeks_new(pool: Pool) -> None:
    written, day = histories.policy_text(WIP), timedelta(days=1)
    store = WeekStore(await emptied(pool), parse(json.dumps(written)))
    await rebuild.follow_policy(pool, store.ruleset, DetectorSettings())
    events = a_deal(1, 0 * day, 9 * day)
    await store.take(json_of(events))
    await store.evaluate_at(START + 15 * day)
    await store.publish()

    clocks = {"office": {"timezone": "UTC", "days": ["mon", "tue"], "hours": ["09:00-17:00"]}}
    written["pipelines"]["p"]["clock"] = "office"
    other = WeekStore(pool, parse(json.dumps(written | {"clocks": clocks, "timezone": "Europe/Berlin"})))
    assert (await other.publish_some()).messages == 0, "until a replica starts with it, the old policy is in force"
    await rebuild.follow_policy(pool, other.ruleset, DetectorSettings())
    await other.publish()

    assert await other.points() == expected_points(events, other.policy, START + 15 * day)
    assert await store.publish() == 0, "a replica with the old policy publishes nothing"


async def test_stages_that_resolve_differently_move_visits_and_closings(pool: Pool) -> None:
    written = histories.policy_text(WIP)
    written["pipelines"]["p"]["stages"] = [{"id": "A"}, {"id": "b"}, {"id": "Finished", "outcome": "won"}]
    written["pipelines"]["p"]["rules"] = []
    policy, day = parse(json.dumps(written)), timedelta(days=1)
    store = WeekStore(await emptied(pool), policy)
    events = [
        an_event(1, 0, 0 * day, "created", {"pipeline": "p", "stage": "a"}),
        an_event(1, 1, 3 * day, "moved", {"stage": "f"}),
        an_event(2, 0, 1 * day, "moved", {"stage": "b"}),
    ]
    await store.take(json_of(events))
    await store.evaluate_at(START + 15 * day)
    await store.publish()
    descriptions = [
        a_description(0, "1", pipeline="p", stage="a", name="A"),
        a_description(0, "2", pipeline="p", stage="f", name="Finished"),
    ]
    await store.describe(*(one.to_json() for one in descriptions))
    await store.publish()

    stage_map = StageMap.of(fact for one in descriptions for fact in stage_fields(one))
    assert await store.points() == expected_points(events, policy, START + 15 * day, stage_map)
    assert await pool.fetchval("SELECT count(*) FROM closing") == 1


async def test_the_first_event_may_be_replaced_by_a_later_one(pool: Pool) -> None:
    policy, day = parse(json.dumps(histories.policy_text(WIP))), timedelta(days=1)
    store = WeekStore(await emptied(pool), policy)
    wrong, others = a_deal(1, -20 * day), a_deal(2, 0 * day, 9 * day)
    await store.take(json_of([*wrong, *others]))
    await store.evaluate_at(START + 15 * day)
    await store.publish()
    text = json.loads(a_deal(1, 1 * day)[0].to_json())
    text["translation"] = 1
    right = DealEvent.model_validate(text)
    await store.take([right.to_json()])
    await store.publish()

    assert await store.points() == expected_points([right, *others], policy, START + 15 * day)


async def test_one_replica_publishes_at_a_time(pool: Pool) -> None:
    policy, day = parse(json.dumps(histories.policy_text(WIP))), timedelta(days=1)
    store = WeekStore(await emptied(pool), policy)
    await store.take(json_of(a_deal(1, 0 * day, 9 * day)))
    await store.evaluate_at(START + 15 * day)

    async with pool.acquire() as connection, connection.transaction():
        assert await weeks.try_lock(connection)
        assert await store.publish() == 0
    assert await store.publish() > 0

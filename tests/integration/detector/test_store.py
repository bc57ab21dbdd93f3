"""Apply and judge on a real Postgres: in any order, in any batches, at any steps of time, what is found is the same."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest
from aiokafka import ConsumerRecord
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from services.detector.app import Detector
from services.detector.evaluate import rebuild
from services.detector.publish.ages import AgePublisher
from services.detector.publish.daily_measures import MeasurePublisher
from services.detector.settings import DetectorSettings
from services.detector.store.fingerprint import OtherPolicyError
from shared.contracts.events import DealEvent
from shared.flow.ruleset import Ruleset
from shared.policy import parse
from shared.postgres.pool import Pool
from shared.runtime.instants import micros
from tests.support import histories
from tests.support.detector_store import WIP, Store, emptied, expected, moved
from tests.support.examples import examples
from tests.support.histories import END, at
from tests.unit.flow.test_edge_cases import CASES


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories.events(ends=True) | histories.wandering(), histories.rules(), st.randoms(use_true_random=False))
async def test_what_is_found_does_not_hang_on_order_batches_or_steps(
    pool: Pool, events: list[DealEvent], written: list[dict[str, Any]], chance: Any
) -> None:
    policy = parse(json.dumps(histories.two_pipelines(written)))
    store = Store(await emptied(pool), policy)
    mixed = events + chance.sample(events, len(events) // 3)
    chance.shuffle(mixed)
    stops = sorted(chance.randint(0, END) for _ in mixed)
    while mixed:
        size = chance.randint(1, 4)
        await store.take([event.to_json() for event in mixed[:size]])
        mixed = mixed[size:]
        await store.evaluate_at(at(stops[min(len(stops) - 1, len(stops) - len(mixed))]))
    await store.evaluate_at(at(END))

    problems, visits = expected(events, policy, at(END))
    assert await store.visits() == visits
    assert await store.problems() == problems
    await check_messages(store, problems)


async def check_messages(store: Store, problems: list[Any]) -> None:
    """Whoever follows the messages knows what the table knows."""
    known: dict[tuple[str, datetime], tuple[Any, ...]] = {}
    for event in await store.told():
        data = event.data
        if data.was is not None and data.was.opened_at != data.opened_at:
            known.pop((data.key, data.was.opened_at), None)
        known[data.key, data.opened_at] = (data.key, data.opened_at, data.cleared_at)
        if data.reason.value in ("retracted", "unruled"):
            known.pop((data.key, data.opened_at))
    assert sorted(known.values(), key=str) == sorted((p[:3] for p in problems), key=str)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
async def test_edge_cases_through_the_store(case: dict[str, Any], pool: Pool) -> None:
    policy, until = parse(json.dumps(case["policy"])), datetime.fromisoformat(case["as_of"])
    events = [DealEvent.model_validate(event) for event in case["events"]]
    store = Store(await emptied(pool), policy, now=datetime.max.replace(tzinfo=UTC) - timedelta(days=1))
    taken = [event for event in events if event.time <= until]
    for event in sorted(taken, key=lambda e: e.time):
        await store.take([event.to_json()])
        await store.evaluate_at(event.time)
    await store.evaluate_at(until)

    problems, visits = expected(events, policy, until)
    assert await store.visits() == visits
    assert await store.problems() == problems


async def test_news_older_than_the_lateness_mend_the_present_and_reevaluate_the_past(
    pool: Pool, dsn: str, tmp_path: Any
) -> None:
    written = histories.policy_text(WIP) | {"lateness": "10s"}
    policy = parse(json.dumps(written))
    store = Store(await emptied(pool), policy)
    await store.take([moved(1, 0, "b")])
    await store.evaluate_at(at(40))
    await store.take([moved(2, 5, "a"), moved(2, 8, "b"), moved(3, 6, "a")])
    await store.evaluate_at(at(41))

    assert await store.problems() == [("wip-high/p/a", at(30), None, 1)], "at the edge of what may be revised"

    (tmp_path / "policy.yaml").write_text(json.dumps(written))
    settings = DetectorSettings(policy=tmp_path / "policy.yaml")
    await rebuild.rebuild(pool, Ruleset(policy), settings, 0, lambda done, total: None)
    assert await store.problems() == [("wip-high/p/a", at(5), None, 2)]


async def test_events_older_than_the_lateness_are_counted(pool: Pool) -> None:
    store = Store(await emptied(pool), parse(json.dumps(histories.policy_text(WIP) | {"lateness": "10s"})))
    await store.take([moved(1, 0, "b")])
    await store.evaluate_at(at(40))
    late = [moved(2, 5, "a"), moved(2, 29.5, "b"), moved(3, 6, "a")]

    await store.take([*late, moved(3, 31, "b"), moved(4, 30, "a")])
    await store.take(late)

    assert store.registry.get_sample_value("andon_detector_late_events_total") == 3


async def test_events_that_place_a_deleted_deal_are_counted(pool: Pool) -> None:
    store = Store(await emptied(pool), parse(json.dumps(histories.policy_text(WIP))))
    deleted = moved(1, 5, "a").replace(b"deal.moved", b"deal.deleted").replace(b', "stage": "a"', b"")
    merged = moved(2, 5, "a").replace(b"deal.moved", b"deal.merged")
    assert b"stage" not in deleted
    await store.take([moved(1, 0, "a"), deleted, moved(2, 0, "a"), merged])
    later = [moved(1, 6, "b"), moved(1, 7, "a").replace(b"deal.moved", b"deal.touched"), moved(2, 6, "b")]

    await store.take(later)
    await store.take(later)
    await store.take([moved(1, 8, "a").replace(b"deal.moved", b"deal.reopened"), moved(1, 9, "b")])

    assert store.registry.get_sample_value("andon_detector_deleted_deal_events_total") == 2


@pytest.mark.parametrize(
    ("kind", "data", "changes"),
    [
        ("changed", {"name": "New"}, False),
        ("changed", {"expected_close": "2026-09-01", "reason": "late"}, False),
        ("touched", {"activity": "note", "buyer": False}, False),
        ("touched", {"activity": "reply", "buyer": True}, True),
        ("changed", {"next_step_at": "2026-09-01T00:00:00Z"}, True),
        ("changed", {"pipeline": "q"}, True),
        ("moved", {"stage": "b"}, True),
    ],
)
async def test_a_visit_is_written_only_where_an_event_may_change_it(
    kind: str, data: dict[str, Any], changes: bool, pool: Pool
) -> None:
    store = Store(await emptied(pool), parse(json.dumps(histories.policy_text(WIP))))
    await store.take([moved(1, 0, "a")])
    before = await pool.fetch("SELECT xmin::text, entered FROM visit")
    event = json.loads(moved(1, 5, "a")) | {"type": f"andon.deal.{kind}", "data": data}
    await store.take([json.dumps(event).encode()])

    assert (await pool.fetch("SELECT xmin::text, entered FROM visit") != before) is changes
    assert await pool.fetchval("SELECT version FROM deal") == 2
    await store.evaluate_at(at(9))
    both = [DealEvent.model_validate_json(moved(1, 0, "a")), DealEvent.model_validate(event)]
    problems, visits = expected(both, store.policy, at(9))
    assert (await store.problems(), await store.visits()) == (problems, visits)


SHARING = [
    moved(1, 3, "a"),
    moved(1, 9, "b"),
    moved(1, 3, "b"),
    moved(1, 3, "a").replace(b"09:00:03", b"09:00:05"),
    moved(1, 3, "a").replace(b"deal.moved", b"deal.created"),
]


@pytest.mark.parametrize("order", list(permutations(range(len(SHARING))))[::24])
@pytest.mark.parametrize("size", [1, 2, 5])
async def test_of_events_that_share_an_id_the_same_one_is_kept_in_any_order(
    order: tuple[int, ...], size: int, pool: Pool
) -> None:
    policy = parse(json.dumps(histories.policy_text(WIP)))
    store = Store(await emptied(pool), policy)
    values = [SHARING[number] for number in order]
    for first in range(0, len(values), size):
        await store.take(values[first : first + size])
        await store.evaluate_at(at(10))

    said = [DealEvent.model_validate_json(value) for value in SHARING]
    problems, visits = expected(said, policy, at(10))
    assert (await store.problems(), await store.visits()) == (problems, visits)


async def test_an_interval_found_by_going_back_that_was_over_is_historic(pool: Pool) -> None:
    store = Store(await emptied(pool), parse(json.dumps(histories.policy_text(WIP))))
    await store.evaluate_at(at(20))
    await store.take([moved(1, 3, "a"), moved(1, 9, "b")])
    await store.evaluate_at(at(21))

    (told,) = await store.told()
    assert (told.data.historic, told.data.opened_at, told.data.cleared_at) == (True, at(3), at(9))


async def test_a_problem_that_late_news_undo_is_retracted(pool: Pool) -> None:
    store = Store(
        await emptied(pool), parse(json.dumps(histories.policy_text([{"kind": "wip-high", "max": 0, "hold": "5s"}])))
    )
    await store.take([moved(1, 3, "a")])
    await store.evaluate_at(at(10))
    await store.take([moved(1, 4, "b")])
    await store.evaluate_at(at(11))

    assert [event.data.reason.value for event in await store.told()] == ["opened", "retracted"]
    assert await store.problems() == []


async def _published_ids(pool: Pool) -> list[tuple[str, str]]:
    """Of a problem that opens, is retracted, opens again at the same instant, and clears."""
    rule = {"kind": "wip-high", "max": 0, "hold": "5s"}
    store = Store(await emptied(pool), parse(json.dumps(histories.policy_text([rule]))))
    await store.take([moved(1, 3, "a")])
    await store.evaluate_at(at(10))
    await store.take([moved(1, 4, "b")])
    await store.evaluate_at(at(11))
    await store.take([moved(2, 3, "a")])
    await store.evaluate_at(at(12))
    await store.take([moved(2, 13, "b")])
    await store.evaluate_at(at(30))
    return [(event.data.reason.value, event.id) for event in await store.told() if event.data.stage == "a"]


async def test_what_is_published_again_after_a_restore_has_the_ids_of_the_first_time(pool: Pool) -> None:
    first, again = await _published_ids(pool), await _published_ids(pool)

    assert [reason for reason, _ in first] == ["opened", "retracted", "opened", "cleared"]
    assert first == again
    assert len({number for _, number in first}) == 4


async def test_a_rule_taken_out_of_the_policy_takes_its_problems_with_it(pool: Pool, tmp_path: Any) -> None:
    store = Store(await emptied(pool), parse(json.dumps(histories.policy_text(WIP))))
    await rebuild.follow_policy(pool, store.ruleset, DetectorSettings())
    await store.take([moved(1, 3, "a")])
    await store.evaluate_at(at(10))
    assert len(await store.problems()) == 1

    without = Ruleset(parse(json.dumps(histories.policy_text([]))))
    await rebuild.follow_policy(pool, without, DetectorSettings())

    assert await store.problems() == []
    assert [event.data.reason.value for event in await store.told()] == ["opened", "unruled"]


async def test_a_rule_that_is_only_watched_from_now_on_says_so_of_what_lasts(pool: Pool) -> None:
    store = Store(await emptied(pool), parse(json.dumps(histories.policy_text(WIP))))
    await rebuild.follow_policy(pool, store.ruleset, DetectorSettings())
    await store.take([moved(1, 3, "a")])
    await store.evaluate_at(at(10))

    for mode in ("monitor", "active"):
        other = Ruleset(parse(json.dumps(histories.policy_text([{**rule, "mode": mode} for rule in WIP]))))
        await rebuild.follow_policy(pool, other, DetectorSettings())
        assert await pool.fetchval("SELECT mode FROM problem") == mode

    told = [(event.data.reason.value, event.data.mode.value) for event in await store.told()]
    assert told == [("opened", "active"), ("revised", "monitor"), ("revised", "active")]


async def test_a_replica_with_another_policy_neither_counts_nor_judges(pool: Pool) -> None:
    old, new = (Ruleset(parse(json.dumps(histories.policy_text([{"kind": "wip-high", "max": n}])))) for n in (0, 1))
    await rebuild.follow_policy(await emptied(pool), old, DetectorSettings())
    replica = Detector(DetectorSettings(), old, pool, CollectorRegistry())
    records = [
        ConsumerRecord("pipeline.events", 0, n, 0, 0, b"k", value, 0, len(value), 0, ())
        for n, value in enumerate([moved(1, 3, "a"), moved(2, 3, "a")])
    ]
    await replica.events.run(records[:1])
    await replica.evaluation.run_once()

    await rebuild.follow_policy(pool, new, DetectorSettings())

    with pytest.raises(OtherPolicyError):
        await replica.events.run(records[1:])
    with pytest.raises(OtherPolicyError):
        await replica.evaluation.run_once()
    assert {row[0] for row in await Store(pool, new.policy).visits()} == {"crm:1"}


async def test_a_deal_that_comes_through_two_partitions_at_once_is_whole(pool: Pool) -> None:
    store = Store(await emptied(pool), parse(json.dumps(histories.policy_text(WIP))))
    for begun in ([], [moved(1, 1, "a"), moved(2, 1, "a")]):
        await store.take(begun)

        async def lane(partition: int, values: list[bytes]) -> None:
            for _ in range(3):
                with suppress(asyncpg.SerializationError):
                    return await store.take(values, partition=partition)
            raise AssertionError("never through")

        await asyncio.gather(
            lane(1, [moved(1, 7, "b"), moved(2, 5, "b")]), lane(2, [moved(2, 9, "a"), moved(1, 8, "a")])
        )

        said = [DealEvent.model_validate_json(row["v"]) for row in await pool.fetch(_SAID)]
        assert await store.visits() == expected(said, store.policy, at(END))[1]


_SAID = """
SELECT json_build_object('id', id, 'source', 'crm', 'type', 'andon.deal.moved', 'subject', deal, 'time', time,
    'data', data::json)::text AS v FROM event
"""


async def test_while_judging_is_held_nothing_is_found(pool: Pool) -> None:
    store = Store(await emptied(pool), parse(json.dumps(histories.policy_text(WIP))))
    await pool.execute("UPDATE evaluation_state SET held = true")
    await store.take([moved(1, 3, "a")])
    await store.evaluate_at(at(10))
    assert await store.problems() == []

    await rebuild.rebuild(pool, store.ruleset, DetectorSettings(), 0, lambda done, total: None)
    assert await store.problems() == [("wip-high/p/a", at(3), None, 1)]
    await store.evaluate_at(at(11))
    assert len(await store.problems()) == 1


async def test_unknown_stages_and_pipelines_are_kept_and_counted(pool: Pool) -> None:
    store = Store(await emptied(pool), parse(json.dumps(histories.policy_text(WIP))))
    elsewhere = moved(2, 1, "a").replace(b'"pipeline": "p"', b'"pipeline": "elsewhere"')

    await store.take([moved(1, 1, "nowhere"), elsewhere])
    await store.evaluate_at(at(10))

    assert {row[:3] for row in await store.visits()} == {("crm:1", "p", "nowhere"), ("crm:2", "elsewhere", "a")}
    assert await store.problems() == []


@settings(max_examples=examples(20), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories.events(ends=True) | histories.wandering(), histories.rules(), st.randoms(use_true_random=False))
async def test_ages_at_the_ends_of_days_are_those_of_the_visits(
    pool: Pool, events: list[DealEvent], written: list[dict[str, Any]], chance: Any
) -> None:
    policy = parse(json.dumps(histories.policy_text(written)))
    store = Store(await emptied(pool), policy)
    chance.shuffle(events)
    publisher = AgePublisher(store.ruleset, MeasurePublisher(ZoneInfo(policy.timezone), ""))
    # Published twice: once from half of the events, and again where the others change it.
    for part in (events[: len(events) // 2], events[len(events) // 2 :]):
        await store.take([event.to_json() for event in part])
        await store.evaluate_at(histories.START + timedelta(hours=16))
        async with pool.acquire() as connection:
            while await publisher.publish_some(connection):
                pass

    visits = [row for row in await store.visits() if store.ruleset.knows(row[1], row[2])]
    rows = await pool.fetch("SELECT pipeline, stage, measure, end_at, value FROM measure WHERE measure LIKE 'age-%'")
    for pipeline, stage, measure, end, value in rows:
        alive = [v for v in visits if v[3] <= end and (not v[4] or v[4] > end)]
        entered = sorted(v[3] for v in alive if v[1:3] == (pipeline, stage))
        if entered:
            since = entered[0] if measure == "age-oldest" else entered[(len(entered) - 1) // 2]
            clock = store.ruleset.clocks.of(pipeline, stage)
            assert value == pytest.approx(clock.age(micros(since), micros(end)) / 1_000_000)
    told = {tuple(row)[:4] for row in rows}
    for end in {row[3] for row in told}:
        places = {v[1:3] for v in visits if v[3] <= end and (not v[4] or v[4] > end)}
        assert {(p, s) for p, s, _, at in told if at == end} >= places
    assert told or all(v[4] for v in visits)


DAY = 86_400
FIRST_OUTBREAK = [{"kind": "aging", "limit": "20d"}, {"kind": "stalled", "limit": "25d"}]
_POINTS = "SELECT end_at, value FROM measure WHERE stage = 'a' AND measure = $1 AND end_at <= $2 ORDER BY end_at"


@pytest.mark.parametrize("late", [False, True], ids=["in order", "an earlier visit arrives last"])
async def test_days_without_a_deal_over_age_count_before_the_first_that_is(pool: Pool, late: bool) -> None:
    """Deals come and go for 40 days; then one stays for too long."""
    store = Store(await emptied(pool), parse(json.dumps(histories.policy_text(FIRST_OUTBREAK) | {"lateness": "90d"})))
    events = [moved(1, 0, "a"), moved(1, 12 * DAY, "b"), *(moved(2 + n, (1 + n) * DAY, "a") for n in range(20))]
    events += [moved(2 + n, (9 + n) * DAY, "b") for n in range(19)]
    await store.take(events[2:] if late else events)
    await store.evaluate_at(at(30 * DAY))
    if late:
        await store.take(events[:2])
    await store.evaluate_at(at(46 * DAY))

    assert {event.data.kind for event in await store.told()} == {"aging", "stalled"}
    wip = await pool.fetch(_POINTS, "wip", at(40 * DAY))
    for measure in ("over-age", "stalled"):
        points = await pool.fetch(_POINTS, measure, at(40 * DAY))
        assert [row["end_at"] for row in points] == [row["end_at"] for row in wip], "a value for each day of the stage"
        assert all(row["value"] == 0 for row in points)

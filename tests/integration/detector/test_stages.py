"""The stage map on a real Postgres: in any order of arrival, visits and problems are f(history, policy, stage map)."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from aiokafka import ConsumerRecord
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.detector.evaluate import rebuild
from services.detector.ingest.stage_writer import StageWriter
from services.detector.settings import DetectorSettings
from services.detector.store import fingerprint
from services.detector.store import stages as stage_store
from shared.contracts.dead import DeadEvent
from shared.contracts.events import DealEvent
from shared.contracts.stages import StageData, StageEvent
from shared.flow.ruleset import Ruleset
from shared.flow.stage_facts import stage_fields
from shared.policy import Policy, parse
from shared.postgres.pool import Pool
from tests.support import histories
from tests.support.detector_store import Store, emptied, expected, moved
from tests.support.examples import examples
from tests.support.histories import END, START, at, wild
from tests.support.waiting import eventually

PRESENT = START + timedelta(days=1)


def a_description(time: int = 0, number: str = "1", **data: Any) -> StageEvent:
    said = {"source": "crm", "time": at(time), "id": number, "subject": "crm", "data": {"source": "crm", **data}}
    return StageEvent.model_validate(said)


class StageStore(Store):
    """A detector that also handles descriptions."""

    def __init__(self, pool: Pool, policy: Policy) -> None:
        super().__init__(pool, policy, now=PRESENT)
        self.stage_writer = StageWriter(self.ruleset, DetectorSettings(), lambda record: PRESENT)
        self.stages = self.processor(self.stage_writer)
        self._described = 0

    async def describe(self, *values: bytes | None) -> bool:
        """Handle one batch; returns whether it changed the map under which visits are folded."""
        before = await fingerprint.stored(self.pool)
        await self.stages.run(self.descriptions(*values))
        return await fingerprint.stored(self.pool) != before

    def descriptions(self, *values: bytes | None) -> list[ConsumerRecord]:
        """As they come from Kafka."""
        records = []
        for value in values:
            size = len(value or b"")
            records.append(
                ConsumerRecord("pipeline.stages", 0, self._described, 0, 0, b"k", value, 0, size, 0, ())  # type: ignore[arg-type]
            )
            self._described += 1
        return records


BY_NAME = {
    "stages": [{"id": "A"}, {"id": "b"}, {"id": "Finished", "outcome": "won"}],
    "rules": [{"kind": "wip-high", "stage": "A", "max": 0}, {"kind": "wip-high", "stage": "b", "max": 0}],
}
SAYINGS = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.fixed_dictionaries(
            {"stage": st.sampled_from(["a", "b", "won"]), "name": st.sampled_from(["A", "Finished", "b", "x"])},
            optional={"pipeline": st.just("p"), "outcome": st.sampled_from(["open", "lost", None])},
        )
        | st.just({"pipeline": "p", "pipeline_name": "Sales"}),
    ),
    max_size=4,
)


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories.events(ends=True) | histories.wandering(), SAYINGS, st.booleans(), st.randoms(use_true_random=False))
async def test_events_and_descriptions_in_any_order_give_the_same_visits_and_problems(
    pool: Pool, events: list[DealEvent], sayings: list[tuple[int, dict[str, Any]]], renamed: bool, chance: Any
) -> None:
    written = histories.policy_text([])
    written["pipelines"]["Sales" if renamed else "p"] = written["pipelines"].pop("p") | BY_NAME
    policy = parse(json.dumps(written))
    told = [a_description(time, str(number), **data) for number, (time, data) in enumerate(sayings)]
    store = StageStore(await emptied(pool), policy)
    mixed: list[DealEvent | StageEvent] = [*events, *told, *chance.sample(events, len(events) // 3), *told[:2]]
    chance.shuffle(mixed)
    for number, one in enumerate(mixed):
        await (store.take([one.to_json()]) if isinstance(one, DealEvent) else store.describe(one.to_json()))
        if chance.random() < 0.3:
            await store.evaluate_at(at(number * END // len(mixed)))
    await store.evaluate_at(at(END))

    problems, visits = expected(events, policy, at(END), told)
    assert await store.visits() == visits
    assert await store.problems() == problems


def a_policy() -> Policy:
    return parse(json.dumps(histories.policy_text([{"kind": "wip-high", "max": 0}]) | {"lateness": "10s"}))


async def test_two_replicas_work_under_the_map_that_the_visits_stand_under(pool: Pool) -> None:
    policy = a_policy()
    one, other = StageStore(await emptied(pool), policy), StageStore(pool, policy)
    other.offset = 100
    await one.take([moved(1, 1, "7")])
    await other.take([moved(2, 1, "7")])

    assert await one.describe(a_description(pipeline="p", stage="7", name="a").to_json())
    await other.take([moved(3, 2, "7")])

    assert {row[:3] for row in await one.visits()} == {(f"crm:{n}", "p", "a") for n in (1, 2, 3)}


_WAITS = "SELECT count(*) FROM pg_locks WHERE NOT granted"


async def test_a_writer_that_meets_a_refold_writes_under_the_new_map(pool: Pool) -> None:
    store = StageStore(await emptied(pool), a_policy())
    await store.take([moved(1, 1, "7")])
    async with pool.acquire() as connection:
        async with connection.transaction():
            records = store.descriptions(a_description(pipeline="p", stage="7", name="a").to_json())
            await store.processor(store.stage_writer, connection).run(records)
            writing = asyncio.ensure_future(store.take([moved(2, 1, "7")]))
            await eventually(lambda: connection.fetchval(_WAITS))
        await writing

    assert {row[:3] for row in await store.visits()} == {("crm:1", "p", "a"), ("crm:2", "p", "a")}


async def test_a_refold_that_meets_a_writer_waits_and_takes_its_deals_along(pool: Pool) -> None:
    store, other = StageStore(await emptied(pool), a_policy()), StageStore(pool, a_policy())
    other.offset = 100
    await store.take([moved(1, 1, "7")])
    async with pool.acquire() as connection:
        async with connection.transaction():
            writing = other.processor(other.event_writer, connection)
            await writing.run(other.records([moved(2, 1, "7")]))
            describing = asyncio.ensure_future(
                store.describe(a_description(pipeline="p", stage="7", name="a").to_json())
            )
            await eventually(lambda: connection.fetchval(_WAITS))
        assert await describing

    assert {row[:3] for row in await store.visits()} == {("crm:1", "p", "a"), ("crm:2", "p", "a")}


async def test_a_map_that_changed_while_nobody_ran_is_followed_at_the_start(pool: Pool) -> None:
    store = StageStore(await emptied(pool), a_policy())
    await rebuild.follow_policy(pool, store.ruleset, DetectorSettings())
    await store.take([moved(1, 1, "7")])
    await store.evaluate_at(at(5))
    await stage_store.save(pool, stage_fields(a_description(pipeline="p", stage="7", name="a")))

    await rebuild.follow_policy(pool, Ruleset(store.policy), DetectorSettings())

    assert {row[:3] for row in await store.visits()} == {("crm:1", "p", "a")}
    assert await store.problems() == [("wip-high/p/a", at(1), None, 1)]


async def test_a_stage_that_is_said_to_be_lost_closes_the_deal_and_its_problem_goes(pool: Pool) -> None:
    policy = parse(json.dumps(histories.policy_text([{"kind": "wip-high", "max": 0, "clear_hold": "0s"}])))
    store = StageStore(await emptied(pool), policy)
    await store.take([moved(1, 1, "a"), moved(1, 5, "666")])
    await store.evaluate_at(at(10))
    assert {row[2] for row in await store.visits()} == {"a", "666"}

    await store.describe(a_description(pipeline="p", stage="666", outcome="lost", probability=0).to_json())

    assert {row[2] for row in await store.visits()} == {"a"}
    assert await store.problems() == [("wip-high/p/a", at(1), at(5), 1)]


async def test_while_judging_is_held_descriptions_refold_and_judge_nothing(pool: Pool) -> None:
    store = StageStore(await emptied(pool), a_policy())
    await store.evaluate_at(at(0))
    await pool.execute("UPDATE evaluation_state SET held = true")
    await store.take([moved(1, 1, "7")])
    await store.describe(a_description(pipeline="p", stage="7", name="a").to_json())
    await store.evaluate_at(at(10))
    assert {row[:3] for row in await store.visits()} == {("crm:1", "p", "a")}
    assert await store.problems() == []

    await rebuild.rebuild(pool, store.ruleset, DetectorSettings(), 0, lambda done, total: None)
    await store.evaluate_at(at(11))
    assert await store.problems() == [("wip-high/p/a", at(1), None, 1)]


GOOD = a_description(pipeline="p", stage="7", name="a").to_json()


@pytest.mark.parametrize(
    "bad",
    [
        b"{",
        b"[]",
        GOOD.replace(b'"a"', b'"\\u0000"'),
        GOOD.replace(b"2026", b"2999"),
        GOOD.replace(b'"name"', b'"probability":7,"name"'),
        GOOD.replace(b"stage.described", b"stage.imagined"),
        GOOD.replace(b'"7"', f'"{wild(400, 1)}"'.encode()).replace(b'"p"', f'"{wild(400, 2)}"'.encode()),
    ],
)
async def test_a_bad_description_goes_to_the_dead_letters_and_costs_the_others_nothing(bad: bytes, pool: Pool) -> None:
    store = StageStore(await emptied(pool), a_policy())
    other = a_description(pipeline="p", stage="8", name="b").to_json()

    await store.describe(bad, None, other)

    assert [place.stage for place in (await stage_store.load(pool)).stages] == ["8"]
    (row,) = await pool.fetch("SELECT topic, value FROM outbox")
    assert row["topic"] == "pipeline.stages.dead"
    assert DeadEvent.model_validate_json(row["value"]).data.place == "pipeline.stages/0/0"


async def test_the_longest_ids_that_may_come_are_described(pool: Pool) -> None:
    store = StageStore(await emptied(pool), a_policy())
    data = StageData(source=wild(50, 1), pipeline=wild(300, 2), stage=wild(300, 3), name="x")

    await store.describe(StageEvent.of(data, at(0), at(0)).to_json())

    assert [place[:3] for place in (await stage_store.load(pool)).stages] == [(data.source, data.pipeline, data.stage)]


async def test_the_same_name_again_refolds_nothing(pool: Pool) -> None:
    store = StageStore(await emptied(pool), a_policy())

    assert await store.describe(GOOD)
    assert not await store.describe(a_description(9, "2", pipeline="p", stage="7", name="a", order=3).to_json())


ROWS = """
SELECT 'deal', deal, xmin::text FROM deal UNION ALL SELECT 'visit', deal, xmin::text FROM visit
"""


async def test_a_renamed_stage_refolds_the_deals_of_its_own_source_alone(pool: Pool) -> None:
    """Two sources have a stage 7; one gives it the name of a. Late enough that problems began before the lateness."""
    store = StageStore(await emptied(pool), a_policy())
    values = [moved(1, 1, "7"), moved(1, 12, "b"), moved(2, 2, "7"), moved(3, 3, "a"), moved(3, 9, "b")]
    others = [value.replace(b'"crm', b'"other') for value in values]
    await store.take([*values, *others])
    await store.evaluate_at(at(30))
    before = {tuple(row) for row in await pool.fetch(ROWS)}
    description = a_description(pipeline="p", stage="7", name="a")

    assert await store.describe(description.to_json())

    after = {tuple(row) for row in await pool.fetch(ROWS)}
    # Deal 3 of the source was never in the stage.
    assert {row[1] for row in before - after} == {"crm:1", "crm:2"}
    events = [DealEvent.model_validate_json(value) for value in (*values, *others)]
    problems, visits = expected(events, store.policy, at(END), [description])
    assert await store.visits() == visits
    lasting = [problem for problem in problems if problem[2] is None]
    assert [problem for problem in await store.problems() if problem[2] is None] == lasting
    assert lasting == [("wip-high/p/a", at(1), None, 4)]


async def test_a_refold_of_one_source_finds_what_a_rebuild_within_the_lateness_finds(pool: Pool) -> None:
    found = []
    for rebuilds in (False, True):
        store = StageStore(await emptied(pool), a_policy())
        await rebuild.follow_policy(pool, store.ruleset, DetectorSettings())
        await store.take([moved(1, 1, "7"), moved(2, 5, "a"), moved(2, 15, "b"), moved(3, 26, "a"), moved(1, 28, "b")])
        await store.evaluate_at(at(30))
        description = a_description(pipeline="p", stage="7", name="a")
        if rebuilds:
            await stage_store.save(pool, stage_fields(description))
            await rebuild.follow_policy(pool, Ruleset(store.policy), DetectorSettings())
        else:
            await store.describe(description.to_json())
        found.append(
            (await store.problems(), await store.visits(), await pool.fetch("SELECT * FROM bucket ORDER BY 1, 2"))
        )

    assert found[0] == found[1]


async def test_a_refold_takes_deals_from_where_they_were_also_if_they_came_later_than_the_lateness(pool: Pool) -> None:
    found = []
    for rebuilds in (False, True):
        store = StageStore(await emptied(pool), a_policy())
        await rebuild.follow_policy(pool, store.ruleset, DetectorSettings())
        await store.describe(a_description(pipeline="p", stage="7", name="a").to_json())
        await store.take([moved(1, 1, "a")])
        await store.evaluate_at(at(30))
        await store.take([moved(2, 2, "7")])
        await store.evaluate_at(at(31))
        description = a_description(9, "2", pipeline="p", stage="7", name="b")
        if rebuilds:
            await stage_store.save(pool, stage_fields(description))
            await rebuild.follow_policy(pool, Ruleset(store.policy), DetectorSettings())
        else:
            await store.describe(description.to_json())
        found.append((await store.problems(), await pool.fetch("SELECT * FROM bucket ORDER BY 1, 2")))

    assert found[0] == found[1]


async def test_while_one_source_is_refolded_others_are_written(pool: Pool) -> None:
    store, other = StageStore(await emptied(pool), a_policy()), StageStore(pool, a_policy())
    await store.take([moved(1, 1, "7")])
    async with pool.acquire() as connection, connection.transaction():
        records = store.descriptions(a_description(pipeline="p", stage="7", name="a").to_json())
        await store.processor(store.stage_writer, connection).run(records)
        await other.take([moved(2, 1, "7").replace(b'"crm', b'"other')], partition=1)

    assert {row[:3] for row in await store.visits()} == {("crm:1", "p", "a"), ("other:2", "p", "7")}

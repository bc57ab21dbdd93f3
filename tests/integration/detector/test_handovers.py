"""A deal that a merge has made continues where the primary deal was: in any order, and after any repetition."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.detector.evaluate import rebuild
from services.detector.ingest.event_writer import EventWriter
from services.detector.publish.handovers import HandoverPublisher
from services.detector.settings import DetectorSettings
from shared.contracts.events import DealEvent
from shared.flow.ruleset import Ruleset
from shared.policy import Policy, parse
from shared.postgres.pool import Pool
from shared.runtime.clock import ClockKind
from tests.integration.detector.test_stages import StageStore, a_description
from tests.support import histories
from tests.support.detector_store import Store, emptied, expected
from tests.support.examples import examples
from tests.support.histories import END, at
from tests.support.merging import PublishedEvents, continued, histories_with_merges, merged, told
from tests.unit.intake.test_cases import events_of, result_of

# p: a, b, won; q: a, c, and b means lost there.
POLICY = parse(json.dumps(histories.two_pipelines([])))
NEW_BUSINESS = {
    "version": 1,
    "pipelines": {
        "new": {
            "name": "New",
            "owner": {"name": "O", "mail": "o@x.example"},
            "stages": [{"id": "proposal"}],
            "rules": [],
        }
    },
}
# A and B into C, then C and D into E; their own events and nothing else.
CHAIN = [
    told(1, 0, "created", pipeline="p", stage="a"),
    told(2, 0, "created", pipeline="p", stage="b"),
    merged(1, 5, into=3),
    told(2, 5, "merged", into="crm:3"),
    told(3, 5, "created"),
    merged(3, 8, into=5),
    told(5, 8, "created"),
]


async def visits_after(store: Store, values: list[bytes], size: int = 1) -> set[tuple[Any, ...]]:
    """What the detector holds after batches of that size, and after what it has published itself."""
    topic = PublishedEvents(store)
    for first in range(0, len(values), size):
        await store.take(values[first : first + size])
        await topic.settle()
    return await store.visits()


def as_defined(events: list[DealEvent], policy: Policy = POLICY) -> set[tuple[Any, ...]]:
    return expected([*events, *continued(events, policy)], policy, at(END))[1]


def lines(events: list[DealEvent]) -> list[bytes]:
    return [event.to_json() for event in events]


async def test_the_new_deal_continues_in_the_stage_of_the_primary_deal(pool: Pool) -> None:
    store = Store(await emptied(pool), POLICY)
    topic = PublishedEvents(store)
    await store.take(lines(CHAIN[:5]))

    (published,) = [DealEvent.model_validate_json(value) for value in await topic.poll()]
    assert (published.type, published.subject, published.source) == ("andon.deal.moved", "crm:3", "crm")
    assert (published.time, published.translation) == (at(5), 0)
    assert published.data.model_dump(exclude_unset=True) == {"pipeline": "p", "stage": "a", "merged_from": "crm:1"}

    await store.take([published.to_json()])
    assert await store.visits() == {
        ("crm:1", "p", "a", at(0), at(5), True),
        ("crm:2", "p", "b", at(0), at(5), True),
        ("crm:3", "p", "a", at(5), None, True),
    }


@pytest.mark.parametrize("order", list(permutations(range(len(CHAIN))))[::360])
@pytest.mark.parametrize("size", [1, 3, 7])
async def test_a_chain_of_merges_in_any_order(order: tuple[int, ...], size: int, pool: Pool) -> None:
    store = Store(await emptied(pool), POLICY)

    assert await visits_after(store, lines([CHAIN[number] for number in order]), size) == {
        ("crm:1", "p", "a", at(0), at(5), True),
        ("crm:2", "p", "b", at(0), at(5), True),
        ("crm:3", "p", "a", at(5), at(8), True),
        ("crm:5", "p", "a", at(8), None, True),
    }


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories_with_merges(), st.randoms(use_true_random=False))
async def test_in_any_order_and_after_a_replay_visits_are_as_defined(
    pool: Pool, events: list[DealEvent], chance: Any
) -> None:
    log = lines(events)
    store = Store(await emptied(pool), POLICY)
    topic = PublishedEvents(store)
    waiting = log + chance.sample(log, len(log) // 3)
    chance.shuffle(waiting)
    while waiting or (waiting := await topic.poll()):
        size = chance.randint(1, 4)
        await store.take(waiting[:size])
        waiting = waiting[size:]
        # What it publishes comes back at any time, among the others.
        waiting += await topic.poll()
        chance.shuffle(waiting)
    assert await store.visits() == as_defined(events)

    # A new database reads the log, in which its own moves are. Events of different deals come in any order.
    again = Store(await emptied(pool), POLICY)
    whole = log + topic.published
    chance.shuffle(whole)
    assert await visits_after(again, whole, chance.randint(1, 4)) == as_defined(events)


async def test_a_late_event_of_the_primary_deal_corrects_where_the_new_deal_is(pool: Pool) -> None:
    store = Store(await emptied(pool), POLICY)
    topic = PublishedEvents(store)
    await store.take(lines(CHAIN[:5]))
    await topic.settle()
    await store.take(lines([told(1, 4, "moved", stage="b")]))
    await topic.settle()
    assert ("crm:3", "p", "b", at(5), None, True) in await store.visits()

    await store.take(lines([told(1, 4.5, "won")]))
    await topic.settle()
    assert not [visit for visit in await store.visits() if visit[0] == "crm:3"]

    await store.take(lines([told(1, 4.6, "reopened")]))
    await topic.settle()
    assert ("crm:3", "p", "b", at(5), None, True) in await store.visits()

    published = [DealEvent.model_validate_json(value) for value in topic.published]
    assert len({event.id for event in published}) == 1
    assert [(event.translation, event.data.stage) for event in published] == [(0, "a"), (1, "b"), (2, None), (3, "b")]


async def test_a_merge_that_is_translated_again_goes_elsewhere(pool: Pool) -> None:
    store = Store(await emptied(pool), POLICY)
    again = merged(1, 5, into=4).model_copy(update={"translation": 1})

    assert await visits_after(store, lines([*CHAIN[:5], again])) == {
        ("crm:1", "p", "a", at(0), at(5), True),
        ("crm:2", "p", "b", at(0), at(5), True),
        ("crm:4", "p", "a", at(5), None, True),
    }


async def test_a_merge_into_a_deal_that_is_somewhere_leaves_it_there(pool: Pool) -> None:
    store = Store(await emptied(pool), POLICY)
    old = told(3, 1, "created", pipeline="q", stage="c")

    for events in ([*CHAIN[:5], old], [old, *CHAIN[:5]]):
        await emptied(pool)
        assert ("crm:3", "q", "c", at(1), None, True) in await visits_after(store, lines(events))


async def test_what_is_handed_over_again_is_published_once(pool: Pool) -> None:
    store = Store(await emptied(pool), POLICY)
    topic = PublishedEvents(store)
    for _ in range(3):
        await store.take(lines(CHAIN))
        await topic.settle()

    assert len(topic.published) == 2


async def test_an_overtaken_move_that_is_read_late_is_not_answered(pool: Pool) -> None:
    store = Store(await emptied(pool), POLICY)
    topic = PublishedEvents(store)
    await store.take(lines(CHAIN[:5]))
    overtaken = await topic.poll()
    await store.take(lines([told(1, 4, "moved", stage="b")]))
    corrected = await topic.poll()
    for values in (overtaken, corrected, overtaken):
        await store.take(values)
        assert await topic.poll() == []

    assert ("crm:3", "p", "b", at(5), None, True) in await store.visits()


async def test_a_correction_is_published_above_what_a_detector_before_published(pool: Pool) -> None:
    """The database was lost after corrections. The log keeps them, above what is published anew."""
    store = Store(await emptied(pool), POLICY)
    topic = PublishedEvents(store)
    late = [told(1, 3, "moved", stage="b"), told(1, 4, "moved", stage="a"), told(1, 4.5, "moved", stage="b")]
    for event in [*CHAIN[:5], *late[:2]]:
        await store.take(lines([event]))
        await topic.settle()
    assert len(topic.published) == 3

    events = [*CHAIN[:5], *late]
    values = lines(events) + topic.published
    # All at once; the events of the primary deal before its moves; the moves first.
    for size, ordered in ((len(values), values), (len(events), values), (1, values[::-1])):
        again = Store(await emptied(pool), POLICY)
        assert await visits_after(again, ordered, size) == as_defined(events)


async def test_a_move_that_the_log_holds_already_is_taken_back(pool: Pool) -> None:
    store = Store(await emptied(pool), POLICY)
    topic = PublishedEvents(store)
    await store.take(lines(continued(CHAIN[:5], POLICY)))
    await store.take(lines(CHAIN[:5]))
    assert await topic.poll() == [], "it is as the log says"

    await store.take(lines([told(1, 4, "won")]))
    await topic.settle()
    assert not [visit for visit in await store.visits() if visit[0] == "crm:3"]


async def test_a_changed_policy_changes_what_is_handed_over(pool: Pool, tmp_path: Any) -> None:
    written = histories.two_pipelines([])
    settings = DetectorSettings(policy=tmp_path / "policy.yaml")
    store = Store(await emptied(pool), POLICY)
    topic = PublishedEvents(store)
    await store.take(lines(CHAIN[:5]))
    await topic.settle()
    for outcome, stays in (("lost", set()), ("open", {("p", "a", at(5), None)})):
        written["pipelines"]["p"]["stages"][0]["outcome"] = outcome
        other = parse(json.dumps(written))
        await rebuild.rebuild(pool, Ruleset(other), settings, 0, lambda done, total: None)
        store, former = Store(pool, other), store
        store.offset = former.offset
        await store.take(await topic.poll())

        assert {visit[1:5] for visit in await store.visits() if visit[0] == "crm:3"} == stays
        assert await pool.fetchval("SELECT count(*) FROM closing WHERE deal = 'crm:3'") == 0
    assert [json.loads(value)["translation"] for value in topic.published] == [0, 1, 2]


async def test_a_changed_stage_map_changes_what_is_handed_over(pool: Pool) -> None:
    store = StageStore(await emptied(pool), POLICY)
    topic = PublishedEvents(store)
    await store.take(lines([told(1, 0, "created", pipeline="p", stage="s"), merged(1, 5, into=3)]))
    await topic.settle()
    assert ("crm:3", "p", "s", at(5), None, True) in await store.visits()

    for number, (outcome, visits) in enumerate((("lost", 0), ("open", 2), ("won", 0))):
        described = a_description(number, str(number), pipeline="p", stage="s", outcome=outcome)
        await store.describe(described.to_json())
        await topic.settle()
        assert len(await store.visits()) == visits
    assert [json.loads(value)["translation"] for value in topic.published] == [0, 1, 2, 3]
    assert await pool.fetchval("SELECT count(*) FROM closing WHERE deal = 'crm:3'") == 0


async def test_a_replay_publishes_no_moves(pool: Pool) -> None:
    store = Store(await emptied(pool), POLICY)
    handovers = HandoverPublisher("", ClockKind.LOG)
    writer = EventWriter(store.ruleset, store.metrics, lambda record: store.present, handovers=handovers)
    await store.processor(writer).run(store.records(lines(CHAIN)))

    assert await PublishedEvents(store).poll() == []


async def test_two_detectors_that_publish_at_once_agree(pool: Pool) -> None:
    """Two workers: one applies the primary deal's events, the other at the same time moves from an earlier database."""
    events = [*CHAIN[:5], told(1, 4, "moved", stage="b")]
    stale = [one.model_copy(update={"translation": 3}) for one in continued(CHAIN[:5], POLICY)]
    for _ in range(5):
        store = Store(await emptied(pool), POLICY)
        topic = PublishedEvents(store)
        await asyncio.gather(store.take(lines(events[:3] + events[5:])), store.take(lines(stale), partition=1))
        await topic.settle()
        await store.take(lines(events))
        assert await store.visits() == as_defined(events)


async def test_the_case_of_a_merge_as_it_was_received(pool: Pool) -> None:
    store = Store(await emptied(pool), parse(json.dumps(NEW_BUSINESS)))
    for name in ("04-hubspot-merge-new-id.a", "04-hubspot-merge-new-id.b"):
        await visits_after(store, [json.dumps(event).encode() for event in events_of(result_of(name))], 9)

    created, merge = datetime(2026, 2, 26, tzinfo=UTC), datetime(2026, 3, 10, 2, tzinfo=UTC)
    assert await store.visits() == {
        ("hubspot:1", "new", "proposal", created, merge, True),
        ("hubspot:2", "new", "proposal", created, merge, True),
        ("hubspot:3", "new", "proposal", merge, None, True),
    }


async def test_its_own_moves_are_no_sign_of_life_of_the_source(pool: Pool) -> None:
    store = Store(await emptied(pool), POLICY)
    await visits_after(store, lines(CHAIN), len(CHAIN))

    heard = await pool.fetchval("SELECT sum(cardinality(instants)) FROM new_receipt")
    assert heard == len(CHAIN)

"""Learned limits, `aging-learned` and cause classes live: in any order and batches, they are those of what-if."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import cache
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.detector.evaluate import rebuild
from services.detector.ingest.stage_marks import stage_of
from services.detector.settings import DetectorSettings
from shared.contracts.events import DealEvent
from shared.flow.checkpoints import BEGINNING
from shared.flow.statistics.relocks import Relock
from shared.flow.what_if import Found
from shared.policy import Policy, parse
from shared.postgres.pool import Pool
from shared.runtime.instants import micros
from tests.support import histories
from tests.support.detector_store import WIP, emptied, moved
from tests.support.learning_store import (
    Intervals,
    LearningStore,
    expected_intervals,
    expected_learned,
    intervals_of,
    what_if,
)
from tests.support.outside import only_whole
from tests.support.short_shop import STEADY_SINCE, UNTIL, shop_policy, short_shop
from tests.support.variation_cases import same

BATCH = 400
RELOCKED = [Relock("sales/legal/wip_end", week, 12, "for a test") for week in (None, "2023-W20")]


@cache
def shop() -> tuple[list[DealEvent], Policy, Found]:
    """With what-if's answer."""
    return short_shop(), shop_policy(), what_if(short_shop(), shop_policy(), UNTIL)


def batches(events: Sequence[DealEvent], chance: Random, late: timedelta) -> Iterator[tuple[list[DealEvent], datetime]]:
    """Batches, each with the instant to evaluate at: one event in ten comes up to `late` later, one in ten twice."""
    arrivals = []
    for event in events:
        delay = chance.random() * late if chance.random() < 0.1 else timedelta()
        arrivals.append((event.time + delay, len(arrivals), event))
        if chance.random() < 0.1:
            arrivals.append((event.time + delay + chance.random() * late, len(arrivals), event))
    arrivals.sort()
    for start in range(0, len(arrivals), BATCH):
        part = arrivals[start : start + BATCH]
        yield [event for _, _, event in part], min(part[-1][0], UNTIL)


async def play(pool: Pool, policy: Policy, events: Sequence[DealEvent], late: timedelta) -> LearningStore:
    """Two replicas in turn live through the events."""
    await emptied(pool)
    replicas = [LearningStore(pool, policy), LearningStore(pool, policy)]
    for number, (part, at) in enumerate(batches(events, Random(7), late)):
        store = replicas[number % 2]
        await store.take([event.to_json() for event in part], partition=number % 2)
        await store.evaluate_at(at)
        if number % 3 == 0:
            await store.study()
    await replicas[0].evaluate_at(UNTIL)
    await replicas[0].study()
    return replicas[0]


async def assert_as_what_if(store: LearningStore, found: Found, since: datetime | None = None) -> None:
    """Intervals and causes, of problems that opened since an instant; what is learned; chances."""
    keys = [rule.key for rule in store.ruleset.rules]
    keys += [rule.key for rule in store.ruleset.learned_rules.values()]
    expected = expected_intervals(found, keys)
    assert {key.split("/")[0] for key in expected} == {"aging", "aging-learned", "stalled", "wip-high", "wip-low"}
    assert {one[3] for some in expected.values() for one in some} == {"special", "common", "unknown"}
    assert opened_since(await store.stored_intervals(), since) == opened_since(expected, since)
    published = intervals_of(await store.messages())
    assert without_open_peaks(opened_since(published, since)) == without_open_peaks(opened_since(expected, since))
    assert same(await store.learned(), expected_learned(found))
    wanted = {rule.key: found.statistics.chances[rule.key].fields() for rule in store.ruleset.rules}
    assert same(await store.chances(), wanted)


def causes_of(found: Found, key: str) -> list[str]:
    return [one.cause.value for one in found.findings[key] if one.cause is not None]


def opened_since(found: Intervals, since: datetime | None) -> Intervals:
    kept = {key: [one for one in some if since is None or one[0] >= since] for key, some in found.items()}
    return {key: some for key, some in kept.items() if some}


def without_open_peaks(found: Intervals) -> Intervals:
    """The peak of an open problem is published when it has grown by half."""
    return {key: [one if one[1] else (*one[:2], 0, one[3]) for one in some] for key, some in found.items()}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories.events(ends=True) | histories.wandering(), st.randoms(use_true_random=False))
async def test_what_was_believed_for_a_while_is_stored(pool: Pool, events: list[DealEvent], chance: Random) -> None:
    policy = parse(json.dumps(histories.two_pipelines(WIP)))
    store = LearningStore(await emptied(pool), policy)
    mixed = events + chance.sample(events, len(events) // 3)
    chance.shuffle(mixed)
    for start in range(0, len(mixed), 3):
        await store.take([event.to_json() for event in mixed[start : start + 3]])

    found = what_if(events, policy, histories.START + timedelta(days=1000))
    watched = [(one.deal, *w) for one in found.deals for w in one.withdrawn if store.ruleset.knows(*stage_of(w.visit))]
    expected = [(deal, visit.pipeline, visit.stage, visit.entered, visit.since, at) for deal, visit, at in watched]
    assert await store.withdrawn() == sorted(expected)
    assert await store.since() == sorted((deal, visit.entered, visit.since) for deal, visit in found.visits)


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (0, 1, 0)], ids=["in order", "late", "twice"])
async def test_a_visit_of_another_pipeline_was_believed_until_that_was_told(pool: Pool, order: Sequence[int]) -> None:
    document = histories.policy_text(WIP)
    document["pipelines"]["q"] = {**document["pipelines"]["p"], "name": "Q", "stages": [{"id": "z"}], "rules": []}
    store = LearningStore(await emptied(pool), parse(json.dumps(document)))
    told = [json.loads(moved(1, 0, "a")), json.loads(moved(1, 10, "a"))]
    del told[0]["data"]["pipeline"], told[1]["data"]["stage"]
    told[1] |= {"type": "andon.deal.changed", "data": {"pipeline": "q"}}
    for number in order:
        await store.take([json.dumps(told[number]).encode()])

    start, later = micros(histories.START), micros(histories.START) + 10_000_000
    assert await store.withdrawn() == [("crm:1", "p", "a", start, start, later)]
    assert await store.since() == [("crm:1", start, later)]


@only_whole()
async def test_in_order_the_shop_is_judged_as_by_what_if(pool: Pool) -> None:
    events, policy, found = shop()

    await assert_as_what_if(await play(pool, policy, events, timedelta()), found)


@pytest.mark.slow
async def test_late_events_and_relocks_are_judged_as_by_what_if(pool: Pool) -> None:
    events, policy, found = shop()

    store = await play(pool, policy, events, timedelta(days=6))
    await assert_as_what_if(store, found, STEADY_SINCE)
    await rebuild.rebuild(pool, store.ruleset, DetectorSettings(), BEGINNING, lambda done, total: None)
    await store.study()
    await assert_as_what_if(store, found)
    await store.relock(RELOCKED)
    await store.study()
    relocked = what_if(events, policy, UNTIL, RELOCKED)
    assert causes_of(relocked, "wip-high/sales/legal") != causes_of(found, "wip-high/sales/legal")
    await assert_as_what_if(store, relocked)

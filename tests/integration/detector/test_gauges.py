"""What the detector shows of stages and sources; each look with metrics of a process that has just started."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from prometheus_client import CollectorRegistry

from services.detector.metrics import DetectorMetrics
from services.detector.publish.gauges import UNKNOWN_SHOWN, describe_stages, refresh_gauges
from services.detector.publish.receipts import ReceiptPublisher
from shared.policy import parse
from shared.postgres.pool import Pool
from shared.runtime.clock import ClockKind
from tests.support import histories
from tests.support.detector_store import Store, emptied, moved
from tests.support.histories import START

LAST_EVENT = "andon_source_last_event_timestamp_seconds"
PROBLEM_OPEN = "andon_flow_problem_open_timestamp_seconds"
UNKNOWN = "andon_flow_unknown_stage_deals"


def store_of(pool: Pool, rules: list[dict[str, Any]]) -> Store:
    return Store(pool, parse(json.dumps(histories.policy_text(rules))))


async def shown(store: Store, name: str, clock: ClockKind = ClockKind.WALL) -> dict[tuple[str, ...], float]:
    """The samples of one metric by their labels, in a new process."""
    registry = CollectorRegistry()
    metrics = DetectorMetrics(registry)
    describe_stages(store.ruleset, metrics)
    await refresh_gauges(store.pool, store.ruleset, metrics, clock, datetime.now(UTC))
    return {
        tuple(sample.labels.values()): sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == name
    }


def received(event: bytes, at: datetime, source: str = "crm") -> bytes:
    """The event of a source as intake writes it."""
    read = json.loads(event)
    deal = read["subject"].partition(":")[2]
    return json.dumps(read | {"receivedat": at.isoformat(), "source": source, "subject": f"{source}:{deal}"}).encode()


async def publish_receipts(pool: Pool) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await ReceiptPublisher("").publish_some(connection)


async def test_a_new_process_knows_when_each_source_was_last_heard(pool: Pool) -> None:
    store = store_of(await emptied(pool), [])
    hours = [START + timedelta(hours=n) for n in range(3)]
    await store.take([received(moved(1, 1, "a"), hours[1]), received(moved(2, 1, "a"), hours[2])])
    await publish_receipts(pool)
    # What came late says nothing of the last one.
    await store.take([received(moved(3, 1, "a"), hours[0]), received(moved(4, 1, "a"), hours[0], "other")])
    await publish_receipts(pool)

    assert await shown(store, LAST_EVENT) == {("crm",): hours[2].timestamp(), ("other",): hours[0].timestamp()}
    assert await shown(store, LAST_EVENT, ClockKind.LOG) == {}, "a replayed history is old"


async def test_nothing_is_shown_of_sources_before_the_first_event(pool: Pool) -> None:
    assert await shown(store_of(await emptied(pool), []), LAST_EVENT) == {}


async def test_stages_that_the_policy_lacks_are_named_while_they_hold_deals(pool: Pool) -> None:
    store = store_of(await emptied(pool), [])
    await store.take([moved(1, 1, "a"), moved(2, 1, "trial"), moved(3, 1, "trial"), moved(4, 1, "demo")])
    assert await shown(store, UNKNOWN) == {("p", "trial"): 2, ("p", "demo"): 1}

    await store.take([moved(4, 5, "a")])
    assert await shown(store, UNKNOWN) == {("p", "trial"): 2}


async def test_of_many_such_stages_those_with_most_deals_are_named(pool: Pool) -> None:
    store = store_of(await emptied(pool), [])
    stages = range(UNKNOWN_SHOWN + 5)
    await store.take([moved(100 * stage + deal, 1, f"s{stage}") for stage in stages for deal in range(stage + 1)])

    named = await shown(store, UNKNOWN)
    assert named == {("p", f"s{stage}"): stage + 1 for stage in stages[5:]}


async def test_stages_and_limits_of_the_policy_are_shown_before_the_first_deal(pool: Pool) -> None:
    rules = [{"kind": "wip-high", "max": 7}, {"kind": "aging", "limit": "2h"}]
    store = store_of(await emptied(pool), rules)

    assert await shown(store, "andon_stage_info") == {("p", "a", "P", "a", "0"): 1, ("p", "b", "P", "b", "1"): 1}
    assert await shown(store, "andon_flow_limit") == {("p", "a", "wip-high"): 7, ("p", "a", "aging"): 7200}


async def test_a_problem_is_shown_since_it_opened_until_it_clears(pool: Pool) -> None:
    rules = [{"kind": "wip-high", "max": 1}, {"kind": "wip-high", "max": 1, "stage": "b", "mode": "monitor"}]
    store = store_of(await emptied(pool), rules)
    await store.take([moved(deal, 1 + deal, stage) for deal, stage in enumerate("aabb")])
    await store.evaluate_at(START + timedelta(seconds=10))
    opened = {("wip-high", "p", "a"): (START + timedelta(seconds=2)).timestamp()}
    assert await shown(store, PROBLEM_OPEN) == opened

    await store.take([moved(1, 12, "b")])
    await store.evaluate_at(START + timedelta(seconds=20))
    assert await shown(store, PROBLEM_OPEN) == {}


async def test_events_are_timed_from_their_receipt_until_they_are_applied(pool: Pool) -> None:
    store = store_of(await emptied(pool), [])
    now = datetime.now(UTC)
    fresh = [received(moved(deal, 1, "a"), now) for deal in (1, 2, 3)]
    old = received(moved(4, 1, "a"), now - timedelta(minutes=2))
    await store.take([*fresh, old])
    # Known already.
    await store.take([received(moved(1, 1, "a"), now - timedelta(hours=1))])

    def seen(bound: str) -> float | None:
        return store.registry.get_sample_value("andon_event_seen_seconds_bucket", {"le": bound})

    assert [seen("60.0"), seen("300.0"), seen("+Inf")] == [3, 4, 4]

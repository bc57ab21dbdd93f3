"""What `flow.now` gets: how each stage stands at the watermark, once per change, whichever replica publishes."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from services.detector.publish.loops import NowLoop
from services.detector.publish.now import BEAT_SECONDS, EVERY_SECONDS
from services.detector.settings import DetectorSettings
from shared.contracts.now import MAX_OPEN, NowData, NowEvent
from shared.policy import parse
from shared.postgres.pool import Pool
from tests.support import histories
from tests.support.detector_store import Store, emptied, moved
from tests.support.histories import START

RULES: list[dict[str, Any]] = [
    {"kind": "wip-high", "max": 1, "clear_hold": "1h"},
    {"kind": "wip-low", "min": 1, "hold": "2h"},
    {"kind": "aging", "limit": "1d", "count": 2},
    {"kind": "stalled", "limit": "2d"},
]


def second(number: float) -> datetime:
    return START + timedelta(seconds=number)


class NowStore(Store):
    """A store that publishes `flow.now`, as two replicas."""

    def __init__(self, pool: Pool, rules: list[dict[str, Any]]) -> None:
        super().__init__(pool, parse(json.dumps(histories.policy_text(rules))))
        settings = DetectorSettings(policy="policy.yaml")
        self.replicas = [NowLoop(pool, self.ruleset, settings, lambda: None) for _ in range(2)]

    async def told_now(self, ago: float = EVERY_SECONDS) -> dict[str, NowData]:
        """What is published, by both replicas at once, when the last time was `ago` seconds ago; by key."""
        await self.pool.execute("TRUNCATE outbox")
        await self.pool.execute(
            "UPDATE now_published SET published_at = clock_timestamp() - $1::interval", timedelta(seconds=ago)
        )
        await asyncio.gather(*(replica.run_once() for replica in self.replicas))
        rows = await self.pool.fetch("SELECT key, value FROM outbox WHERE topic = 'flow.now'")
        events = [NowEvent.model_validate_json(row["value"]) for row in rows]
        assert [row["key"].decode() for row in rows] == [event.data.key for event in events]
        assert len({event.data.key for event in events}) == len(events), "twice"
        return {event.data.key: event.data for event in events}


@pytest.fixture
async def store(pool: Pool) -> NowStore:
    return NowStore(await emptied(pool), RULES)


async def test_nothing_is_told_before_there_is_a_watermark(store: NowStore) -> None:
    assert await store.told_now() == {}


async def test_counts_conditions_and_what_comes_next(store: NowStore) -> None:
    await store.take([moved(1, 0, "a"), moved(2, 60, "a")])
    await store.evaluate_at(second(120))

    now = (await store.told_now())["p/a"]
    assert (now.as_of, now.wip, now.oldest_entered_at) == (second(120), 2, START)
    assert now.open_since == (START, second(60))
    high, low, aging, stalled = now.rules
    assert (high.key, high.count, high.threshold, high.breached) == ("wip-high/p/a", 2, 1, True)
    assert (high.since, high.problem_opened_at, high.opens_at, high.clears_at) == (second(60), second(60), None, None)
    assert high.evidence is not None
    assert [deal.deal for deal in high.evidence.deals] == ["crm:1", "crm:2"]
    assert (low.count, low.breached, aging.count, stalled.count) == (2, False, 0, 0)
    assert aging.evidence is None

    await store.take([moved(1, 180, "b"), moved(2, 240, "b")])
    await store.evaluate_at(second(300))

    now = (await store.told_now())["p/a"]
    high, low, *_ = now.rules
    assert (now.wip, now.oldest_entered_at, now.open_since) == (0, None, ())
    assert (high.count, high.breached, high.since) == (0, False, second(180))
    assert (high.problem_opened_at, high.peak, high.clears_at) == (second(60), 2, second(180 + 3600))
    assert high.evidence is not None
    assert high.evidence.deals == ()
    assert (low.breached, low.since, low.opens_at) == (True, second(240), second(240 + 7200))


async def test_only_what_differs_is_published(store: NowStore) -> None:
    await store.take([moved(1, 0, "a"), moved(2, 0, "b")])
    await store.evaluate_at(second(60))
    assert {"p/a", "p/b"} <= set(await store.told_now())

    await store.evaluate_at(second(120))
    assert await store.told_now() == {}
    await store.take([moved(2, 130, "a")])
    await store.evaluate_at(second(180))
    assert set(await store.told_now()) == {"p/a", "p/b"}


async def test_deals_ahead_of_the_watermark_are_published_once_it_reaches_them(
    store: NowStore,
) -> None:
    await store.take([moved(1, 0, "a"), moved(2, 60, "a")])
    await store.evaluate_at(second(120))
    # Another deal takes the place of the second, later than the watermark.
    await store.take([moved(2, 180, "b"), moved(3, 180, "a")])
    ahead = (await store.told_now())["p/a"].rules[0]
    await store.evaluate_at(second(240))
    caught_up = (await store.told_now())["p/a"].rules[0]

    assert (ahead.count, caught_up.count) == (2, 2)
    assert caught_up.evidence is not None
    assert [deal.deal for deal in caught_up.evidence.deals] == ["crm:1", "crm:3"]


async def test_a_deal_that_takes_the_place_of_another_is_published(store: NowStore) -> None:
    await store.take([moved(1, 0, "a"), moved(2, 60, "a")])
    await store.evaluate_at(second(120))
    await store.told_now()
    # As many deals, the same oldest, and as many changes of each.
    await store.take([moved(2, 180, "b"), moved(3, 180, "a")])
    await store.evaluate_at(second(240))

    evidence = (await store.told_now())["p/a"].rules[0].evidence
    assert evidence is not None
    assert [deal.deal for deal in evidence.deals] == ["crm:1", "crm:3"]


async def test_open_deals_of_a_quiet_stage_are_published_where_one_takes_the_place_of_another(store: NowStore) -> None:
    """No rule of the stage is breached, and its count stays."""
    await store.take([moved(1, 0, "b"), moved(2, 60, "b")])
    await store.evaluate_at(second(120))
    assert (await store.told_now())["p/b"].open_since == (START, second(60))

    await store.take([moved(2, 180, "a"), moved(3, 180, "b")])
    await store.evaluate_at(second(240))
    now = (await store.told_now())["p/b"]
    assert (now.wip, now.open_since) == (2, (START, second(180)))

    # Known late: neither the oldest nor the newest.
    await store.take([moved(4, 90, "b"), moved(5, 190, "b")])
    await store.evaluate_at(second(300))
    await store.told_now()
    await store.take([moved(4, 200, "a"), moved(6, 80, "b")])
    await store.evaluate_at(second(360))
    now = (await store.told_now())["p/b"]
    assert (now.wip, now.open_since) == (4, (START, second(80), second(180), second(190)))


async def test_of_very_many_open_deals_the_oldest_are_published(store: NowStore) -> None:
    await store.take([moved(n, n, "b") for n in range(MAX_OPEN + 3)])
    await store.evaluate_at(second(3600))
    now = (await store.told_now())["p/b"]
    assert (now.wip, len(now.open_since), now.open_since[-1]) == (MAX_OPEN + 3, MAX_OPEN, second(MAX_OPEN - 1))

    await store.evaluate_at(second(3660))
    assert await store.told_now() == {}


async def test_a_rule_that_falls_due_is_published_without_an_event(store: NowStore) -> None:
    await store.take([moved(1, 0, "a"), moved(2, 0, "a")])
    await store.evaluate_at(second(60))
    await store.told_now()

    await store.evaluate_at(second(86_400))
    aging = (await store.told_now())["p/a"].rules[2]
    assert (aging.count, aging.breached, aging.since) == (2, True, second(86_400))


async def test_a_stage_is_published_no_more_often_than_bounded(store: NowStore) -> None:
    await store.take([moved(1, 0, "a")])
    await store.evaluate_at(second(60))
    await store.told_now()

    await store.take([moved(2, 70, "a")])
    await store.evaluate_at(second(80))
    assert await store.told_now(ago=EVERY_SECONDS - 2) == {}
    assert (await store.told_now())["p/a"].wip == 2


async def test_while_nothing_changes_one_stage_shows_that_judgement_goes_on(store: NowStore) -> None:
    await store.take([moved(1, 0, "a")])
    await store.evaluate_at(second(60))
    await store.told_now()

    await store.evaluate_at(second(70))
    assert await store.told_now(ago=BEAT_SECONDS - 2) == {}
    beat = await store.told_now(ago=BEAT_SECONDS)
    assert [data.as_of for data in beat.values()] == [second(70)]


async def test_a_deal_that_is_shown_and_changes_its_amount_is_published(store: NowStore) -> None:
    await store.take([moved(1, 0, "a"), moved(2, 0, "a")])
    await store.evaluate_at(second(60))
    await store.told_now()
    changed = {
        "specversion": "1.0",
        "id": "c",
        "source": "crm",
        "type": "andon.deal.changed",
        "subject": "crm:2",
        "time": second(70).isoformat(),
        "data": {"amount": "700", "currency": "EUR"},
    }

    await store.take([json.dumps(changed).encode()])
    await store.evaluate_at(second(80))

    found = (await store.told_now())["p/a"].rules[0].evidence
    assert found is not None
    assert {deal.deal: deal.amount for deal in found.deals} == {"crm:1": None, "crm:2": "700"}


async def test_of_long_names_as_many_deals_as_fit_are_published(pool: Pool) -> None:
    store = NowStore(await emptied(pool), [{"kind": "wip-high", "max": 0}])
    named = [
        {
            "specversion": "1.0",
            "id": f"{n}",
            "source": "crm",
            "type": "andon.deal.created",
            "subject": f"crm:{n}",
            "time": START.isoformat(),
            "data": {"pipeline": "p", "stage": "a", "name": "w" * 4000},
        }
        for n in range(200)
    ]
    await store.take([json.dumps(one).encode() for one in named])
    await store.evaluate_at(second(60))

    (rule,) = (await store.told_now())["p/a"].rules
    assert rule.count == 200
    assert rule.evidence is not None
    assert 10 < len(rule.evidence.deals) < 200

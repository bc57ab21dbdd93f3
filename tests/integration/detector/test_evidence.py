"""The deals behind a problem: an exact count, the worst and a sample, without reading every deal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from hashlib import md5
from random import Random
from typing import Any, NamedTuple

import pytest

from services.detector.publish import evidence
from shared.contracts.events import DealEvent
from shared.flow.packed_states import pack
from shared.flow.rules import Rule
from shared.flow.ruleset import Ruleset
from shared.flow.visits import DealState
from shared.policy import parse
from shared.postgres.pool import Connection, Pool
from shared.runtime.instants import micros, moment
from tests.support.detector_store import Store, emptied
from tests.support.histories import START

HOUR = 3_600_000_000
NOW = micros(START + timedelta(days=20))
RULES = [
    {"kind": "aging", "limit": "3d"},
    {"kind": "stalled", "limit": "2d"},
    {"kind": "wip-high", "max": 3},
]


def rule_of(written: dict[str, Any], clock: str) -> Rule:
    hours = {"timezone": "Europe/Berlin", "days": ["mon", "tue", "wed", "thu", "fri"], "hours": ["09:00-17:00"]}
    pipeline = {
        "name": "P",
        "owner": {"name": "O", "mail": "o@x.example"},
        "clock": clock,
        "stages": [{"id": "a"}],
        "rules": [written | {"stage": "a"}],
    }
    document = {"version": 1, "timezone": "Europe/Berlin", "clocks": {"office": hours}, "pipelines": {"p": pipeline}}
    return Ruleset(parse(json.dumps(document))).rules[0]


class OpenDeal(NamedTuple):
    """A deal in stage a: when it entered, last progressed, and when its next step is planned."""

    deal: str
    entered: int
    progressed: int
    step: int | None = None


class CountingConnection:
    """Counts the rows that go to the client."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self.rows = connection, 0

    async def fetch(self, query: str, *values: Any) -> list[Any]:
        rows = list(await self._connection.fetch(query, *values))
        self.rows += len(rows)
        return rows


async def insert(pool: Pool, deals: Sequence[OpenDeal]) -> None:
    await emptied(pool)
    names = [deal.deal for deal in deals]
    await pool.execute(
        "INSERT INTO visit (deal, entered, pipeline, stage, known, progressed)"
        " SELECT deal, entered, 'p', 'a', true, progressed FROM"
        " unnest($1::text[], $2::timestamptz[], $3::timestamptz[]) AS w (deal, entered, progressed)",
        names,
        [moment(deal.entered) for deal in deals],
        [moment(deal.progressed) for deal in deals],
    )
    await pool.execute(
        "INSERT INTO deal (deal, state) SELECT * FROM unnest($1::text[], $2::bytea[])",
        names,
        [pack(DealState(step=deal.step, attributes={"name": f"N {deal.deal}"})) for deal in deals],
    )


def expected(rule: Rule, deals: Sequence[OpenDeal], seed: str) -> tuple[int, list[str], list[str]]:
    """What counts, by trying each deal: total, worst and sample."""
    if rule.kind == "stalled":
        assert rule.limit is not None
        quiet = [d for d in deals if rule.clock.due(d.progressed, rule.limit) <= NOW and (d.step or 0) <= NOW]
        names = [d.deal for d in sorted(quiet, key=lambda d: (d.progressed, d.deal))]
    else:
        here = [d for d in deals if d.entered <= NOW]
        over = [d for d in here if rule.limit is None or rule.clock.due(d.entered, rule.limit) <= NOW]
        names = [d.deal for d in sorted(over, key=lambda d: (d.entered, d.deal))]
    worst = names[:5] if len(names) > 10 else names
    drawn = set(sorted(set(names) - set(worst), key=lambda name: md5(f"{name}{seed}".encode()).hexdigest())[:5])
    return len(names), worst, [name for name in names if name in drawn]


@pytest.mark.parametrize("clock", ["calendar", "office"])
@pytest.mark.parametrize("written", RULES, ids=[str(rule["kind"]) for rule in RULES])
async def test_worst_and_sample_are_those_of_the_definition(pool: Pool, written: dict[str, Any], clock: str) -> None:
    rule, chance = rule_of(written, clock), Random(7)
    for size in (0, 3, 60):
        # Whole hours, so that deals tie with each other and with the limit.
        entered = [NOW - chance.randrange(-12, 400) * HOUR for _ in range(size)]
        deals = [
            OpenDeal(
                f"crm:{n}",
                at,
                at + chance.choice([0, 0, 24, 100]) * HOUR,
                chance.choice([None, NOW, NOW + 1, NOW - HOUR]),
            )
            for n, at in enumerate(entered)
        ]
        await insert(pool, deals)

        found = await evidence.gather(pool, rule, START.microsecond, NOW)

        names = ([d.deal for d in found.worst], [d.deal for d in found.sample])
        assert (found.total, *names) == expected(rule, deals, f"{rule.key}@{START.microsecond}")
        by_name = {d.deal: d for d in deals}
        for shown in (*found.worst, *found.sample):
            deal = by_name[shown.deal]
            assert shown.name == f"N {deal.deal}"
            assert (shown.entered_at, shown.last_movement_at) == (moment(deal.entered), moment(deal.progressed))
            assert shown.next_step_at == (None if deal.step is None else moment(deal.step))


@pytest.mark.parametrize("count", [0, 1, 10, 11, 30])
async def test_no_deal_comes_twice_and_the_rest_completes_them(pool: Pool, count: int) -> None:
    rule = rule_of({"kind": "wip-high", "max": 0}, "calendar")
    await insert(pool, [OpenDeal(f"crm:{n}", NOW - n * HOUR, NOW) for n in range(count)])

    whole = await evidence.gather(pool, rule, 1, NOW, max_rest=100)
    few = await evidence.gather(pool, rule, 1, NOW)

    assert sorted(deal.deal for deal in whole.deals) == sorted(f"crm:{n}" for n in range(count))
    assert (len(whole.worst), len(whole.sample)) == ((5, 5) if count > 10 else (count, 0))
    assert few == whole.model_copy(update={"rest": ()})
    assert len((await evidence.gather(pool, rule, 1, NOW, max_rest=7)).rest) == min(7, max(0, count - 10))


@pytest.mark.parametrize("written", RULES, ids=[str(rule["kind"]) for rule in RULES])
async def test_few_rows_are_read_of_many_deals(pool: Pool, written: dict[str, Any]) -> None:
    rule = rule_of(written, "calendar")
    long_ago = [NOW - 10 * 24 * HOUR - n * 1000 for n in range(8000)]
    deals = [OpenDeal(f"crm:{n}", at, at, NOW + HOUR if n % 80 == 0 else None) for n, at in enumerate(long_ago)]
    await insert(pool, deals)

    async with pool.acquire() as connection:
        counting = CountingConnection(connection)
        found = await evidence.gather(counting, rule, 1, NOW)

    names = ([d.deal for d in found.worst], [d.deal for d in found.sample])
    assert (found.total, *names) == expected(rule, deals, f"{rule.key}@1")
    assert found.total == (7900 if rule.kind == "stalled" else 8000)
    assert counting.rows <= 10


async def test_a_problem_of_many_deals_is_published_with_their_exact_count(pool: Pool) -> None:
    policy = {"kind": "aging", "limit": "3d", "count": 10, "stage": "a"}
    pipeline = {"name": "P", "owner": {"name": "O", "mail": "o@x.example"}, "stages": [{"id": "a"}], "rules": [policy]}
    document = {"version": 1, "timezone": "UTC", "pipelines": {"p": pipeline}}
    store = Store(await emptied(pool), parse(json.dumps(document)))
    created = [
        DealEvent.model_validate(
            {
                "id": f"{n}",
                "source": "crm",
                "type": "andon.deal.created",
                "subject": f"crm:{n}",
                "time": START,
                "data": {"pipeline": "p", "stage": "a"},
            }
        ).to_json()
        for n in range(8000)
    ]

    await store.take(created)
    await store.evaluate_at(START + timedelta(days=4))

    (event,) = await store.told()
    assert (event.data.count, event.data.peak) == (8000, 8000)
    assert event.data.evidence is not None
    assert event.data.evidence.total == 8000

"""What cannot be read or kept goes to the dead letters and costs the others nothing; long and odd ids are kept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.detector.app import Detector
from services.detector.settings import DetectorSettings
from shared.contracts.dead import DeadEvent
from shared.contracts.envelope import INDEXED_BYTES
from shared.contracts.events import DealEvent
from shared.policy import parse
from shared.postgres.pool import Pool
from shared.runtime.instants import micros
from tests.support import histories
from tests.support.detector_store import WIP, Store, emptied, expected, moved
from tests.support.histories import END, at, wild

GOOD = moved(1, 1, "a")


def with_ids(deal: str, number: str, pipeline: str, stage: str) -> bytes:
    said = json.loads(GOOD) | {"subject": deal, "id": number, "data": {"pipeline": pipeline, "stage": stage}}
    return json.dumps(said).encode()


BAD = {
    "empty": b"",
    "not JSON": b"{",
    "not UTF-8": b'{"id": "\xff"}',
    "nested": b"[" * 10_000 + b"]" * 10_000,
    "an array": b"[]",
    "a big number": GOOD.replace(b'"1.0"', b"1" * 400),
    "NUL": GOOD.replace(b'"crm:1"', b'"crm:\\u0000"'),
    "no zone": GOOD.replace(b"+00:00", b""),
    "no time": GOOD.replace(b"2026-03-02", b"2026-13-02"),
    "far past": GOOD.replace(b"2026-03-02T09", b"0000-03-02T09"),
    "outside of the calendar": GOOD.replace(b"2026-03-02T09", b"0001-01-01T00").replace(b"+00:00", b"+14:00"),
    "before what can be counted": GOOD.replace(b"2026-03-02", b"0001-03-02"),
    "unknown type": GOOD.replace(b"deal.moved", b"deal.exploded"),
    "long id": GOOD.replace(b"1-1-0", b"1" * 500),
    "future": GOOD.replace(b"2026-03-02", b"2999-03-02"),
    "amount": GOOD.replace(b'"stage"', b'"amount": "much", "stage"'),
    "more bytes than an index takes": with_ids(wild(400, 1), wild(400, 2), "p", "a"),
    "names of more": with_ids("crm:9", "1", wild(400, 3), wild(400, 4)),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
async def test_a_bad_record_goes_to_the_dead_letters_and_costs_the_others_nothing(bad: bytes, pool: Pool) -> None:
    store = Store(await emptied(pool), parse(json.dumps(histories.policy_text(WIP))))

    await store.take([moved(7, 1, "a"), bad, moved(8, 1, "a")], key=None, headers=(("h", b"\xff\xfe"), ("n", None)))

    assert {row[0] for row in await store.visits()} == {"crm:7", "crm:8"}
    (row,) = await pool.fetch("SELECT topic, value FROM outbox WHERE topic LIKE '%dead'")
    letter = DeadEvent.model_validate_json(row["value"])
    assert letter.data.place == "pipeline.events/0/1"
    assert letter.data.detail


async def test_events_that_alone_cannot_be_kept_are_put_aside(pool: Pool) -> None:
    store = Store(await emptied(pool), parse(json.dumps(histories.policy_text(WIP))))
    replica = Detector(DetectorSettings(), store.ruleset, pool, CollectorRegistry())
    good = [moved(n, second, stage) for n in range(20) for second, stage in ((1, "a"), (5, "b"))]
    values = [*good[:7], moved(21, 1, "bad"), *good[7:30], moved(3, 9, "bad"), *good[30:]]

    await pool.execute("ALTER TABLE visit ADD CONSTRAINT no_bad_ones CHECK (stage <> 'bad')")
    try:
        await replica.events.run(store.records(values))
    finally:
        await pool.execute("ALTER TABLE visit DROP CONSTRAINT no_bad_ones")

    def right(some: list[bytes]) -> Any:
        return expected([DealEvent.model_validate_json(one) for one in some], store.policy, at(END))[1]

    assert await store.visits() == right(good)
    dead = [DeadEvent.model_validate_json(r[0]).data for r in await pool.fetch("SELECT value FROM outbox ORDER BY id")]
    assert [(letter.place, letter.reason) for letter in dead] == [
        ("pipeline.events/0/7", "handler"),
        ("pipeline.events/0/31", "handler"),
    ]
    assert await pool.fetchval("SELECT next_offset FROM position") == len(values)
    # Redriven after the fix, they have the effect that they would have had.
    await replica.events.run(store.records(values))
    assert await store.visits() == right(values)


async def test_the_longest_ids_that_may_come_are_kept(pool: Pool) -> None:
    store = Store(await emptied(pool), parse(json.dumps(histories.policy_text(WIP))))
    ids = [wild(INDEXED_BYTES // 4, seed) for seed in range(4)]

    await store.take([with_ids(*ids), with_ids("crm:1", "1", ids[2], "a"), with_ids("crm:1", "2", "p", ids[3])])

    assert {row[:3] for row in await store.visits()} >= {(ids[0], *ids[2:])}
    assert await pool.fetchval("SELECT count(*) FROM outbox") == 0


@pytest.mark.parametrize("name", ['crm:a"b\\c', "crm:{a,b}", "crm:line\nof\ttwo", "crm:\u2028é😀", "crm:null"])
async def test_a_deal_of_any_name_goes_on_from_its_state(name: str, pool: Pool) -> None:
    store = Store(await emptied(pool), parse(json.dumps(histories.policy_text(WIP))))
    for second, stage in enumerate("ab"):
        event = json.loads(moved(1, second, stage)) | {"subject": name, "source": name}
        await store.take([json.dumps(event).encode()])

    assert await pool.fetch("SELECT deal, version FROM deal") == [(name, 2)]
    assert await pool.fetchval("SELECT count(*) FROM visit WHERE left_at IS NULL") == 1
    assert [tuple(row) for row in await pool.fetch("SELECT source, instants FROM new_receipt ORDER BY id")] == [
        (name, [micros(at(second))]) for second in range(2)
    ]

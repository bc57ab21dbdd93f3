"""What `flow.stages` gets: names of known stages, unknown ones that hold deals, and only what differs."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from services.detector.publish.stages import StageStatusPublisher
from shared.contracts.stages import StageStatusData, StageStatusEvent
from shared.policy import parse
from shared.postgres.pool import Pool
from tests.integration.detector.test_stages import StageStore, a_description
from tests.support import histories
from tests.support.detector_store import emptied, moved


async def published(pool: Pool, store: StageStore, max_unknown: int = 100) -> dict[str, StageStatusData]:
    """What is published once, by key."""
    await pool.execute("TRUNCATE outbox")
    async with pool.acquire() as connection, connection.transaction():
        count = await StageStatusPublisher(store.policy, "", max_unknown).publish(connection, datetime.now(UTC))
    rows = await pool.fetch("SELECT key, value FROM outbox WHERE topic = 'flow.stages'")
    events = [StageStatusEvent.model_validate_json(row["value"]) for row in rows]
    assert count == len(events)
    assert [row["key"].decode() for row in rows] == [event.data.key for event in events]
    return {event.data.key: event.data for event in events}


async def test_only_what_differs_is_published(pool: Pool) -> None:
    store = StageStore(await emptied(pool), parse(json.dumps(histories.policy_text([]))))
    await pool.execute("TRUNCATE stage_published")
    await store.take([moved(1, 1, "a"), moved(2, 1, "77"), moved(3, 1, "77")])
    await store.describe(a_description(pipeline="p", stage="a", name="Angebot").to_json())

    first = await published(pool, store)
    assert set(first) == {"p/a", "p/77"}
    assert (first["p/a"].name, first["p/a"].watched) == ("Angebot", True)
    assert (first["p/77"].deals, first["p/77"].watched) == (2, False)
    assert 'add `- {id: "77"}`' in (first["p/77"].hint or "")
    assert await published(pool, store) == {}

    await store.take([moved(2, 5, "a"), moved(3, 5, "a")])
    await store.describe(a_description(1, "2", pipeline="p", stage="a", name=None).to_json())
    second = await published(pool, store)
    assert {key: (data.name, data.deals, data.watched) for key, data in second.items()} == {
        "p/77": (None, 0, False),
        "p/a": (None, 0, True),
    }
    assert await published(pool, store) == {}


async def test_of_too_many_unknown_stages_those_with_most_deals_are_published(pool: Pool) -> None:
    store = StageStore(await emptied(pool), parse(json.dumps(histories.policy_text([]))))
    await pool.execute("TRUNCATE stage_published")
    await store.take([moved(n, 1, str(stage)) for n, stage in enumerate([1, 2, 2, 3, 3, 3])])

    assert {key: data.deals for key, data in (await published(pool, store, 2)).items()} == {"p/3": 3, "p/2": 2}


async def test_a_stage_of_any_length_is_published(pool: Pool) -> None:
    store = StageStore(await emptied(pool), parse(json.dumps(histories.policy_text([]))))
    await pool.execute("TRUNCATE stage_published")
    long = "/" * 300

    await store.take([moved(1, 1, long)])

    assert [data.stage for data in (await published(pool, store)).values()] == [long]

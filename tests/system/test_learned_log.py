"""Learned limits and cause classes through Kafka, detector processes and Postgres: as by what-if."""

from __future__ import annotations

import random
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from shared.contracts.topics import EVENTS
from shared.flow.ruleset import Ruleset
from shared.runtime.instants import micros, moment
from tests.support.learning_store import Intervals, expected_intervals, what_if
from tests.support.short_shop import STEADY_SINCE, policy_text, shop_policy, short_shop
from tests.support.waiting import eventually
from tests.system.test_real_log import (
    Connection,
    detectors,
    duplicated_and_delayed,
    evaluated_until,
    publish,
    within_lateness,
)

_PROBLEMS = "SELECT key, opened_at, cleared_at, peak, cause FROM flow.problem WHERE opened_at >= $1 ORDER BY 1, 2"


async def stored(connection: Connection, since: datetime) -> Intervals:
    found: Intervals = {}
    for key, *interval in await connection.fetch(_PROBLEMS, since):
        found.setdefault(key, []).append(tuple(interval))
    return found


def only_in(one: Intervals, other: Intervals) -> list[Any]:
    return sorted(
        (key, *interval) for key, some in one.items() for interval in some if interval not in other.get(key, [])
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_two_replicas_one_of_them_killed_learn_what_one_pass_learns(
    kafka: str, dsn: str, prefix: str, tmp_path: Path
) -> None:
    seed, policy = random.Random(7), tmp_path / "policy.yaml"
    policy.write_text(policy_text())
    lines = [(micros(e.time) // 1000, e.subject.encode(), e.to_json()) for e in short_shop()]
    chunks = within_lateness(duplicated_and_delayed(lines, seed))
    async with detectors(2, kafka, dsn, prefix, policy, tmp_path) as running:
        for part in range(4):
            begin, end = len(chunks) * part // 4, len(chunks) * (part + 1) // 4
            await publish(kafka, prefix + EVENTS, chunks[begin:end])
            victim = seed.choice(running)
            victim.kill()
            victim.start()
        last = max(at for at, _, _ in lines) * 1000
        connection = await evaluated_until(dsn, last)
        ruleset = Ruleset(shop_policy())
        keys = [rule.key for rule in ruleset.rules] + [rule.key for rule in ruleset.learned_rules.values()]
        everything = expected_intervals(what_if(short_shop(), shop_policy(), moment(last)), keys)
        recent = {key: [one for one in some if one[0] >= STEADY_SINCE] for key, some in everything.items()}
        wanted = {key: some for key, some in recent.items() if some}
        assert any(key.startswith("aging-learned/") for key in wanted)

        async def differing() -> dict[str, list[Any]]:
            found = await stored(connection, STEADY_SINCE)
            return {"only live": only_in(found, wanted), "only by what-if": only_in(wanted, found)}

        try:
            await eventually(differing, lambda rest: not any(rest.values()), 120)
        finally:
            await connection.close()

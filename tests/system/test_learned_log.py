"""Learned limits and cause classes through Kafka, detector processes and Postgres: as by what-if."""

from __future__ import annotations

import os
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
from tests.system.test_real_log import Connection, detectors, duplicated_and_delayed, evaluated_until, publish

_PROBLEMS = "SELECT key, opened_at, cleared_at, peak, cause FROM flow.problem WHERE opened_at >= $1 ORDER BY 1, 2"


async def stored(connection: Connection, since: datetime) -> Intervals:
    found: Intervals = {}
    for key, *interval in await connection.fetch(_PROBLEMS, since):
        found.setdefault(key, []).append(tuple(interval))
    return found


# It failed once in six runs, on a loaded machine: intervals of one stage stayed different. Not understood yet.
@pytest.mark.skipif("ANDON_TEST_WHOLE_LOG" not in os.environ, reason="ANDON_TEST_WHOLE_LOG: fails now and then")
@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_two_replicas_one_of_them_killed_learn_what_one_pass_learns(
    kafka: str, dsn: str, prefix: str, tmp_path: Path
) -> None:
    seed, policy = random.Random(7), tmp_path / "policy.yaml"
    policy.write_text(policy_text())
    lines = [(micros(e.time) // 1000, e.subject.encode(), e.to_json()) for e in short_shop()]
    mangled = duplicated_and_delayed(lines, seed)
    async with detectors(2, kafka, dsn, prefix, policy, tmp_path) as running:
        for part in range(4):
            begin, end = len(mangled) * part // 4, len(mangled) * (part + 1) // 4
            await publish(kafka, prefix + EVENTS, mangled[begin:end])
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

        async def differing() -> dict[str, Any]:
            found = await stored(connection, STEADY_SINCE)
            return {key: found.get(key) for key in wanted.keys() | found.keys() if found.get(key) != wanted.get(key)}

        try:
            await eventually(differing, lambda rest: not rest, 120)
        finally:
            await connection.close()

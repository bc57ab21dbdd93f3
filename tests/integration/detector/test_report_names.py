"""Schema `report` calls stages what the policy in force calls them."""

from __future__ import annotations

import json
from typing import Any

from services.detector.store import stage_names
from shared.policy import Policy, parse
from shared.postgres.pool import Pool

_STAGES = "SELECT pipeline_name, position, stage_name, zone FROM report.stage ORDER BY pipeline_name, position"


def policy(stages: list[dict[str, Any]], zone: str = "UTC", name: str = "Sales") -> Policy:
    owner = {"name": "Head of sales", "mail": "sales@andon.example"}
    pipeline = {"name": name, "owner": owner, "stages": stages, "rules": []}
    return parse(json.dumps({"version": 1, "timezone": zone, "pipelines": {"p": pipeline}}))


async def named(pool: Pool, *policies: Policy) -> list[tuple[Any, ...]]:
    """What SQL readers see after these policies, one after the other."""
    for one in policies:
        async with pool.acquire() as connection, connection.transaction():
            await stage_names.save(connection, one)
    return [tuple(row) for row in await pool.fetch(_STAGES)]


async def test_open_stages_have_names_order_and_zone(pool: Pool) -> None:
    stages = [{"id": "a", "name": 'It\'s "A"'}, {"id": "b"}, {"id": "won", "name": "Won", "outcome": "won"}]

    found = await named(pool, policy(stages, "Europe/Berlin"))

    assert found == [("Sales", 0, 'It\'s "A"', "Europe/Berlin"), ("Sales", 1, "b", "Europe/Berlin")]


async def test_names_of_an_earlier_policy_go(pool: Pool) -> None:
    before = policy([{"id": "a", "name": "A"}, {"id": "b", "name": "B"}])
    later = policy([{"id": "b", "name": "Bee"}, {"id": "c", "name": "C"}], name="Selling")

    assert await named(pool, before, before, later) == [("Selling", 0, "Bee", "UTC"), ("Selling", 1, "C", "UTC")]

"""Several people at once, each on a connection of their own, and how many changes may be under way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shared.postgres.pool import Pool
from tests.integration.tickets.planning import DRAFT, PlanningParts
from tests.support.problems import POLICY


@pytest.fixture
def parts(pool: Pool) -> PlanningParts:
    return PlanningParts(pool)


async def test_no_more_changes_of_an_owner_are_under_way_than_the_policy_allows(parts: PlanningParts) -> None:
    numbers = [await parts.planned(stage) for stage in ("demo", "proposal", "legal")]
    for number in numbers[:2]:
        await parts.do(number, "start")

    refused = await parts.do(numbers[2], "start", 422)

    assert "doing_limit" in refused["detail"]
    assert all(f"ticket {number}" in refused["detail"] for number in numbers[:2])
    await parts.do(numbers[0], "undo")
    assert (await parts.do(numbers[2], "start"))["state"] == "doing"


async def test_an_undone_closing_does_not_pass_the_limit(pool: Pool) -> None:
    parts = PlanningParts(
        pool, POLICY.replace("timezone: Europe/Berlin\nclocks", "timezone: Europe/Berlin\ndoing_limit: 1\nclocks")
    )
    first, second = [await parts.planned(stage) for stage in ("demo", "proposal")]
    await parts.do(first, "start")
    await parts.do(first, "close", outcome="abandoned", reason="x", confirmed=True)
    await parts.do(second, "start")

    assert "doing_limit" in (await parts.do(first, "undo", 422))["detail"]
    await parts.do(second, "withdraw", reason="x")
    assert (await parts.do(first, "undo"))["state"] == "doing"


async def test_of_two_who_start_at_once_only_as_many_begin_as_may(pool: Pool) -> None:
    parts = [PlanningParts(pool) for _ in range(3)]
    numbers = [await parts[0].planned(stage) for stage in ("demo", "proposal", "legal")]

    answers = await asyncio.gather(
        *(one.api.post(f"/tickets/{n}/start", json={"version": 3}) for one, n in zip(parts, numbers, strict=True))
    )

    assert sorted(answer.status_code for answer in answers) == [200, 200, 422]
    assert await pool.fetchval("SELECT count(*) FROM ticket WHERE state = 'doing'") == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("seal", {"draft_version": 1}), ("close", {"outcome": "wont-fix", "reason": "x", "confirmed": True})),
        (("seal", {"draft_version": 1}), ("snooze", {"until": "2026-03-20T08:00:00Z"})),
        (("close", {"outcome": "wont-fix", "reason": "x", "confirmed": True}), ("undo", {})),
    ],
)
async def test_of_two_at_once_one_wins_and_the_other_sees_what_changed(
    pool: Pool, one: tuple[str, dict[str, Any]], other: tuple[str, dict[str, Any]]
) -> None:
    parts = [PlanningParts(pool) for _ in range(2)]
    number = await parts[0].open()
    await parts[0].draft(number)

    answers = await asyncio.gather(
        *(
            who.api.post(f"/tickets/{number}/{action}", json={"version": 2, **fields})
            for who, (action, fields) in zip(parts, (one, other), strict=True)
        )
    )

    assert sorted(answer.status_code for answer in answers) == [200, 409]
    lost = next(answer.json() for answer in answers if answer.status_code == 409)
    assert [entry["seq"] for entry in lost["changes"]] == [3]
    whole = await parts[0].get(number)
    assert whole["seq"] == len(whole["history"]) == 3
    sealed = await pool.fetchval("SELECT count(*) FROM sealed_plan")
    assert sealed == (whole["state"] == "planned")


async def test_two_who_write_the_same_draft_do_not_overwrite_each_other(parts: PlanningParts) -> None:
    number = await parts.open()
    await parts.do(number, "draft", draft={"aim": "mine"}, draft_version=0)

    refused = await parts.do(number, "draft", 409, draft={"aim": "yours"}, draft_version=0)

    assert "Somebody else" in refused["detail"]
    assert (await parts.get(number, "/plan"))["draft"]["aim"] == "mine"
    await parts.do(number, "draft", draft={"aim": "mine"}, draft_version=0)
    await parts.do(number, "draft", draft=dict(DRAFT), draft_version=1)
    stale = await parts.do(number, "seal", 409, draft_version=1)
    assert "confirm" not in stale

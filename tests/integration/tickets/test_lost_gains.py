"""A gain that is lost opens its ticket again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.tickets.domain import studying
from shared.contracts.problems import ProblemReason
from shared.contracts.tickets import TicketOutcome
from shared.flow.statistics.held_gain import Hold
from shared.postgres.pool import Pool
from tests.integration.tickets.planning import PlanningParts
from tests.integration.tickets.records import records
from tests.support.problems import event, problem

CHANGED = datetime(2026, 3, 15, 23, tzinfo=UTC)


@pytest.fixture
def parts(pool: Pool) -> PlanningParts:
    return PlanningParts(pool)


async def changes(parts: PlanningParts, number: int) -> list[str]:
    return [entry["change"] for entry in (await parts.get(number))["history"]]


async def test_a_lost_gain_reopens_the_ticket_unless_the_change_was_dropped(parts: PlanningParts) -> None:
    dropped, kept = [await parts.planned(stage) for stage in ("demo", "proposal")]
    await parts.tick(CHANGED)
    at = CHANGED + timedelta(weeks=26)
    for number, decision in ((dropped, "dropped"), (kept, "adopted")):
        await parts.verdict(number, TicketOutcome.VERIFIED, CHANGED + timedelta(weeks=4))
        await parts.do(number, "decide", decision=decision, reason="x")
        async with parts.pool.acquire() as connection, connection.transaction():
            await parts.changes.by_system(
                connection,
                number,
                lambda t, newest: studying.follow_gain(t, 1, Hold.DECAYED, "lost", at, is_newest=newest),
            )

    assert (await parts.get(dropped))["state"] == "closed"
    again = await parts.get(kept)
    assert (again["state"], again["cycle"], again["decision"]) == ("open", 2, None)
    assert (await changes(parts, kept))[-2:] == ["decayed", "reopened"]


async def test_a_ticket_of_a_problem_that_never_was_does_not_keep_a_lost_gain_from_its_ticket(
    parts: PlanningParts,
) -> None:
    number, later = await parts.planned(), CHANGED + timedelta(weeks=20)
    await parts.tick(CHANGED)
    await parts.verdict(number, TicketOutcome.VERIFIED, CHANGED + timedelta(weeks=4))
    await parts.do(number, "decide", decision="adopted", reason="x")
    await parts.problem_ends("proposal", CHANGED + timedelta(weeks=5))
    for reason in (ProblemReason.OPENED, ProblemReason.RETRACTED):
        again = problem(reason).model_copy(update={"opened_at": later, "detected_at": later})
        await parts.handle(*records([event(again)]))
    at = CHANGED + timedelta(weeks=26)
    async with parts.pool.acquire() as connection, connection.transaction():
        await parts.changes.by_system(
            connection, number, lambda t, newest: studying.follow_gain(t, 1, Hold.DECAYED, "lost", at, is_newest=newest)
        )
    newest = problem().model_copy(update={"opened_at": at, "detected_at": at})
    await parts.handle(*records([event(newest)]))

    assert (await parts.get(number + 1))["outcome"] == "retracted"
    assert (await parts.get(number))["state"] == "open"
    assert (await changes(parts, number))[-3:] == ["decayed", "reopened", "updated"]
    assert await parts.pool.fetchval("SELECT count(*) FROM ticket") == 2


async def test_a_lost_gain_opens_its_ticket_once_the_newer_one_turns_out_never_to_have_been(
    parts: PlanningParts,
) -> None:
    number, later = await parts.planned(), CHANGED + timedelta(weeks=20)
    await parts.tick(CHANGED)
    await parts.verdict(number, TicketOutcome.VERIFIED, CHANGED + timedelta(weeks=4))
    await parts.problem_ends("proposal", CHANGED + timedelta(weeks=5))
    found = problem().model_copy(update={"opened_at": later, "detected_at": later})
    await parts.handle(*records([event(found)]))
    at = CHANGED + timedelta(weeks=26)
    async with parts.pool.acquire() as connection, connection.transaction():
        await parts.changes.by_system(
            connection, number, lambda t, newest: studying.follow_gain(t, 1, Hold.DECAYED, "lost", at, is_newest=newest)
        )
    assert (await parts.get(number))["state"] == "closed"

    taken_back = found.model_copy(update={"reason": ProblemReason.RETRACTED, "detected_at": at})
    await parts.handle(*records([event(taken_back)]))

    assert (await parts.get(number + 1))["outcome"] == "retracted"
    assert (await parts.get(number))["state"] == "open"
    assert (await changes(parts, number))[-2:] == ["decayed", "reopened"]

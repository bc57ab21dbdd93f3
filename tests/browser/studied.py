"""Pages in the clock of a log: a verdict that waits for a decision, and a stable stage to plan for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import uvicorn

from services.demo.ports import free_port
from shared.contracts.measures import Column
from shared.contracts.problems import CauseClass
from shared.flow.statistics.columns import Chart
from shared.postgres.pool import open_pool
from shared.runtime.instants import moment
from tests.integration.tickets.page_app import page_app
from tests.integration.tickets.studied import StudyCase, StudyParts, judged, planned
from tests.support.databases import migrated_database
from tests.support.problems import event, problem
from tests.support.variation_cases import cases
from tests.support.waiting import eventually
from tests.support.week_messages import WEEKS, quiet, week_events

WAITING = Chart("new", "proposal", Column.TIME_IN_STAGE_MEDIAN)
DAY = 86_400
# Ticket 1 has its verdict; ticket 2 is to be planned.
DECIDED, OPEN = 1, 2


def verified_case() -> StudyCase:
    """A change that worked as it was predicted."""
    found = next(
        case
        for case in cases("verification")
        if case.expected["verdict"] == "verified" and str(case.expected.get("prediction")).startswith("hit")
    )
    return StudyCase.of(found.question)


async def tell(parts: StudyParts) -> None:
    """Play in what the pages show."""
    case = verified_case()
    await planned(parts, case)
    over = case.weeks_after[-1] + 1
    now = moment(WEEKS.start(over))
    await parts.play(*week_events(WAITING, [value * DAY // 2 for value in quiet(over)]))
    await parts.play(*case.points(case.weeks_after), judged(now))
    await parts.loop.run_once()
    begun = now - timedelta(days=10)
    await parts.play(event(problem(opened_at=begun, detected_at=begun, cause_class=CauseClass.COMMON)))


@asynccontextmanager
async def studied_service(postgres: str) -> AsyncIterator[str]:
    """Address of the pages."""
    pool = await open_pool(await migrated_database(postgres), "tickets")
    parts, port = StudyParts(pool), free_port()
    await tell(parts)
    server = uvicorn.Server(uvicorn.Config(page_app(parts), port=port, log_level="error"))
    serving = asyncio.create_task(server.serve())

    async def is_up() -> bool:
        return server.started

    await eventually(is_up)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await serving
        await pool.close()

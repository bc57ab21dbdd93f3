"""Tickets with weeks to plan by, on a clock set by hand, and the API to work on them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from starlette.applications import Starlette

from services.tickets.domain import studying
from shared.contracts.measures import Column, MeasureData, MeasureEvent
from shared.contracts.problems import CauseClass, ProblemReason
from shared.policy import Policy, parse
from shared.postgres.pool import Pool
from tests.integration.tickets.records import TicketParts, records
from tests.support.problems import POLICY, event, problem

# The Monday on which the problem opens, at nine.
OPENED = datetime(2026, 3, 2, 9, tzinfo=UTC)
PLANNED = OPENED + timedelta(days=2, hours=3)
CHANGE_DATE = "2026-03-16"
MEASURE = "new/proposal/wip_end"
DRAFT: Mapping[str, Any] = {
    "aim": "Deals get an answer within three weeks",
    "measure": MEASURE,
    "change": "Only ten proposals at a time",
    "countermeasure": "limit",
    "tasks": [{"what": "Agree on the limit", "who": "Sales leads", "by": "2026-03-13"}],
    "predicted_size": "4",
    "predicted_unit": "difference",
    "predicted_why": "Work that waits is work that is started too early",
    "change_date": CHANGE_DATE,
    "balancing": "new/-/throughput",
}


class DayClock:
    """A clock set by hand."""

    def __init__(self) -> None:
        self.at = PLANNED

    def now(self) -> datetime:
        return self.at


class PlanningParts(TicketParts):
    """One replica with its API, at the time when people plan."""

    def __init__(self, pool: Pool, policy_text: str = POLICY) -> None:
        self.day_clock = DayClock()
        self.read_policy: Policy = parse(policy_text)
        super().__init__(pool, self.read_policy, self.day_clock)
        app = Starlette(routes=self.make_api().routes())
        self.api = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x/api/v1")

    async def open(self, stage: str = "proposal", weeks: int = 40, cause: CauseClass = CauseClass.COMMON) -> int:
        """Open a ticket of a stage whose measures have so many weeks before. Returns its number."""
        key = f"aging/new/{stage}"
        found = problem().model_copy(
            update={"key": key, "stage": stage, "cause_class": cause, "opened_at": OPENED, "detected_at": OPENED}
        )
        points = [week for column, at in _COLUMNS.items() for week in _weeks(column, stage if at else None, weeks)]
        await self.handle(*records([*points, event(found)]))
        number: int = await self.pool.fetchval("SELECT max(id) FROM ticket WHERE key = $1", key)
        return number

    async def problem_ends(self, stage: str, at: datetime, reason: ProblemReason = ProblemReason.CLEARED) -> None:
        ended = problem(reason).model_copy(
            update={"key": f"aging/new/{stage}", "stage": stage, "opened_at": OPENED, "cleared_at": at}
        )
        await self.handle(*records([event(ended)]))

    async def get(self, number: int, path: str = "") -> dict[str, Any]:
        answer = await self.api.get(f"/tickets/{number}{path}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def do(self, number: int, action: str, status: int = 200, **fields: Any) -> dict[str, Any]:
        """Ask the API for an action, made from the ticket as it is now where no version is given."""
        if action != "draft" and "version" not in fields:
            fields["version"] = await self.pool.fetchval("SELECT seq FROM ticket WHERE id = $1", number)
        answer = await self.api.post(f"/tickets/{number}/{action}", json=fields)
        assert answer.status_code == status, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def draft(self, number: int, **fields: Any) -> dict[str, Any]:
        """Save a draft that is complete, but for `fields`."""
        version = await self.pool.fetchval("SELECT coalesce(max(version), 0) FROM plan_draft WHERE ticket = $1", number)
        return await self.do(number, "draft", draft={**DRAFT, **fields}, draft_version=version)

    async def seal(self, number: int, status: int = 200, **fields: Any) -> dict[str, Any]:
        """Seal the draft that is saved."""
        version = await self.pool.fetchval("SELECT version FROM plan_draft WHERE ticket = $1", number)
        return await self.do(number, "seal", status, draft_version=version, **fields)

    async def planned(self, stage: str = "proposal", **fields: Any) -> int:
        """A ticket with a sealed plan."""
        number = await self.open(stage)
        measure = {"measure": f"new/{stage}/wip_end"}
        await self.draft(number, **(measure | fields))
        await self.seal(number)
        return number

    async def tick(self, at: datetime | None = None) -> int:
        """What the clock loop does for plans. Returns how many studies began."""
        self.day_clock.at = at or self.day_clock.at
        async with self.pool.acquire() as connection, connection.transaction():
            return await self.changes.begin_studies(connection)

    async def verdict(self, number: int, outcome: Any, at: datetime) -> None:
        """The system's verdict on a ticket."""
        async with self.pool.acquire() as connection, connection.transaction():
            await self.changes.by_system(
                connection, number, lambda ticket, newest: [studying.conclude(ticket, outcome, None, at)]
            )


_COLUMNS = {Column.WIP_END: True, Column.ARRIVALS: True, Column.THROUGHPUT: False}


def _weeks(column: Column, stage: str | None, weeks: int) -> list[MeasureEvent]:
    """The weeks before the problem, week 0 included, with values that go up and down."""
    # Monday in Berlin.
    first = OPENED.replace(hour=0) - timedelta(weeks=weeks, hours=1)
    points = [
        MeasureData(
            pipeline="new",
            stage=stage,
            measure=column,
            period="week",
            start=first + timedelta(weeks=week),
            end=first + timedelta(weeks=week + 1),
            value=10 + week * 7 % 5,
            exact=str(10 + week * 7 % 5),
            week=week,
            over=weeks,
            numbering=1,
        )
        for week in range(weeks)
    ]
    return [MeasureEvent(id=p.key, source="andon/detector", subject=p.key, time=p.end, data=p) for p in points]

"""A page shows the database as of one instant, whatever others commit between its statements."""

from __future__ import annotations

import httpx
import pytest

from services.tickets.store import weekly_points
from services.tickets.store.weekly_points import LogWeeks
from shared.contracts.measures import Column
from shared.flow.statistics.columns import Chart
from shared.postgres.pool import Executor, Pool, snapshot
from tests.integration.tickets.records import TicketParts, records
from tests.integration.tickets.test_week_tickets import told
from tests.support.week_messages import NEW_CLOSED, quiet, week_events

ARRIVALS = Chart("new", "demo", Column.ARRIVALS)


@pytest.fixture
async def new_weeks(web: httpx.AsyncClient, parts: TicketParts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ticket 2, of a chart; a week of it comes whenever somebody has just read how many there are."""
    await told(parts, "shift", ARRIVALS)
    read, points = weekly_points.log_weeks, quiet(34)

    async def read_before_a_week(executor: Executor, zone: str, pipeline: str | None = None) -> LogWeeks | None:
        found = await read(executor, zone, pipeline)
        points.append(40)
        await parts.handle(*records(week_events(ARRIVALS, points)))
        return found

    monkeypatch.setattr(weekly_points, "log_weeks", read_before_a_week)


@pytest.mark.usefixtures("new_weeks")
@pytest.mark.parametrize(
    "address",
    ["/tickets/2", f"/charts/{ARRIVALS.name}", "/stage?pipeline=new&stage=demo", "/forecast?pipeline=new"],
)
async def test_a_week_that_comes_between_two_statements_is_not_seen(web: httpx.AsyncClient, address: str) -> None:
    assert (await web.get(address)).status_code == 200


@pytest.mark.usefixtures("new_weeks")
async def test_a_week_is_known_whole_or_not_at_all(pool: Pool) -> None:
    """Also where the reader writes, too, and so sees each statement's own instant."""
    known = await weekly_points.load(pool, "new", [ARRIVALS], "Europe/Berlin")

    assert known is not None
    assert known.over == len(known.charts[ARRIVALS])


async def test_a_snapshot_sees_nothing_that_came_later(parts: TicketParts, pool: Pool) -> None:
    async with snapshot(pool) as connection:
        before = await weekly_points.load(connection, "new", [NEW_CLOSED], "Europe/Berlin")
        await parts.handle(*records(week_events(NEW_CLOSED, quiet(30))))

        assert before is None
        assert await weekly_points.load(connection, "new", [NEW_CLOSED], "Europe/Berlin") is None

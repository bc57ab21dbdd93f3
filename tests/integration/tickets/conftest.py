"""Tickets on a real Postgres, and the pages and the API over one ticket with measures and mails."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fastapi._compat.v2
import httpx
import pytest
from prometheus_client import CollectorRegistry

from services.tickets.app import Tickets
from services.tickets.settings import TicketsSettings
from shared.contracts.measures import Measure, MeasureData, MeasureEvent
from shared.contracts.notices import NoticeData, NoticeEvent, NoticeReason, NoticeResult
from shared.postgres.pool import Pool, open_pool
from tests.integration.tickets.page_app import page_app
from tests.integration.tickets.records import TicketParts, record
from tests.support.made_once import TypeAdapters
from tests.support.problems import POLICY, event, evidence, policy, problem

# Each application has the same routes, and FastAPI makes the types of their fields anew: most of a test's time.
fastapi._compat.v2.TypeAdapter = TypeAdapters()


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    pool = await open_pool(dsn, "tickets")
    yield pool
    await pool.close()


@pytest.fixture
def parts(pool: Pool) -> TicketParts:
    return TicketParts(pool, policy())


@pytest.fixture
def service(pool: Pool, tmp_path: Path) -> Tickets:
    (tmp_path / "policy.yaml").write_text(POLICY)
    return Tickets(TicketsSettings(policy=tmp_path / "policy.yaml"), pool, CollectorRegistry())


@pytest.fixture
async def web(pool: Pool, parts: TicketParts) -> AsyncIterator[httpx.AsyncClient]:
    """The pages and the API over one ticket with measures and mails."""
    now = datetime.now(UTC)
    # Pages tell the time in whole minutes.
    begun = now - timedelta(days=3, minutes=1)
    shown = evidence(3).model_copy(update={"at": now})
    data = problem().model_copy(update={"opened_at": begun, "detected_at": begun, "evidence": shown})
    points = [
        MeasureData(
            pipeline="new",
            stage="proposal",
            measure=measure,
            start=now - timedelta(days=n + 1),
            end=now - timedelta(days=n),
            value=float(n % 7) * (86_400 if "age" in measure else 1),
        )
        for n in range(60)
        for measure in (Measure.OVER_AGE, Measure.AGE_MEDIAN, Measure.AGE_OLDEST, Measure.WIP)
    ]
    measures = [MeasureEvent(id=p.key, source="andon/detector", subject=p.key, time=p.end, data=p) for p in points]
    refused = NoticeData(
        notice="1-1",
        ticket=1,
        reason=NoticeReason.OPENED,
        result=NoticeResult.REFUSED,
        message_id="<a@b>",
        at=now,
        detail="550 no such <user>",
    )
    notice = NoticeEvent(id="n", source="andon/notifier", subject="1", time=now, data=refused)
    await parts.handle(record(event(data), 0), record(notice, 0), *(record(m, n) for n, m in enumerate(measures)))
    app = page_app(parts)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://andon.example") as client:
        yield client

"""Every service as its own role of Postgres: a webhook goes from intake to a mail, and no right is missing.

Its trace goes with it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import httpx
import pytest

from shared.postgres.cluster_roles import role_of
from shared.postgres.roles import SCHEMAS
from tests.support.collector import Collector, SeenSpan, collector
from tests.support.line import Line
from tests.support.sink import Sink, sink
from tests.support.waiting import eventually

TOKEN = "a-token-that-is-long-enough"
STAGES = (("new", "New", "open"), ("proposal", "Proposal", "open"), ("signed", "Signed", "won"))
# The library sends spans every five seconds.
AT_ONCE = {"OTEL_BSP_SCHEDULE_DELAY": "100"}
WAY = [
    ("intake", "webhook"),
    ("detector", "handle pipeline.events"),
    ("detector", "evaluate"),
    ("tickets", "handle flow.problems"),
    ("notifier", "handle improvement.tickets"),
    ("notifier", "send mail"),
]
SERVICES = ("intake", "detector", "analyst", "enricher", "tickets", "notifier")
_SIGNED_IN = """
SELECT DISTINCT application_name, usename FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'andon-%' AND application_name <> 'andon-probe'
"""


@pytest.fixture
async def services(kafka: str, dsn: str, prefix: str, tmp_path: Path) -> AsyncIterator[tuple[Line, Sink, Collector]]:
    """All services, a mail server, and a collector that gets every trace."""
    with sink() as mails, collector() as traces:
        told = {"ANDON_SMTP_PORT": str(mails.port), "ANDON_TRACES": traces.url, "ANDON_TRACES_SHARE": "1", **AT_ONCE}
        line = Line(kafka, dsn, prefix, tmp_path, SERVICES, told)
        await line.start("sales", STAGES, {"kind": "cloudevents", "secrets": [TOKEN]})
        yield line, mails, traces
        line.stop()


async def send(line: Line, deal: int, kind: str, **data: str) -> None:
    event = {
        "specversion": "1.0",
        "id": f"{deal}-{kind}",
        "source": "erp",
        "type": f"deal.{kind}",
        "time": (datetime.now(UTC) - timedelta(minutes=5)).isoformat(),
        "data": {"id": str(deal), **data},
    }
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/cloudevents+json"}
    async with httpx.AsyncClient() as client:
        answer = await client.post(line.hook, json=event, headers=headers)
    assert answer.status_code == 202, answer.text


async def way_of_the_mail(traces: Collector) -> list[SeenSpan]:
    """The spans of one trace that led to the mail, from the webhook on."""

    async def found() -> list[SeenSpan]:
        by_id = {span.span: span for span in traces.spans}
        way = [span for span in traces.spans if span.name == "send mail"][:1]
        while way and (before := by_id.get(way[0].parent)):
            assert before.trace == way[0].trace
            way.insert(0, before)
        return way

    return await eventually(found, lambda way: bool(way) and not way[0].parent, 30)


@pytest.mark.slow
async def test_a_webhook_leads_to_a_mail_with_every_service_as_its_own_role(
    services: tuple[Line, Sink, Collector], dsn: str
) -> None:
    line, mails, traces = services
    for deal in (1, 2):
        await send(line, deal, "created", pipeline="sales", stage="new")
        await send(line, deal, "moved", stage="proposal")

    async def received() -> list[bytes]:
        return mails.raw

    await eventually(received, bool, 120)
    assert "Proposal" in mails.mails[0]["Subject"]
    assert await line.ticket() == ("Too much work in Proposal", "open")
    owner = await asyncpg.connect(dsn)
    signed_in = {(row["application_name"], row["usename"]) for row in await owner.fetch(_SIGNED_IN)}
    await owner.close()
    assert signed_in == {(f"andon-{schema}", role_of(service)) for service, schema in SCHEMAS.items()}
    assert [(span.service, span.name) for span in await way_of_the_mail(traces)] == WAY
    for service in line.services.values():
        assert "permission denied" not in service.log.read_text()

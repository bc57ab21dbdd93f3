"""Every service as its own role of Postgres: a webhook goes from intake to a mail, and no right is missing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import httpx
import pytest

from shared.postgres.cluster_roles import role_of
from shared.postgres.roles import SCHEMAS
from tests.support.line import Line
from tests.support.sink import Sink, sink
from tests.support.waiting import eventually

TOKEN = "a-token-that-is-long-enough"
STAGES = (("new", "New", "open"), ("proposal", "Proposal", "open"), ("signed", "Signed", "won"))
SERVICES = ("intake", "detector", "analyst", "enricher", "tickets", "notifier")
_SIGNED_IN = """
SELECT DISTINCT application_name, usename FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'andon-%' AND application_name <> 'andon-probe'
"""


@pytest.fixture
async def services(kafka: str, dsn: str, prefix: str, tmp_path: Path) -> AsyncIterator[tuple[Line, Sink]]:
    """All services and a mail server."""
    with sink() as mails:
        line = Line(kafka, dsn, prefix, tmp_path, SERVICES, {"ANDON_SMTP_PORT": str(mails.port)})
        await line.start("sales", STAGES, {"kind": "cloudevents", "secrets": [TOKEN]})
        yield line, mails
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


@pytest.mark.slow
async def test_a_webhook_leads_to_a_mail_with_every_service_as_its_own_role(
    services: tuple[Line, Sink], dsn: str
) -> None:
    line, mails = services
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
    for service in line.services.values():
        assert "permission denied" not in service.log.read_text()

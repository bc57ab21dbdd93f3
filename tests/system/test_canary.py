"""`andon canary` through real services: it goes all the way, leaves no trace, and names the step where it got stuck."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import httpx
import pytest

from services.canary.run import CanaryStep
from services.canary.settings import CanarySettings
from services.canary.way import CanaryOutcome, CanaryWay
from shared.contracts.canary import CANARY
from shared.postgres.migrate import SERVICES
from tests.support.line import Line
from tests.support.sink import Sink, sink
from tests.support.waiting import eventually

# Seconds for a step, also on a machine that is busy.
WITHIN = 15.0
SECRET = "the canary's secret of a test"
RUNNING = ("intake", "detector", "analyst", "tickets", "notifier")
STAGES = (("new", "New", "open"), ("proposal", "Proposal", "open"), ("signed", "Signed", "won"))
PAGES = (
    *("/", "/tickets", "/meeting", "/ledger", "/ledger.csv", "/pipelines", "/pipelines/sales", "/policy"),
    *("/api/v1/tickets", "/api/v1/pipelines", "/api/v1/ledger"),
)
# What the canary shares with all else, as it is the way that is tried: messages on their way, mails.
SHARED = {"notices.mail", "notices.notice", "notices.thread"}
_TABLES = """
SELECT format('%I.%I', table_schema, table_name) AS name FROM information_schema.tables
WHERE table_schema = ANY($1) ORDER BY 1
"""


class CanaryRig:
    """A line of services with a mail server, and the canary."""

    def __init__(self, line: Line, mails: Sink, dsn: str, environment: dict[str, str]) -> None:
        self.line, self.mails, self._dsn = line, mails, dsn
        self._settings = CanarySettings.from_environment(environment)

    async def run(self, within: float = 60) -> CanaryOutcome:
        return await CanaryWay(self._settings, within).attempt()

    async def traces(self) -> set[str]:
        """Tables and views in which a row names the canary, besides those of its own."""
        connection = await asyncpg.connect(self._dsn)
        names = [row["name"] for row in await connection.fetch(_TABLES, [*SERVICES, "report"])]
        found = {name for name in names if await connection.fetchval(_named(name), f"%{CANARY}%")}
        await connection.close()
        assert len(names) > 100
        return found

    async def rest(self) -> int:
        """Its tickets that are open."""
        connection = await asyncpg.connect(self._dsn)
        count: int = await connection.fetchval("SELECT count(*) FROM tickets_canary.ticket WHERE state <> 'closed'")
        await connection.close()
        return count

    async def pages_that_name_it(self) -> set[str]:
        async with httpx.AsyncClient(base_url=self.line.services["tickets"].url, follow_redirects=True) as client:
            answers = {page: await client.get(page) for page in PAGES}
        assert {answer.status_code for answer in answers.values()} == {200}
        return {page for page, answer in answers.items() if "canary" in answer.text.lower()}

    def metrics_that_name_it(self) -> set[str]:
        """Names of the metrics that count it: those of requests only."""
        texts = [service.get("/metrics") for service in self.line.services.values()]
        lines = [line for text in texts for line in text.splitlines() if CANARY in line and not line.startswith("#")]
        return {line.partition("{")[0] for line in lines}


def _named(table: str) -> str:
    return f"SELECT EXISTS (SELECT FROM {table} AS one WHERE one::text LIKE $1)"


@pytest.fixture
async def rig(kafka: str, dsn: str, prefix: str, tmp_path: Path) -> AsyncIterator[CanaryRig]:
    with sink() as mails:
        settings = {"ANDON_SMTP_PORT": str(mails.port), "ANDON_CANARY_SECRET": SECRET}
        line = Line(kafka, dsn, prefix, tmp_path, RUNNING, settings)
        await line.start("sales", STAGES, {"kind": "cloudevents", "secrets": ["a-long-secret"]})
        environment = {
            "ANDON_KAFKA": kafka,
            "ANDON_TOPIC_PREFIX": prefix,
            "ANDON_CANARY_SECRET": SECRET,
            "ANDON_CANARY_INTAKE": line.services["intake"].url,
        }
        yield CanaryRig(line, mails, dsn, environment)
        line.stop()


async def test_it_goes_all_the_way_and_leaves_no_trace(rig: CanaryRig) -> None:
    outcomes = [await rig.run() for _ in range(2)]
    assert [(one.result, one.why) for one in outcomes] == [("passed", "")] * 2
    assert set(outcomes[1].seconds) == set(CanaryStep)
    # The second mail within an hour was only offered.
    assert [str(mail["To"]) for mail in rig.mails.mails] == ["Canary <andon-canary@andon.invalid>"]

    both = await asyncio.gather(rig.run(), rig.run())
    assert {one.result for one in both} <= {"passed", "disturbed"}, [one.why for one in both]

    await eventually(rig.rest, lambda count: count == 0)
    assert await rig.traces() <= SHARED
    assert await rig.pages_that_name_it() == set()
    assert {name for name in await asyncio.to_thread(rig.metrics_that_name_it) if "intake" not in name} == set()


@pytest.mark.skipif(os.environ.get("ANDON_TEST_CANARY") != "1", reason="waits for each stopped service: make canary")
async def test_the_step_of_a_service_that_is_stopped_is_named(rig: CanaryRig) -> None:
    assert (await rig.run()).result == "passed"
    for service, step in (
        ("notifier", CanaryStep.MAIL),
        ("tickets", CanaryStep.TICKET),
        ("detector", CanaryStep.PROBLEM),
        ("intake", CanaryStep.WEBHOOK),
    ):
        await asyncio.to_thread(rig.line.services[service].stop)
        outcome = await rig.run(WITHIN)
        assert (outcome.result, outcome.stuck) == ("stuck", step), outcome.why

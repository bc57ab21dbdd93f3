"""Every number on list, ticket, API, CSV, pipelines page and mail is what SQL says in the same second.

Deals move meanwhile.

ANDON_TEST_TRUE_MINUTES says for how long (a minute by default; 40 as a proof).
"""

from __future__ import annotations

import asyncio
import csv
import io
import os
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from services.demo.topology import POLICY
from services.detector import control
from services.detector.settings import DetectorSettings
from services.importer.load import LoadProgress, wait_and_reevaluate
from services.simulator import run
from services.simulator.post import Poster, poster
from services.simulator.run import SimulationJournal
from shared.flow.rules import Rule
from shared.flow.ruleset import Ruleset
from shared.policy import load
from shared.runtime.instants import EPOCH, micros
from shared.wording.quantities import age
from tests.support.processes import ServiceProcess
from tests.support.sink import Sink, sink

MINUTES = float(os.environ.get("ANDON_TEST_TRUE_MINUTES", "1"))
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600 + 90 * MINUTES)]
SECRET, DAYS, SEED = "a-secret-of-the-simulated-crm", 90, 7
# Changes that are posted before the pages are compared, and by when the pages must have caught up on a busy machine.
CHANGES, WITHIN = 12, 60.0
# A mail is sent within this time after its count was read.
MAIL_AGE = timedelta(minutes=2)
SERVICES = ("intake", "detector", "tickets", "notifier")
_OPEN = """
SELECT deal, pipeline, stage, entered, progressed, (convert_from(state, 'UTF8')::json ->> 4)::bigint AS step
FROM flow.visit JOIN flow.deal USING (deal) WHERE left_at IS NULL
"""
_VISITS = "SELECT entered, left_at FROM flow.visit WHERE pipeline = $1 AND stage = $2"
_PEAKS = "SELECT key, peak FROM flow.problem WHERE cleared_at IS NULL"


@dataclass(frozen=True)
class Truth:
    """What SQL says: deals in each stage with their entries, deals that count for each rule, peaks of open problems."""

    stages: dict[tuple[str, str], list[datetime]]
    counted: dict[str, set[str]]
    peaks: dict[str, int]


class Flow:
    """The services over a simulated CRM, and what SQL says about them."""

    def __init__(self, kafka: str, dsn: str, prefix: str, mail: Sink, folder: Path) -> None:
        self.dsn, self._folder, self.mail = dsn, folder, mail
        self.mailed_at: list[datetime] = []
        mail.on_mail = lambda: self.mailed_at.append(datetime.now(UTC))
        self.environment = {
            "ANDON_KAFKA": kafka,
            "ANDON_POSTGRES": dsn,
            "ANDON_TOPIC_PREFIX": prefix,
            "ANDON_POLICY": str(POLICY),
            "ANDON_SOURCES": str(folder / "sources.yaml"),
            "ANDON_SMTP_HOST": "127.0.0.1",
            "ANDON_SMTP_PORT": str(mail.port),
        }
        self.services = {name: ServiceProcess(name, self.environment, folder) for name in SERVICES}
        self.hook = f"{self.services['intake'].url}/v1/ingest/crm"
        self.pages = self.services["tickets"].url
        self.ruleset = Ruleset(load(POLICY))
        now = datetime.now(UTC).replace(microsecond=0)
        self._journal = SimulationJournal(seed=SEED, days=DAYS, end=now)
        self._ahead = run.ahead(self._journal)

    async def start(self) -> None:
        """Start the services, and load the history."""
        source = {"kind": "hubspot", "secrets": [SECRET], "public_url": self.hook}
        (self._folder / "sources.yaml").write_text(f"sources: {{crm: {source}}}")
        settings = DetectorSettings.from_environment(self.environment)
        await control.hold(settings)
        for service in self.services.values():
            service.start()
        for service in self.services.values():
            service.ready()
        progress = LoadProgress(lambda done: None, lambda done, total: None, lambda done, total: None)
        async with self.crm() as crm:
            await run.post_history(crm, self._journal, progress.published)
        await wait_and_reevaluate(settings, 0, progress)

    def crm(self) -> Any:
        """What posts webhooks."""
        return poster(self.hook, SECRET)

    async def post(self, crm: Poster, count: int) -> None:
        """Post the next changes as if they happened now."""
        for _ in range(count):
            change = next(self._ahead)
            now = replace(change, time=datetime.now(UTC))
            for document in crm.dialect.live(now, self._journal.live):
                await crm.post(document)
            self._journal.live += 1

    def restore(self, crm: Poster) -> None:
        crm.dialect.restore(run.history(SEED, DAYS, self._journal.end))

    async def truth(self, connection: asyncpg.Connection[asyncpg.Record]) -> Truth:
        rows, at = await connection.fetch(_OPEN), micros(datetime.now(UTC))
        stages: dict[tuple[str, str], list[datetime]] = {stage: [] for stage in self.ruleset.stages}
        for row in rows:
            stages[row["pipeline"], row["stage"]].append(row["entered"])
        counted = {rule.key: {row["deal"] for row in rows if _is_counted(rule, row, at)} for rule in self.ruleset.rules}
        return Truth(stages, counted, {row["key"]: row["peak"] for row in await connection.fetch(_PEAKS)})

    async def counts_before(self, connection: asyncpg.Connection[asyncpg.Record], key: str, at: datetime) -> set[int]:
        """Every count that a rule had within the last minutes before an instant."""
        (rule,) = (one for one in self.ruleset.rules if one.key == key)
        rows = await connection.fetch(_VISITS, rule.pipeline, rule.stage)
        spans = [
            (rule.clock.due(micros(row["entered"]), rule.limit or 0), row["left_at"] and micros(row["left_at"]))
            for row in rows
        ]
        until = micros(at)
        since = until - micros(MAIL_AGE + EPOCH)
        instants = {since, until, *(t for span in spans for t in span if t and since < t <= until)}
        return {sum(start <= t and (end is None or end > t) for start, end in spans) for t in instants}


def _is_counted(rule: Rule, row: Any, at: int) -> bool:
    """Whether a deal counts for a rule, by the words of the definition."""
    if (row["pipeline"], row["stage"]) != (rule.pipeline, rule.stage):
        return False
    if rule.limit is None:
        return True
    since = row["progressed"] if rule.kind == "stalled" else row["entered"]
    is_excused = rule.kind == "stalled" and row["step"] is not None and row["step"] > at
    return not is_excused and rule.clock.age(micros(since), at) >= rule.limit


@pytest.fixture
async def flow(kafka: str, dsn: str, prefix: str, tmp_path: Path) -> AsyncIterator[Flow]:
    with sink() as mail:
        flow = Flow(kafka, dsn, prefix, mail, tmp_path)
        try:
            await flow.start()
            yield flow
        finally:
            for service in flow.services.values():
                service.stop()


def text(page: str) -> str:
    """Of a page or a part of it, without markup."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))


class PageSnapshots:
    """One look at everything that shows numbers."""

    def __init__(self, client: httpx.AsyncClient, flow: Flow) -> None:
        self._client, self._flow = client, flow

    async def get(self, path: str) -> httpx.Response:
        answer = await self._client.get(path)
        assert answer.status_code == 200, path
        return answer

    async def differences(self, truth: Truth) -> list[str]:
        """How the pages differ from SQL, in words."""
        told = (await self.get("/api/v1/tickets?limit=200")).json()["tickets"]
        listed = (await self.get("/tickets")).text
        found = [one async for one in self._stages(truth)]
        for ticket in (one for one in told if one["problem"]["cleared_at"] is None and one["state"] != "closed"):
            found += [one async for one in self._ticket(ticket, listed, truth)]
        return found

    async def _stages(self, truth: Truth) -> AsyncIterator[str]:
        page, at = (await self.get("/pipelines")).text, micros(datetime.now(UTC))
        rows = re.findall(r'<tr role="row"><th role="rowheader".*?</tr>', page, re.DOTALL)
        for (stage, entered), row in zip(truth.stages.items(), rows, strict=False):
            wip = re.search(r'data-label="Deals in work">(\d+|–)<', row)
            oldest = re.search(r'data-label="Oldest">([^<]*)<', row)
            assert wip, row
            assert oldest, row
            if wip[1] != str(len(entered)):
                yield f"pipelines: {stage} has {wip[1]}, not {len(entered)} deals"
            clock = self._flow.ruleset.clocks.of(*stage)
            right = age(clock.age(micros(min(entered)), at) / 1e6, clock.day_seconds) if entered else "–"
            if oldest[1] != right:
                yield f"pipelines: the oldest of {stage} is {oldest[1]}, not {right}"
            counts = [
                len(truth.counted[rule.key])
                for rule in self._flow.ruleset.rules
                if (rule.pipeline, rule.stage) == stage and rule.limit is not None
            ]
            shown = [int(number) for number in re.findall(r": (\d+) now", text(row))]
            if shown != counts:
                yield f"pipelines: rules of {stage} count {shown}, not {counts}"

    async def _ticket(self, told: dict[str, Any], listed: str, truth: Truth) -> AsyncIterator[str]:
        number, key, deals = told["id"], told["key"], truth.counted[told["key"]]
        name, count = f"ticket {number} ({key})", len(deals)
        whole = (await self.get(f"/api/v1/tickets/{number}")).json()
        page = (await self.get(f"/tickets/{number}")).text
        rows = list(csv.DictReader(io.StringIO((await self.get(f"/api/v1/tickets/{number}/deals.csv")).text)))
        (row,) = re.findall(rf'<li class="row [a-z]+" id="ticket-{number}">.*?</li>', listed, re.DOTALL)
        numbers = {
            "list of the API": told["count"],
            "API": whole["count"],
            "API, now": whole["now"] and whole["now"]["count"],
            "API, evidence": whole["evidence"]["total"],
            "sentence of the API": _first_number(whole["sentence"]),
            "list": _first_number(_sentence(row)),
            "page": _first_number(_sentence(page)),
            "CSV": len(rows),
            "chart": _first_number(_chart_title(page), "holds"),
        }
        for where, shown in numbers.items():
            if shown != count:
                yield f"{name}: {where} has {shown}, not {count}"
        if {one["deal"] for one in rows} != deals:
            yield f"{name}: other deals in the CSV"
        if whole["peak"] != truth.peaks.get(key) or whole["peak"] not in _peaks(page):
            yield f"{name}: peak {whole['peak']}, not {truth.peaks.get(key)}"
        shown = min(count, 10)
        if len(re.findall(r'id="(?:worst|sample)-\d+"', page)) not in (0, shown):
            yield f"{name}: other than {shown} deals on the page"


def _sentence(page: str) -> str:
    """The sentence of a ticket on a page, after its time."""
    found = re.search(r"As of <time[^>]*>[^<]*</time>: *\s*<bdi>(.*?)</bdi>", page)
    return found[1] if found else ""


def _chart_title(page: str) -> str:
    found = re.search(r'<figcaption id="chart-1"><bdi>(.*?)</bdi>', page)
    return found[1] if found else ""


def _first_number(sentence: str, after: str = "") -> int | None:
    """`No deal` is none."""
    found = re.search(rf"{after}.*?\b(\d+|No deals?)\b", sentence)
    if found is None:
        return None
    return int(found[1]) if found[1].isdigit() else 0


async def _wrong_mails(
    flow: Flow, client: httpx.AsyncClient, connection: asyncpg.Connection[asyncpg.Record]
) -> tuple[int, list[str]]:
    """How many mails about lasting problems were compared, and those whose count SQL shows in none of those minutes."""
    compared, wrong = 0, []
    for mail, at in zip(flow.mail.mails, flow.mailed_at, strict=True):
        part = mail.get_body(("plain",))
        assert part is not None
        body = part.get_content().replace("\r\n", "\n")
        number = re.search(r"/tickets/(\d+)", body)
        assert number, body
        key = (await client.get(f"/api/v1/tickets/{number[1]}")).json()["key"]
        if "ended on" in body or "withdrawn" in body or key.startswith("stalled"):
            continue
        now = re.search(r"As of .*? the count is (\d+)", body, re.DOTALL)
        # A mail that goes out before anything newer is known has the count of the problem's message, in its sentence.
        count = int(now[1]) if now else _first_number(body)
        compared += 1
        right = await flow.counts_before(connection, key, at)
        if count not in right:
            wrong.append(f"mail of {at} about {key}: {count}, not one of {right}: {body}")
    return compared, wrong


def _peaks(page: str) -> list[int]:
    """The peak that a page shows: the count at the beginning, unless it was exceeded since."""
    since = re.findall(r"at (?:most|the lowest) (\d+) since then", text(page))
    return [int(count) for count in since or re.findall(r"the count was (\d+)", text(page))]


async def _agrees(pages: PageSnapshots, flow: Flow, connection: asyncpg.Connection[asyncpg.Record]) -> list[str]:
    """Differences in a second in which SQL gives the same before and after."""
    before = await flow.truth(connection)
    found = await pages.differences(before)
    return found if before == await flow.truth(connection) else ["the flow changed meanwhile"]


async def test_pages_show_what_is(flow: Flow) -> None:
    until = time.monotonic() + MINUTES * 60
    connection, rounds, slowest = await asyncpg.connect(flow.dsn), 0, 0.0
    async with httpx.AsyncClient(base_url=flow.pages, timeout=30) as client, flow.crm() as crm:
        flow.restore(crm)
        pages = PageSnapshots(client, flow)
        while rounds < 2 or time.monotonic() < until:
            await flow.post(crm, CHANGES)
            posted = time.monotonic()
            while found := await _agrees(pages, flow, connection):
                assert time.monotonic() < posted + WITHIN, found
                await asyncio.sleep(0.5)
            slowest = max(slowest, time.monotonic() - posted)
            rounds += 1
        assert (await client.get("/api/v1/tickets")).json()["tickets"], "no ticket was compared"
        compared, wrong = await _wrong_mails(flow, client, connection)
        assert wrong == []
        assert compared, "no mail was compared"
    await connection.close()
    print(f"{rounds} rounds, {compared} mails; the slowest was true after {slowest:.1f} s")

"""Chromium over a seeded company, an empty one, and the demo's inbox with a mail of every reason."""

from __future__ import annotations

import base64
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser

from services.demo.ports import free_port
from services.notifier.domain.links import Links
from services.notifier.domain.mail import Mail, Notice, message_id, notice_name
from services.notifier.domain.reasons import OF_PROBLEM
from services.notifier.domain.report import (
    AlarmBudget,
    ChartImage,
    PipelineReport,
    ReportData,
    ReportedLook,
    ReportedTicket,
    ReportedVerdict,
)
from services.notifier.render.compose import Composer
from services.tickets.charts.render import png
from services.tickets.charts.spec import LineChart
from shared.contracts.notices import NoticeReason
from shared.contracts.problems import ProblemInterval
from shared.contracts.tickets import StudyFacts, TicketState
from shared.kafka.access import KafkaAccess
from shared.kafka.admin import create_topics
from shared.policy import parse
from tests.browser.company import LINK_KEY, POLICY, Company
from tests.support.chromium import MISSING, chromium, is_installed
from tests.support.databases import migrated_database
from tests.support.plan_facts import plan_facts
from tests.support.problems import day, ticket_event
from tests.support.processes import ServiceProcess
from tests.support.waiting import eventually

NO_SETTINGS: Mapping[str, str] = {}


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    if not is_installed():
        pytest.skip(MISSING)
    async with chromium() as found:
        yield found


class Pages:
    """A tickets service on a database and topics of its own."""

    def __init__(self, kafka: str, postgres: str, folder: Path) -> None:
        self.kafka, self.prefix = kafka, f"b{secrets.token_hex(4)}."
        self._postgres, self._folder = postgres, folder

    async def start(self, settings: Mapping[str, str] = NO_SETTINGS, is_new: bool = True) -> ServiceProcess:
        """`is_new`: on a new database, else on that of the last start."""
        if is_new:
            self.dsn = await migrated_database(self._postgres)
            await create_topics(KafkaAccess(self.kafka), self.prefix)
        policy = self._folder / "policy.yaml"
        policy.write_text(POLICY)
        environment = {
            "ANDON_KAFKA": self.kafka,
            "ANDON_POSTGRES": self.dsn,
            "ANDON_TOPIC_PREFIX": self.prefix,
            "ANDON_POLICY": str(policy),
        }
        return ServiceProcess("tickets", environment | dict(settings), self._folder).start().ready()


@pytest.fixture(scope="session")
async def company(
    browser: Browser, kafka: str, postgres: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Company]:
    """Tickets of every kind and state. Tests that change one change one of their own."""
    async with seeded_company(kafka, postgres, tmp_path_factory.mktemp("company")) as found:
        yield found


@asynccontextmanager
async def seeded_company(kafka: str, postgres: str, folder: Path) -> AsyncIterator[Company]:
    pages = Pages(kafka, postgres, folder)
    process = await pages.start({"ANDON_LINK_KEYS": LINK_KEY, "ANDON_TICKETS_ISSUE_HOSTS": "shop.atlassian.net"})
    found = Company(process.url)
    await found.seed(kafka, pages.prefix)
    try:
        yield found
    finally:
        process.stop()


@pytest.fixture(scope="session")
async def empty(
    browser: Browser, kafka: str, postgres: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[str, str]]:
    """Address and DSN of a service that has received nothing."""
    pages = Pages(kafka, postgres, tmp_path_factory.mktemp("empty"))
    process = await pages.start()
    yield process.url, pages.dsn
    process.stop()


@pytest.fixture(scope="session")
async def corded(
    browser: Browser, kafka: str, postgres: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[str, str]]:
    """Address and DSN of a service whose cords are pulled."""
    pages = Pages(kafka, postgres, tmp_path_factory.mktemp("corded"))
    process = await pages.start()
    yield process.url, pages.dsn
    process.stop()


def mails(url: str) -> Iterator[Any]:
    """One of each reason, about a ticket at the address; the last quotes what is hostile."""
    drawn = LineChart(
        "Proposal holds 12 deals older than 21 days",
        "deals",
        {"deals": [(day(n), float(n)) for n in range(20)]},
        day(0),
        day(20),
        "Europe/Berlin",
        {"problem from 5": 5.0},
    )
    chart = base64.b64encode(png(drawn)).decode()
    hostile = "<script>window.owned=1</script>" + "w" * 120
    composer = Composer("a@x.example", "x.example", parse(POLICY), Links(b"", "https://x.example"))
    study = StudyFacts(verdict="not-shown", week=13, sentence="The weeks do not show a change.", confounded_with=(7,))
    reasons = [one for one in NoticeReason if one is not NoticeReason.WEEKLY_REPORT]
    for seq, reason in enumerate([*reasons, NoticeReason.OPENED], 1):
        over = day(1) if "cleared" in reason.value else None
        fields = {"title": hostile, "sentence": hostile} if seq > len(reasons) else {}
        if reason not in OF_PROBLEM:
            fields |= {"plan": plan_facts(), "study": study}
        facts = ticket_event(
            seq=seq,
            chart_png=chart,
            problem=ProblemInterval(opened_at=day(0), cleared_at=over, peak=12),
            url=url,
            **fields,
        ).data
        now, identity = datetime.now(UTC), message_id(notice_name(facts, "h@x.example"), "x.example")
        mail = Mail(seq, identity, "Head", "h@x.example", now, 1, now, (Notice(facts.ticket, seq, reason, facts),))
        yield composer.compose(mail)
    yield composer.compose(report_mail(url, chart))


def report_mail(url: str, chart: str) -> Mail:
    """A weekly report with all that it may list."""
    named = {"ticket": 1, "title": "Deals wait too long in Proposal", "url": url}
    pipeline = PipelineReport(
        name="New business",
        waiting=(ReportedTicket(**named, state=TicketState.OPEN, since=day(0), opened_at=day(0)),),
        waiting_total=3,
        verdicts=(ReportedVerdict(**named, outcome="verified", sentence="The later week was better."),),
        verdicts_total=1,
        looks=(ReportedLook(**named, measure="Time in stage", on=date(2026, 3, 10)),),
        looks_total=1,
        budget=AlarmBudget(opened=2, allowed="1"),
    )
    charts = (ChartImage(**named, png=chart, alt="Proposal holds 12 deals"),)
    data = ReportData(begin=day(0), end=day(7), zone="Europe/Berlin", pipelines=(pipeline,), charts=charts)
    return Mail(99, "<report@x.example>", "Head", "h@x.example", day(7), 1, day(8), (), report=data)


@pytest.fixture(scope="session")
async def inbox(company: Company, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Address of the demo's inbox with these mails."""
    folder, port = tmp_path_factory.mktemp("mails"), free_port()
    for number, mail in enumerate(mails(f"{company.url}/tickets/{company.numbers['aging/new/proposal']}")):
        (folder / f"{number}.eml").write_bytes(mail.as_bytes())
    process = subprocess.Popen([sys.executable, "-m", "services.demo.inbox", str(folder), str(free_port()), str(port)])
    url = f"http://127.0.0.1:{port}"

    async def answers() -> bool:
        try:
            async with httpx.AsyncClient() as client:
                return (await client.get(url)).status_code == 200
        except httpx.HTTPError:
            return False

    await eventually(answers)
    yield url
    process.terminate()
    process.wait(20)

"""Fifty people who are signed in click on pages and forms while webhooks come in: how long pages and mails take."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx

from services.tickets.access.roles import Role
from services.tickets.access.sessions import new_secret
from services.tickets.store import accounts, sessions
from services.tickets.web.chart_links import board_address
from services.tickets.web.stage_rows import stage_address
from shared.postgres.migrate import migrate_all
from shared.postgres.pool import open_pool
from tests.bench import many_tickets, webhook_to_mail
from tests.bench.figures import Figure, at_most
from tests.bench.load import paced
from tests.bench.many_tickets import OPEN, PIPELINES, STAGES, TICKETS
from tests.bench.webhook_to_mail import PROBES, PROBES_PER_SECOND, Probes, quantile
from tests.support.page_charts import chart_addresses
from tests.support.signed_in import Browser
from tests.support.sink import sink

PEOPLE = 50
# Each looks at a page for so long before the next click, a half more or less.
LOOKS_SECONDS = 5.0
# What they click on, by how often of a hundred clicks.
MIX: Mapping[str, int] = {
    "list": 30,
    "ticket": 30,
    "board": 8,
    "stage": 6,
    "meeting": 6,
    "ledger": 5,
    "plan form": 5,
    "form sent": 10,
}
# Charts in the first screen of a page, which a browser fetches at once. The others are fetched when somebody scrolls.
FIRST_SCREEN: Mapping[str, int] = {"ticket": 1, "stage": 2, "plan form": 1}
TARGET = 300
# A mail may take so many times as long beside the clicks, on a machine that both share.
UNCHANGED = 1.25


@dataclass
class Clicks:
    """How many milliseconds each page took, by what was clicked on, and each chart that was fetched after its page."""

    taken: dict[str, list[float]] = field(default_factory=dict)
    charts: list[float] = field(default_factory=list)

    def add(self, kind: str, began: float) -> None:
        self.taken.setdefault(kind, []).append((time.perf_counter() - began) * 1000)


class Person:
    """Has some open tickets of their own to work on, so that no two get in each other's way.

    Their browser keeps charts, as their addresses allow.
    """

    def __init__(self, number: int, browser: Browser, clicks: Clicks) -> None:
        self._browser, self._clicks, self._random = browser, clicks, random.Random(number)
        self._own = range(TICKETS - OPEN + 1 + number, TICKETS + 1, PEOPLE)
        self._known_charts = set[str]()

    async def work(self) -> None:
        """Click until cancelled."""
        while True:
            await asyncio.sleep(self._random.uniform(0.5, 1.5) * LOOKS_SECONDS)
            kind = self._random.choices(list(MIX), list(MIX.values()))[0]
            if kind == "form sent":
                await self._send(self._random.choice(self._own))
            else:
                await self._look(kind, self._address(kind))

    async def _look(self, kind: str, address: str) -> str:
        began = time.perf_counter()
        answer = await self._browser.get(address)
        self._clicks.add(kind, began)
        assert answer.status_code == 200, (address, answer.status_code)
        shown = chart_addresses(answer.text)[: FIRST_SCREEN.get(kind, 0)]
        await asyncio.gather(*(self._see(one) for one in shown if one not in self._known_charts))
        return answer.text

    async def _see(self, chart: str) -> None:
        began = time.perf_counter()
        answer = await self._browser.get(chart)
        self._clicks.charts.append((time.perf_counter() - began) * 1000)
        assert answer.status_code == 200, (chart, answer.status_code)
        if "immutable" in answer.headers["cache-control"]:
            self._known_charts.add(chart)

    async def _send(self, ticket: int) -> None:
        """Acknowledge a ticket, or undo that: what its page offers."""
        page = await self._look("ticket", f"/tickets/{ticket}")
        step = next((step for step in ("acknowledge", "undo") if f'/tickets/{ticket}/{step}"' in page), None)
        if step is None:
            return
        form = {"csrf": _field(page, "csrf"), "version": _field(page, "version")}
        began = time.perf_counter()
        answer = await self._browser.send(f"/tickets/{ticket}/{step}", **form)
        self._clicks.add("form sent", began)
        assert answer.status_code == 303, (ticket, step, answer.status_code)

    def _address(self, kind: str) -> str:
        pipeline = f"p{self._random.randrange(PIPELINES)}"
        return {
            "list": self._random.choice(["/tickets", "/tickets?sort=money", f"/tickets?pipeline={pipeline}"]),
            "ticket": f"/tickets/{TICKETS - self._random.randrange(OPEN)}",
            "board": board_address(pipeline),
            "stage": stage_address(pipeline, f"{pipeline}s{self._random.randrange(STAGES)}"),
            "meeting": "/meeting",
            "ledger": f"/ledger?pipeline={pipeline}",
            "plan form": f"/tickets/{self._random.choice(self._own)}/plan",
        }[kind]


def _field(page: str, name: str) -> str:
    return page.partition(f'name="{name}" value="')[2].partition('"')[0]


async def measure(
    kafka: str, dsn: str, prefix: str, folder: Path, per_second: int, seconds: int, show: Callable[[str], None]
) -> list[Figure]:
    """Mails of webhooks alone, then with the clicks beside them, `seconds` each."""
    show(f"clicking: filling {TICKETS} tickets")
    await migrate_all(dsn)
    await many_tickets.fill(dsn, datetime.now(UTC))
    secrets = await _signed_in(dsn)
    policy = many_tickets.policy_text() + webhook_to_mail.pipeline_text()
    clicks = Clicks()
    with sink() as mails:
        services = webhook_to_mail.start_services(
            kafka, dsn, prefix, folder, mails.port, policy, ANDON_SIGN_IN="password"
        )
        half = per_second * seconds
        probes = Probes(max(2 * half // PROBES, round(per_second / PROBES_PER_SECOND)), mails)
        port = services["intake"].port
        show(f"clicking: {per_second} webhooks a second alone for {seconds} s")
        await _post(port, probes, range(half), per_second)
        async with _people(services["tickets"].url, secrets, clicks):
            show(f"clicking: {PEOPLE} people beside {per_second} webhooks a second for {seconds} s")
            await _post(port, probes, range(half, 2 * half), per_second)
        for service in services.values():
            service.stop()
    return [*_page_figures(clicks), *_mail_figures(probes, half // probes.every)]


async def _signed_in(dsn: str) -> list[str]:
    """Make an account for each person; the secrets of their sessions. By the form only a few a second get in."""
    pool, now, secrets = await open_pool(dsn, "tickets", max_size=1), datetime.now(UTC), list[str]()
    for number in range(PEOPLE):
        account = await accounts.add(pool, f"person{number}@sales.example", f"Person {number}", Role.OWNER, now)
        assert account is not None
        secrets.append(new_secret())
        await sessions.begin(pool, secrets[-1], account, now)
    await pool.close()
    return secrets


@asynccontextmanager
async def _people(url: str, secrets: Sequence[str], clicks: Clicks) -> AsyncIterator[None]:
    """All at work. Raises at the end what one of them met."""
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(
                httpx.AsyncClient(base_url=url, timeout=60, cookies={"andon_session": secret})
            )
            for secret in secrets
        ]
        people = [Person(number, Browser(client), clicks) for number, client in enumerate(clients)]
        working = [asyncio.ensure_future(person.work()) for person in people]
        try:
            yield
        finally:
            for one in working:
                one.cancel()
            ended = await asyncio.gather(*working, return_exceptions=True)
        faults = [one for one in ended if isinstance(one, Exception)]
        if faults:
            raise faults[0]


async def _post(port: int, probes: Probes, numbers: range, per_second: int) -> None:
    outcome = await paced(
        port,
        lambda n: webhook_to_mail.request(numbers.start + n, probes.every),
        len(numbers),
        per_second,
        lambda n: probes.sent(numbers.start + n),
    )
    assert set(outcome.statuses) == {202}, outcome.statuses
    await probes.all_mailed()


def _page_figures(clicks: Clicks) -> Iterator[Figure]:
    yield Figure("clicks", sum(map(len, clicks.taken.values())), "")
    for kind, taken in clicks.taken.items():
        yield Figure(f"click on {kind} p50", quantile(sorted(taken), 0.5), "ms")
    every = sorted(one for taken in clicks.taken.values() for one in taken)
    yield at_most("click on any page p99", quantile(every, 0.99), "ms", TARGET)
    yield Figure("charts fetched", len(clicks.charts), "")
    for name, q in (("p50", 0.5), ("p99", 0.99)):
        yield Figure(f"chart in the first screen {name}", quantile(sorted(clicks.charts), q), "ms")


def _mail_figures(probes: Probes, first_with_clicks: int) -> Iterator[Figure]:
    delays = {probe: at - probes.posted[probe] for probe, at in probes.received().items()}
    alone = sorted(delay for probe, delay in delays.items() if probe < first_with_clicks)
    beside = sorted(delay for probe, delay in delays.items() if probe >= first_with_clicks)
    yield Figure("mails of probes", len(delays), f"of {len(probes.posted)}")
    for name, q in (("p50", 0.5), ("p99", 0.99)):
        yield Figure(f"webhook to mail {name}, nobody clicks", quantile(alone, q), "s")
        yield Figure(f"webhook to mail {name}, {PEOPLE} people click", quantile(beside, q), "s")
    ratio = quantile(beside, 0.5) / quantile(alone, 0.5)
    yield at_most("webhook to mail p50, clicks to none", ratio, "x", UNCHANGED)

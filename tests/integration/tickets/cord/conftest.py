"""Cords on a real Postgres: two stages have one, and each a link."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse, Response

from services.tickets.cord.cords import Cords
from services.tickets.cord.mail_pulls import MailPulls
from services.tickets.cord.metrics import CordMetrics
from services.tickets.cord.pages import CordPages
from services.tickets.domain.rates import Rate
from services.tickets.domain.tokens import new_token
from services.tickets.store import cord_links
from services.tickets.store.cord_links import CordLink
from services.tickets.web.templating import templates
from services.tickets.web.zones import ReaderZone, page_zone
from shared.contracts.tickets import TicketEvent
from shared.policy import Policy, parse
from shared.postgres.pool import Pool
from tests.integration.tickets.records import TicketParts, nothing
from tests.support.problems import POLICY

CORDS = POLICY.replace("{id: proposal, name: Proposal}", "{id: proposal, name: Proposal, cord: true}").replace(
    "{id: demo, name: Demo}", "{id: demo, name: Demo, cord: true}"
)
RATE = Rate(burst=4, every=timedelta(minutes=5))


class SetClock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 2, 9, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def pass_by(self, **span: float) -> None:
        self.at += timedelta(**span)


@dataclass
class CordWorld:
    """The cords of one service with its pages, and links to them."""

    pool: Pool
    policy: Policy
    clock: SetClock
    parts: TicketParts
    cords: Cords
    mails: MailPulls
    metrics: CordMetrics
    registry: CollectorRegistry
    client: httpx.AsyncClient = field(init=False)

    async def link(self, stage: str = "proposal", pipeline: str = "new") -> str:
        """The token of a new link."""
        token = new_token()
        await cord_links.add(self.pool, token, pipeline, stage, self.clock.now())
        return token

    async def link_of(self, token: str) -> CordLink:
        found = await cord_links.find(self.pool, token)
        assert found is not None
        return found

    async def pull(self, token: str, seen: str = "It waits", **fields: str) -> httpx.Response:
        return await self.client.post(f"/cord/{token}", data={"seen": seen, **fields})

    async def changes(self) -> list[tuple[int, int, str, str | None]]:
        rows = await self.pool.fetch("SELECT ticket, seq, change, reason FROM change ORDER BY ticket, seq")
        return [tuple(row) for row in rows]  # type: ignore[misc]

    async def messages(self) -> list[TicketEvent]:
        return list(await self.parts.messages())

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


@pytest.fixture
async def world(pool: Pool) -> AsyncIterator[CordWorld]:
    policy, clock, registry = parse(CORDS), SetClock(), CollectorRegistry()
    parts, metrics = TicketParts(pool, policy, clock), CordMetrics(registry)
    cords = Cords(pool, policy, parts.changes, clock, RATE, metrics, nothing, clock)
    world = CordWorld(pool, policy, clock, parts, cords, MailPulls(cords, clock, metrics), metrics, registry)
    made = templates(policy)

    def html(name: str, status: int = 200, **values: object) -> Response:
        values = {"now": clock.now(), "zone": page_zone(policy.timezone)} | values
        return HTMLResponse(made.get_template(name).render(values), status)

    pages = CordPages(cords, policy, clock, "https://cord.example", html)
    app = Starlette(routes=pages.routes(), middleware=[Middleware(ReaderZone)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://andon.example") as client:
        world.client = client
        yield world

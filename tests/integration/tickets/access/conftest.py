"""The whole application of tickets with sign-in, on a real Postgres."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from services.tickets.access.roles import Role
from services.tickets.app import Tickets, application
from services.tickets.settings import TicketsSettings
from services.tickets.store import accounts
from shared.postgres.pool import Pool
from shared.runtime.clock import SystemClock
from tests.support.problems import POLICY
from tests.support.signed_in import PASSWORD, Browser, hashed


@pytest.fixture
def app_of(pool: Pool, tmp_path: Path) -> Callable[..., Starlette]:
    """The application under some settings."""
    (tmp_path / "policy.yaml").write_text(POLICY)

    def made(**settings: Any) -> Starlette:
        values: dict[str, Any] = {"sign_in": "password", "policy": tmp_path / "policy.yaml"} | settings
        chosen, registry = TicketsSettings(**values), CollectorRegistry()
        return application(Tickets(chosen, pool, registry), pool, registry, chosen.hosts)

    return made


@pytest.fixture
def browser(app_of: Callable[..., Starlette]) -> Callable[..., Browser]:
    """A new browser, signed in nowhere."""
    app = app_of()

    def made(address: str = "192.0.2.7") -> Browser:
        transport = httpx.ASGITransport(app, client=(address, 4711))
        return Browser(httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080"))

    return made


@pytest.fixture
async def people(pool: Pool) -> dict[Role, str]:
    """An account of each role, all with the same password; the mail address of each."""
    roles = [role for role in Role if role is not Role.NOBODY]
    for role in roles:
        name = role.name.title()
        await accounts.add(pool, f"{name}@shop.example".lower(), name, role, SystemClock().now(), hashed(PASSWORD))
    return {role: f"{role.name.lower()}@shop.example" for role in roles}

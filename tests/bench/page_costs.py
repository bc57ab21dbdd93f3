"""What each kind of page costs over 10,000 tickets: processor time of the service and of Postgres, and statements.

Processor time depends little on what else runs. Each page is made in this process as a service makes it for somebody
who is signed in, and then asked for again with its tag, as open pages do every few seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from urllib.parse import unquote, urlsplit

import asyncpg
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp, Message

from services.tickets.access.roles import Role
from services.tickets.access.sessions import new_secret
from services.tickets.app import Tickets, application
from services.tickets.settings import TicketsSettings
from services.tickets.store import accounts, sessions
from shared.postgres.migrate import migrate_all
from shared.postgres.pool import Pool, open_pool
from tests.bench import many_tickets
from tests.bench.figures import Figure
from tests.bench.pages import addresses

# Each page is asked for so often, each time another ticket, stage or chart. The first of so many warm up.
TIMES, WARM_UP = 48, 6
_BACKENDS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'"


@dataclass
class Costs:
    """Milliseconds of one kind of page, by request."""

    service: list[float] = field(default_factory=list)
    postgres: list[float] = field(default_factory=list)
    statements: list[float] = field(default_factory=list)

    def figures(self, name: str) -> Iterator[Figure]:
        yield Figure(f"{name}, service", median(self.service), "ms")
        yield Figure(f"{name}, Postgres", median(self.postgres), "ms")
        yield Figure(f"{name}, statements", median(self.statements), "")


async def measure(dsn: str, folder: Path, show: Callable[[str], None]) -> list[Figure]:
    """Medians of all kinds of pages, each made whole and asked for again."""
    show(f"page-costs: filling {many_tickets.TICKETS} tickets")
    await migrate_all(dsn)
    await many_tickets.fill(dsn, datetime.now(UTC))
    file = folder / "many.yaml"
    file.write_text(many_tickets.policy_text())
    pool, figures = await open_pool(dsn, "tickets", max_size=1), list[Figure]()
    settings = TicketsSettings(policy=file, postgres=dsn, sign_in="password")
    registry = CollectorRegistry()
    app = application(Tickets(settings, pool, registry), pool, registry, settings.hosts)
    visits = PageVisits(app, pool, await _signed_in(pool))
    await visits.prepare()
    for name, asked in addresses(TIMES).items():
        show(f"page-costs: {name}")
        made, again = await visits.costs(asked)
        figures += [*made.figures(name), *(again.figures(f"{name} asked again") if again.service else ())]
    await pool.close()
    return figures


async def _signed_in(pool: Pool) -> str:
    """The secret of a session."""
    now, secret = datetime.now(UTC), new_secret()
    account = await accounts.add(pool, "person@sales.example", "Person", Role.OWNER, now)
    assert account is not None
    await sessions.begin(pool, secret, account, now)
    return secret


class PageVisits:
    """Asks for pages of an application, one after another, and notes what each costs."""

    def __init__(self, app: ASGIApp, pool: Pool, secret: str) -> None:
        self._app, self._pool = app, pool
        self._headers = [(b"host", b"localhost"), (b"cookie", f"andon_session={secret}".encode())]
        self._backends: Sequence[int] = ()
        self._statements = 0

    async def prepare(self) -> None:
        """Count statements on all connections."""
        async with self._pool.acquire() as connection:
            connection.add_query_logger(self._count)
            self._backends = [row["pid"] for row in await connection.fetch(_BACKENDS)]

    def _count(self, query: asyncpg.connection.LoggedQuery) -> None:
        self._statements += 1

    async def costs(self, asked: Sequence[str]) -> tuple[Costs, Costs]:
        """Of each page, made whole; and of each that has a tag, asked for again with it."""
        made, again = Costs(), Costs()
        for number, address in enumerate(asked):
            whole, tag = await self._ask(address, "")
            # The first time with a tag, the service notes what the page was made of.
            tag = (await self._ask(address, tag))[1] if tag else ""
            known = await self._ask(address, tag) if tag else None
            if number >= len(asked) // WARM_UP:
                _add(made, whole)
                if known:
                    _add(again, known[0])
        return made, again

    async def _ask(self, address: str, tag: str) -> tuple[tuple[float, float, int], str]:
        """What it cost, and its tag."""
        begun = time.process_time(), _ran(self._backends), self._statements
        start = await self._answer(address, tag)
        used = (time.process_time() - begun[0]) * 1e3, (_ran(self._backends) - begun[1]) * 1e3
        # A page that names a moment is another one from the next minute on.
        assert start["status"] in ((200, 304) if tag else (200,)), (address, start["status"])
        tags = [value.decode() for name, value in start["headers"] if name == b"etag"]
        return (*used, self._statements - begun[2]), tags[0] if tags and not address.startswith("/api") else ""

    async def _answer(self, address: str, tag: str) -> Message:
        """The start of the answer, which is read to its end."""
        url, sent = urlsplit(address), list[Message]()
        headers = [*self._headers, (b"if-none-match", tag.encode())] if tag else self._headers

        async def receive() -> Message:
            # Nobody leaves before the end.
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: Message) -> None:
            sent.append(message)

        await self._app(_scope(unquote(url.path), url.query, headers), receive, send)
        return sent[0]


def _add(costs: Costs, found: tuple[float, float, int]) -> None:
    costs.service.append(found[0])
    costs.postgres.append(found[1])
    costs.statements.append(found[2])


def _scope(path: str, query: str, headers: Sequence[tuple[bytes, bytes]]) -> Mapping[str, object]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 80),
    }


def _ran(pids: Sequence[int]) -> float:
    """Seconds that processes of this machine have run, to the microsecond, which `/proc/<pid>/stat` has not."""
    ran = 0.0
    for pid in pids:
        with suppress(OSError):
            ran += int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    return ran

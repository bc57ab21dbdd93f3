"""Messages of tickets on a real Postgres: charts drawn without a lock, each published once, in order."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from services.tickets.app import Tickets
from services.tickets.charts.drawing import DRAWINGS
from services.tickets.charts.spec import from_json
from services.tickets.domain import commands
from services.tickets.settings import TicketsSettings
from services.tickets.store import messages, tickets
from shared.contracts.problems import ProblemReason
from shared.contracts.tickets import TicketEvent
from shared.postgres.pool import Pool
from tests.integration.tickets.records import TicketParts, record
from tests.support.problems import POLICY, event, policy, problem
from tests.support.waiting import eventually


@dataclass
class Renderer:
    """Draws when it is let."""

    drawing: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def draw(self, written: bytes) -> bytes:
        self.drawing.set()
        await asyncio.wait_for(self.go_on.wait(), 120)
        return await DRAWINGS.png(written)


@pytest.fixture
def renderer() -> Renderer:
    return Renderer()


async def outbox(pool: Pool) -> list[TicketEvent]:
    rows = await pool.fetch("SELECT value FROM outbox ORDER BY id")
    return [TicketEvent.model_validate_json(row["value"]) for row in rows]


async def acknowledge(parts: TicketParts, number: int) -> None:
    async with parts.pool.acquire() as connection, connection.transaction():
        seq = await connection.fetchval("SELECT seq FROM ticket WHERE id = $1", number)
        await parts.changes.act(connection, number, lambda ticket, at: commands.acknowledge(ticket, at.now), seq)


async def test_while_a_chart_is_drawn_its_ticket_can_be_changed(pool: Pool, renderer: Renderer) -> None:
    parts = TicketParts(pool, policy(), draw=renderer.draw)
    await parts.handle(record(event(problem()), 0))
    publishing = asyncio.ensure_future(parts.messages())
    await asyncio.wait_for(renderer.drawing.wait(), 60)

    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL lock_timeout = '100ms'")
        await connection.fetch("SELECT FROM ticket FOR UPDATE NOWAIT")
    await asyncio.wait_for(acknowledge(parts, 1), 60)
    await asyncio.wait_for(parts.handle(record(event(problem(ProblemReason.GREW, peak=20)), 1)), 60)

    assert await outbox(pool) == []
    renderer.go_on.set()
    assert [m.data.change.value for m in await publishing] == ["opened", "acknowledged", "grew"]


async def test_a_chart_is_drawn_as_it_was_when_its_ticket_changed(pool: Pool, parts: TicketParts) -> None:
    await parts.handle(record(event(problem(count=12)), 0))
    (waiting,) = await messages.pending(pool, 9)
    await parts.handle(record(event(problem(ProblemReason.GREW, peak=40, count=40)), 1))

    opened, grew = await parts.messages()

    assert waiting.chart is not None
    chart = from_json(waiting.chart)
    assert chart.title == "Proposal holds 12 deals older than 21 days"
    assert opened.data.chart_png == base64.b64encode(await DRAWINGS.png(waiting.chart)).decode()
    assert grew.data.chart_png not in (None, opened.data.chart_png)


async def test_a_replica_that_dies_while_it_draws_leaves_the_message_to_another(pool: Pool, renderer: Renderer) -> None:
    dying = TicketParts(pool, policy(), draw=renderer.draw)
    await dying.handle(record(event(problem()), 0))
    publishing = asyncio.ensure_future(dying.messages())
    await asyncio.wait_for(renderer.drawing.wait(), 60)
    publishing.cancel()
    await asyncio.wait([publishing])

    (told,) = await TicketParts(pool, policy()).messages()

    assert told.data.chart_png is not None
    assert await TicketParts(pool, policy()).messages() == [told]


async def test_replicas_publish_each_message_once_and_in_order(pool: Pool, parts: TicketParts) -> None:
    replicas = [parts, TicketParts(pool, policy()), TicketParts(pool, policy())]
    keys = [f"aging/new/{n}" for n in range(4)]
    records = [record(event(problem(key=key)), n) for n, key in enumerate(keys)]
    records += [record(event(problem(ProblemReason.GREW, key=key, peak=20)), 9 + n) for n, key in enumerate(keys)]
    await parts.handle(*records)
    for number in range(1, 5):
        await acknowledge(parts, number)

    async def publish(replica: TicketParts) -> None:
        async def all_published() -> bool:
            await replica.publisher.run_once()
            return not await messages.pending(pool, 1)

        await eventually(all_published)

    await asyncio.gather(*(publish(replica) for replica in replicas))

    published = await outbox(pool)
    for number in range(1, 5):
        assert [m.data.seq for m in published if m.data.ticket == number] == [1, 2, 3]


async def test_a_message_waits_for_an_earlier_one_of_its_ticket(pool: Pool, parts: TicketParts) -> None:
    await parts.handle(record(event(problem()), 0))
    await acknowledge(parts, 1)
    first, second = await messages.pending(pool, 9)

    async with pool.acquire() as connection, connection.transaction():
        assert not await messages.claim(connection, second.id)
        assert await messages.claim(connection, first.id)
        assert not await messages.claim(connection, first.id)
        assert await messages.claim(connection, second.id)


async def test_a_chart_that_cannot_be_drawn_holds_up_no_mail(pool: Pool) -> None:
    async def fail(written: bytes) -> bytes:
        raise ValueError("no such font")

    parts = TicketParts(pool, policy(), draw=fail)
    await parts.handle(record(event(problem()), 0))

    (told,) = await parts.messages()

    assert told.data.chart_png is None
    assert parts.metrics.charts_failed._value.get() == 1
    assert len(await tickets.history(pool, 1)) == 1


@pytest.mark.parametrize("column", ["chart", "event"])
async def test_what_another_version_wrote_holds_up_no_message(pool: Pool, parts: TicketParts, column: str) -> None:
    await parts.handle(record(event(problem()), 0), record(event(problem(key="aging/new/2")), 1))
    await pool.execute(f"UPDATE ticket_message SET {column} = '{{\"later\": 1}}' WHERE ticket = 1")

    while await parts.publisher.run_once():
        pass

    first, second = [row["value"] for row in await pool.fetch("SELECT value FROM outbox ORDER BY id")]
    assert b'"chart_png":null' in first or first == b'{"later": 1}'
    assert TicketEvent.model_validate_json(second).data.chart_png is not None
    assert parts.metrics.charts_failed._value.get() == 1


async def test_how_long_messages_wait_is_measured(pool: Pool, parts: TicketParts, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY)
    registry = CollectorRegistry()
    service = Tickets(TicketsSettings(policy=tmp_path / "policy.yaml"), pool, registry)
    await parts.handle(record(event(problem()), 0))
    await pool.execute("UPDATE ticket_message SET created_at = created_at - interval '5 minutes'")

    await service.care()
    waiting = registry.get_sample_value("andon_tickets_messages_oldest_seconds")
    await parts.messages()
    await service.care()

    assert waiting == pytest.approx(300, abs=30)
    assert registry.get_sample_value("andon_tickets_messages_oldest_seconds") == 0

"""First byte of every page over 10,000 tickets and a million visits, while webhooks come in."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import asyncpg
import orjson

from services.notifier.domain.links import Links
from services.notifier.store import addresses as known_addresses
from services.notifier.store.signing_key import signing_key
from services.tickets.web.chart_links import board_address, forecast_address
from services.tickets.web.stage_rows import stage_address
from shared.postgres.migrate import migrate_all
from shared.postgres.pool import open_pool
from tests.bench import many_tickets
from tests.bench.figures import Figure, at_most
from tests.bench.intake import SECRET, URL, sources
from tests.bench.load import flood, paced, post
from tests.bench.many_tickets import CORD_TOKEN, OPEN, OWNER, PIPELINES, READERS, STAGES, TICKETS
from tests.support.processes import ServiceProcess
from tests.support.waiting import eventually
from tests.support.webhooks import signed_v3

VISITS, ARRAY = 1_000_000, 100
# Each page is asked for so often, each time another ticket, stage or chart, with a rest after each.
TIMES, REST = 200, 0.02
TARGET = 100
_ODD = 7919


def addresses(times: int) -> Mapping[str, list[str]]:
    """The addresses of each kind of page, in turn."""
    places = [(f"p{n}", f"p{n}s{m}") for n in range(PIPELINES) for m in range(STAGES)]
    spread = [places[n * 5 % len(places)] for n in range(times)]
    columns = ("arrivals", "wip_end", "time_in_stage_median_s", "rework_rate")
    weeks = [f"/charts/{quote(f'{p}/{s}/{columns[n % len(columns)]}')}" for n, (p, s) in enumerate(spread)]
    return {
        "list": ["/tickets", "/tickets?sort=money", "/tickets?state=closed", "/tickets?pipeline=p3"] * (times // 4),
        "open ticket": [f"/tickets/{TICKETS - n * _ODD % OPEN}" for n in range(times)],
        "closed ticket": [f"/tickets/{1 + n * _ODD % (TICKETS - OPEN)}" for n in range(times)],
        "pipelines": ["/pipelines"] * times,
        "board": [board_address(pipeline) for pipeline, _ in spread],
        "meeting": ["/meeting"] * times,
        "stage": [stage_address(pipeline, stage) for pipeline, stage in spread],
        "chart": weeks,
        "chart of closings": [f"/charts/{quote(f'{pipeline}/-/throughput')}" for pipeline, _ in spread],
        "forecast": [forecast_address(pipeline) for pipeline, _ in spread],
        "ledger": ["/ledger", "/ledger?pipeline=p3", "/ledger?q=legal", "/ledger?page=9"] * (times // 4),
        "ledger as CSV": ["/ledger.csv"] * (times // 10),
        "plan form": [f"/tickets/{TICKETS - OPEN + 1 + n * 20 % OPEN}/plan" for n in range(times)],
        "sealed plan": [f"/tickets/{TICKETS - n * 20 % OPEN}/plan" for n in range(times)],
        "cord": [f"/cord/{CORD_TOKEN}"] * times,
        "tickets of the API": [
            f"/api/v1/tickets?limit=200&before={TICKETS + 1 - n * _ODD % TICKETS}" for n in range(times)
        ],
        "ticket of the API": [f"/api/v1/tickets/{TICKETS - n * _ODD % OPEN}" for n in range(times)],
    }


async def mail_addresses(dsn: str, times: int) -> Mapping[str, list[str]]:
    """The same of the notifier's pages, of which a reader's needs the signed link of a mail."""
    pool = await open_pool(dsn, "notices", 1)
    readers = [OWNER, *(f"reader{n}@sales.example" for n in range(READERS))]
    await known_addresses.know(pool, readers, datetime.now(UTC))
    links = Links(await signing_key(pool))
    token, operators = links.token(OWNER), links.operator_token(datetime.now(UTC))
    await pool.close()
    return {"preferences": [f"/mail/{token}"] * times, "addresses": [f"/mail/addresses/{operators}"] * times}


async def measure(
    kafka: str, dsn: str, prefix: str, folder: Path, per_second: int, visits: int, show: Callable[[str], None]
) -> list[Figure]:
    """Services from the webhook to the pages, on a store that is filled already."""
    show(f"pages: filling {TICKETS} tickets")
    await migrate_all(dsn)
    await many_tickets.fill(dsn, datetime.now(UTC))
    services = _start(kafka, dsn, prefix, folder)
    try:
        await _enter(services["intake"].port, dsn, visits, show)
        webhooks = asyncio.create_task(_webhooks(services["intake"].port, per_second))
        found = await _ask(services["tickets"].port, addresses(TIMES), show)
        found |= await _ask(services["notifier"].port, await mail_addresses(dsn, TIMES), show)
        webhooks.cancel()
    finally:
        for service in services.values():
            service.stop()
    return list(_figures(found))


def _start(kafka: str, dsn: str, prefix: str, folder: Path) -> dict[str, ServiceProcess]:
    file = folder / "many.yaml"
    file.write_text(many_tickets.policy_text())
    environment = {
        "ANDON_KAFKA": kafka,
        "ANDON_POSTGRES": dsn,
        "ANDON_TOPIC_PREFIX": prefix,
        "ANDON_POLICY": str(file),
        "ANDON_SOURCES": str(sources(folder)),
    }
    services = {
        name: ServiceProcess(name, environment, folder) for name in ("intake", "detector", "tickets", "notifier")
    }
    for service in services.values():
        service.start()
    for service in services.values():
        service.ready()
    return services


async def _enter(port: int, dsn: str, visits: int, show: Callable[[str], None]) -> None:
    """Let deals enter stage after stage, until the detector has so many visits."""
    connection = await asyncpg.connect(dsn)
    step = 100_000
    for start in range(0, visits, step):
        show(f"pages: {start} of {visits} visits")
        end = min(start + step, visits)
        outcome = await flood(port, [_array(n, min(n + ARRAY, end)) for n in range(start, end, ARRAY)], 8)
        assert set(outcome.statuses) == {202}, outcome.statuses

        async def read(wanted: int = end) -> bool:
            done = await connection.fetchval("SELECT coalesce(sum(next_offset), 0)::bigint FROM flow.position")
            return int(done) >= wanted

        await eventually(read, within=300)
    await connection.close()


def _array(first: int, end: int) -> bytes:
    return _post([_move(n, 3_600_000 - n // 1000) for n in range(first, end)])


def _move(number: int, ago_ms: int) -> dict[str, object]:
    """A deal, one of ten in each hundred of visits, enters the next stage of its pipeline."""
    deal, turn = number % (VISITS // 10), number // (VISITS // 10)
    pipeline = deal % PIPELINES
    return {
        "eventId": number,
        "portalId": 48112233,
        "subscriptionType": "deal.propertyChange",
        "objectId": deal,
        "propertyName": "dealstage",
        "propertyValue": f"p{pipeline}s{(deal // PIPELINES + turn) % STAGES}",
        "occurredAt": int(time.time() * 1000) - ago_ms,
    }


def _post(events: list[dict[str, object]]) -> bytes:
    body = orjson.dumps(events)
    return post("/v1/ingest/crm", signed_v3(body, SECRET, str(int(time.time() * 1000)), URL), body)


async def _webhooks(port: int, per_second: int) -> None:
    """Deals move on at a steady rate until the task is cancelled."""
    first = 2 * VISITS
    await paced(port, lambda n: _post([_move(first + n, 0)]), 10**9, per_second, lambda n: None)


async def _ask(port: int, pages: Mapping[str, list[str]], show: Callable[[str], None]) -> dict[str, list[float]]:
    """Milliseconds to the first byte, by kind of page."""
    found: dict[str, list[float]] = {}
    for name, asked in pages.items():
        show(f"pages: {name}")
        found[name] = []
        for address in asked:
            found[name].append(await first_byte(port, address))
            await asyncio.sleep(REST)
    return found


async def first_byte(port: int, address: str) -> float:
    """Milliseconds from the request to the first byte of its answer, which is then read to its end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.perf_counter()
    writer.write(f"GET {address} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    first = await reader.readexactly(1)
    took = (time.perf_counter() - began) * 1000
    answer = first + await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 200"), json.dumps([address, answer[:200].decode()])
    return took


def _figures(found: Mapping[str, list[float]]) -> Iterator[Figure]:
    for name, taken in found.items():
        ordered = sorted(taken)
        yield Figure(f"first byte of {name} p50", ordered[len(ordered) // 2], "ms")
        yield at_most(f"first byte of {name} p99", ordered[int(0.99 * len(ordered))], "ms", TARGET)

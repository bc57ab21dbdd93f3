"""A real intake process before senders who mean no good: everybody is answered or let go, and the others are served."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from shared.connectors.base.settings import MIB
from tests.integration.intake.test_line_to_kafka import SECRET, TOKEN, URL, events, post
from tests.support.processes import ServiceProcess
from tests.support.waiting import eventually
from tests.support.webhooks import signed_v3

AT_ONCE, BODY = 60, 8 * MIB
IN_HAND = 32 * MIB


@pytest.fixture
async def service(kafka: str, prefix: str, tmp_path: Path) -> AsyncIterator[ServiceProcess]:
    hubspot = {"kind": "hubspot", "secrets": [SECRET], "public_url": URL}
    sources = {"crm": hubspot, "another": hubspot, "other": {"kind": "cloudevents", "secrets": [TOKEN]}}
    (tmp_path / "sources.yaml").write_text(json.dumps({"sources": sources}))
    environment = {
        "ANDON_KAFKA": kafka,
        "ANDON_SOURCES": str(tmp_path / "sources.yaml"),
        "ANDON_TOPIC_PREFIX": prefix,
        "ANDON_INTAKE_BYTES_IN_HAND": str(IN_HAND),
    }
    process = ServiceProcess("intake", environment, tmp_path).start().ready()
    yield process
    assert process.stop() == 0


def head(path: str, length: int, *more: str, method: str = "POST", version: str = "1.1") -> bytes:
    lines = [f"{method} {path} HTTP/{version}", "Host: x", f"Content-Length: {length}", *more]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def signed(body: bytes, path: str = "/v1/ingest/crm", *more: str) -> bytes:
    headers = signed_v3(body, SECRET, str(int(time.time() * 1000)), URL)
    return head(path, len(body), *(f"{name}: {value}" for name, value in headers.items()), *more) + body


async def told(service: ServiceProcess, request: bytes, answers: int = 1) -> bytes:
    """The answers to several requests."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(request)
    said = b""
    async with asyncio.timeout(60):
        for _ in range(answers):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            said += head + (b"" if request.startswith(b"HEAD") else await reader.readexactly(length))
    writer.close()
    return said


ODD = [
    (head("/v1/ingest/crm", 2, "Transfer-Encoding: chunked") + b"[]0\r\n\r\n", b"400 Bad Request"),
    (head("/v1/ingest/crm", 2, "Content-Length: 3") + b"[]", b"400 Bad Request"),
    (head("/v1/ingest/crm", -2), b"400 Bad Request"),
    (head("/v1/ingest/crm", 2, "X A: b") + b"[]", b"400 Bad Request"),
    (head("/v1/ingest/crm", 0, method="PUT"), b"405 Method Not Allowed"),
    (head("/v1/ingest/crm", 0, method="HEAD"), b"405 Method Not Allowed"),
    (head("/v1/ingest/crm", 0, method="DELETE"), b"allow: POST, OPTIONS"),
    (head("/v1/ingest/crm", 2, method="GET") + b"[]", b"405 Method Not Allowed"),
    (head("/v1/ingest/crm", 0, method="BREW"), b"400 Bad Request"),
    (head("x:80", 0, method="CONNECT"), b"400 Bad Request"),
    (head("*", 0, method="OPTIONS"), b"404 Not Found"),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"400 Bad Request"),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"400 Bad Request"),
    (head("/v1/ingest/c%2Frm", 2) + b"[]", b"404 Not Found"),
    (head("/v1/ingest/crm%00", 2) + b"[]", b"404 Not Found"),
    (head("/v1/ingest/" + "a" * 20_000, 2) + b"[]", b"404 Not Found"),
    (head("/v1/ingest/../../metrics", 2) + b"[]", b"404 Not Found"),
    (head("/v1/ingest/crm?" + "a=b&" * 7000, 2) + b"[]", b"x-hubspot-signature-v3 is missing"),
    (head("/v1/ingest/crm", 20_000_000, "Expect: 100-continue"), b"413 "),
    (head("/v1/ingest/crm", 2, "Connection: Upgrade", "Upgrade: websocket") + b"[]", b"401 Unauthorized"),
    (head("/v1/ingest/crm", 2, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c") + b"[]", b"401 Unauthorized"),
]


async def test_odd_requests_are_answered(service: ServiceProcess) -> None:
    for request, says in ODD:
        said = await told(service, request)
        assert (says in said, said.count(b"HTTP/1.1 ")) == (True, 1), (request[:80], said)

    assert post(service.url, events(1)).status_code == 202


async def test_ways_of_http_that_are_right_are_taken(service: ServiceProcess) -> None:
    body = events(3)
    waiting = signed(body, "/v1/ingest/crm", "Expect: 100-continue")
    chunked = signed(body).replace(f"Content-Length: {len(body)}".encode(), b"Transfer-Encoding: chunked")
    chunked = chunked.removesuffix(body) + b"%x;a=b\r\n%s\r\n0\r\nX-Trailer: a\r\n\r\n" % (len(body), body)

    assert (await told(service, waiting, 2)).startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202")
    assert b" 202 " in await told(service, chunked)
    assert b" 202 " in await told(service, signed(body, "http://x/v1/ingest/crm?a=b"))
    assert b" 202 " in await told(service, signed(body, "/v1/ingest/%63rm"))
    assert (await told(service, signed(body) * 50, 50)).count(b" 202 ") == 50


async def test_a_doubled_header_is_refused_with_words(service: ServiceProcess) -> None:
    doubled = signed(b"[]", "/v1/ingest/crm", "X-HubSpot-Signature-v3: AAAA")

    assert b"401 Unauthorized" in (said := await told(service, doubled))
    assert b"does not match" in said


class Held:
    """A sender that sends all of a body but its last byte."""

    def __init__(self) -> None:
        self.sent, self.said = 0, b""

    async def run(self, port: int, path: str, chunk: bytes) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        listening = asyncio.ensure_future(reader.read(4096))
        try:
            writer.write(head(path, BODY))
            while self.sent + len(chunk) < BODY and not listening.done():
                writer.write(chunk)
                await writer.drain()
                self.sent += len(chunk)
            self.said = await listening
        finally:
            writer.close()


async def test_bodies_that_are_held_back_take_no_more_memory_than_there_is_room_for(service: ServiceProcess) -> None:
    process = psutil.Process(service.pid)
    before, chunk = process.memory_info().rss, b" " * 65536
    senders = [Held() for _ in range(AT_ONCE)]
    running = [
        asyncio.ensure_future(one.run(service.port, f"/v1/ingest/{('crm', 'another')[number % 2]}", chunk))
        for number, one in enumerate(senders)
    ]

    async def refused() -> int:
        return sum(one.said[9:12] == b"503" for one in senders)

    # Two of each source have room.
    await eventually(refused, lambda count: count == AT_ONCE - IN_HAND // BODY, within=90)
    grown = process.memory_info().rss - before
    answer = await asyncio.to_thread(post, service.url, events(100))
    for one in running:
        one.cancel()
    await asyncio.wait(running)

    assert answer.status_code == 202
    assert grown < 4 * IN_HAND


async def test_slow_and_unsigned_floods_on_one_source_leave_the_others_their_places(service: ServiceProcess) -> None:
    slow = [await asyncio.open_connection("127.0.0.1", service.port) for _ in range(300)]
    for _, writer in slow:
        writer.write(head("/v1/ingest/crm", 1000) + b"[")
    flood = asyncio.ensure_future(told(service, (head("/v1/ingest/crm", 2) + b"[]") * 3000, 3000))

    answers = [await told(service, signed(events(1), f"/v1/ingest/{name}")) for name in ("crm", "another") * 5]

    assert all(b" 202 " in answer for answer in answers)
    assert (await flood).count(b"401 Unauthorized") == 3000
    for _, writer in slow:
        writer.close()

"""Nothing of who pulls the cord is anywhere: not in the log, the database, a topic or a metric of a real service.

The client comes from an address of its own, with every header that names somebody, over every path that fails too.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import asyncpg
import httpx
import pytest
from aiokafka import AIOKafkaConsumer

from services.demo.ports import free_port
from tests.integration.tickets.cord.conftest import CORDS
from tests.support.imap_server import ImapServer
from tests.support.processes import ServiceProcess
from tests.support.waiting import eventually

# The client's own address on loopback, and what its headers say.
CLIENT = "127.0.0.77"
PERSON = (CLIENT, "203.0.113.77", "erika", "musterfrau", "laptop", "browser-of-her", "192.0.2.77")
HEADERS = {
    "X-Forwarded-For": "203.0.113.77, 10.0.0.1",
    "X-Real-IP": "203.0.113.77",
    "Forwarded": "for=203.0.113.77;by=laptop",
    "User-Agent": "Browser-of-her/1.0 (erika)",
    "Referer": "https://intranet.example/people/erika.musterfrau",
    "Cookie": "andon_zone=Asia/Tokyo; session=erika",
    "From": "erika@sales.example",
    "Authorization": "Basic ZXJpa2E6bGFwdG9w",
}


def mail(to: str, text: str) -> bytes:
    message = EmailMessage()
    message["Received"] = "from laptop (laptop [192.0.2.77]) by mx.sales.example"
    message["From"], message["To"] = "Erika Musterfrau <erika.musterfrau@sales.example>", to
    message["Subject"], message["Message-ID"] = "Erika needs help", "<1@laptop.sales.example>"
    message["X-Originating-IP"], message["Date"] = "[192.0.2.77]", "Mon, 02 Nov 2026 10:00:00 +0100"
    message.set_content(f"{text}\n\nBest regards,\nErika Musterfrau\nerika.musterfrau@sales.example\n")
    return bytes(message)


@dataclass
class Running:
    """A tickets service with both ways by mail."""

    process: ServiceProcess
    smtp_port: int
    mailbox: ImapServer
    environment: dict[str, str]
    dsn: str

    def link(self) -> tuple[str, str]:
        """The path of a new link, and its mail address."""
        command = [
            sys.executable,
            "-m",
            "services.cli.main",
            "cord",
            "links",
            "new",
            "new",
            "proposal",
            "--format=json",
        ]
        made = json.loads(subprocess.run(command, env=self.environment, capture_output=True, check=True).stdout)
        return "/cord/" + made["address"].rpartition("/")[2], made["mail"]


@pytest.fixture
async def running(kafka: str, dsn: str, prefix: str, tmp_path: Path) -> AsyncIterator[Running]:
    (tmp_path / "policy.yaml").write_text(CORDS)
    mailbox, smtp_port = ImapServer("cord", "secret"), free_port()
    environment = {
        "ANDON_KAFKA": kafka,
        "ANDON_POSTGRES": dsn,
        "ANDON_TOPIC_PREFIX": prefix,
        "ANDON_POLICY": str(tmp_path / "policy.yaml"),
        "ANDON_CORD_BURST": "20",
        "ANDON_CORD_MAIL": "cord@andon.example",
        "ANDON_CORD_SMTP_PORT": str(smtp_port),
        "ANDON_CORD_IMAP_HOST": "127.0.0.1",
        "ANDON_CORD_IMAP_PORT": str(await mailbox.start()),
        "ANDON_CORD_IMAP_SECURITY": "none",
        "ANDON_CORD_IMAP_USER": "cord",
        "ANDON_CORD_IMAP_PASSWORD": "secret",
        "ANDON_CORD_IMAP_EVERY_SECONDS": "1",
    }
    process = ServiceProcess("tickets", environment, tmp_path).start()
    whole = {"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path), **environment}
    try:
        await asyncio.to_thread(process.ready)
        yield Running(process, smtp_port, mailbox, whole, dsn)
    finally:
        await asyncio.to_thread(process.stop)
        await mailbox.stop()


async def pull_by_form(running: Running, path: str) -> None:
    """Well, and in every way that fails."""
    transport = httpx.AsyncHTTPTransport(local_address=CLIENT)
    async with httpx.AsyncClient(transport=transport, base_url=running.process.url, headers=HEADERS) as client:
        taken = await client.post(path, data={"seen": "Form: approvals take a week.", "deal": "4711"})
        assert taken.status_code == 303
        expected = {
            await client.get(taken.headers["location"]): 200,
            await client.get(path): 200,
            await client.post(path, data={"seen": ""}): 422,
            await client.post(path, content=b"seen=x"): 415,
            await client.post(path, data={"seen": "x" * 40_000}): 413,
            await client.put(path): 405,
            await client.get("/cord/erika"): 404,
            await client.post(path, data={"seen": "x"}, headers={"origin": "https://laptop.example"}): 403,
        }
    assert [page.status_code for page in expected] == list(expected.values())
    for page in expected:
        assert "set-cookie" not in page.headers
    break_off(running.process.port, path)


def break_off(port: int, path: str) -> None:
    """A request without an end, one without sense, and a connection that is reset."""
    for text in (
        f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\nseen=erika",
        "erika musterfrau\r\n\r\n",
    ):
        with socket.socket() as client:
            client.bind((CLIENT, 0))
            client.connect(("127.0.0.1", port))
            client.sendall(text.encode())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


async def pull_by_mail(running: Running, to: str) -> None:
    client = aiosmtplib.SMTP(
        hostname="127.0.0.1",
        port=running.smtp_port,
        source_address=(CLIENT, 0),
        local_hostname="laptop.sales.example",
    )
    async with client:
        await client.sendmail("erika.musterfrau@sales.example", [to], mail(to, "SMTP: the tool hangs."))
        with pytest.raises(aiosmtplib.SMTPException):
            await client.sendmail("erika@sales.example", ["erika@andon.example"], b"hello")
        with pytest.raises(aiosmtplib.SMTPException):
            await client.sendmail("erika@sales.example", [to], b"From: erika\r\n\r\n> laptop\r\n")
        await client.execute_command(b"ERIKA", b"laptop")
        await client.execute_command(b"AUTH", b"PLAIN", b"AGVyaWthAGxhcHRvcA==")


async def stored(dsn: str) -> str:
    """Every row of every table of the service as text, bytes also as what they spell."""
    connection = await asyncpg.connect(dsn)
    tables = await connection.fetch(
        "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    )
    rows = list[str]()
    await connection.execute("SET bytea_output = 'escape'")
    for schema, table in tables:
        found = await connection.fetch(f'SELECT t::text FROM "{schema}"."{table}" AS t')
        rows += [row[0] for row in found]
    await connection.close()
    return "\n".join(rows)


async def published(kafka: str, prefix: str) -> str:
    """Every record of every topic."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest", group_id=None)
    await consumer.start()
    try:
        topics = [name for name in await consumer.topics() if name.startswith(prefix)]
        consumer.subscribe(topics)
        texts, found = list[str](), {1: [None]}
        while found or not texts:
            found = await consumer.getmany(timeout_ms=2000)  # type: ignore[assignment]
            for records in found.values():
                texts += [f"{one.key!r} {one.value!r} {one.headers!r}" for one in records]  # type: ignore[attr-defined]
        return "\n".join(texts)
    finally:
        await consumer.stop()


def names_somebody(text: str) -> Iterator[str]:
    """The lines that do."""
    for line in text.splitlines():
        if any(one in line.lower() for one in PERSON):
            yield line[:500]


async def test_nothing_of_the_person_is_stored_logged_or_published(running: Running, kafka: str, prefix: str) -> None:
    path, address = await asyncio.to_thread(running.link)
    await pull_by_form(running, path)
    await pull_by_mail(running, address)
    running.mailbox.deliver(mail(address, "IMAP: nobody knows the price."))
    await eventually(lambda: asyncio.sleep(0, running.mailbox.mails), lambda mails: not mails)

    async def waiting() -> int:
        connection = await asyncpg.connect(running.dsn)
        left: int = await connection.fetchval(
            "SELECT (SELECT count(*) FROM tickets.outbox) + (SELECT count(*) FROM tickets.ticket_message)"
        )
        await connection.close()
        return left

    await eventually(waiting, lambda left: left == 0)
    metrics = await asyncio.to_thread(running.process.get, "/metrics")
    await asyncio.to_thread(running.process.stop)
    places = {
        "log": running.process.log.read_text(),
        "metrics": metrics,
        "database": await stored(running.dsn),
        "topics": await published(kafka, prefix),
    }
    for said in ("Form: approvals take a week.", "SMTP: the tool hangs.", "IMAP: nobody knows the price."):
        assert said in places["database"]
        assert said in places["topics"]
    assert places["log"].count("cord pulled") == 3
    assert 'andon_cord_pulls_total{way="imap"} 1.0' in metrics
    assert {place: list(names_somebody(text)) for place, text in places.items()} == {place: [] for place in places}
    # Nor how to use the link again.
    assert path.rpartition("/")[2] not in "".join(places.values())

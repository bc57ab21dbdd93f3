"""Returned mails through a real SMTP server: an address is turned off by its own notification only, and shown."""

from __future__ import annotations

import asyncio
import smtplib
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest
from starlette.applications import Starlette

from services.demo.ports import free_port
from services.notifier.bounces.door import BounceDoor
from services.notifier.bounces.returned import BounceMailboxHandler
from services.notifier.store import addresses
from services.notifier.web.pages import PreferencePages
from shared.policy import parse
from shared.postgres.pool import TRANSIENT, open_pool
from shared.runtime.mailbox import MailboxAccess
from shared.runtime.mailbox_poll import MailboxPoll
from tests.support.imap_server import ImapServer
from tests.support.notice_rig import LINKS, NoticeRig
from tests.support.problems import POLICY, ticket_event
from tests.support.waiting import eventually
from tests.unit.notifier.test_dsn import OUT_OF_OFFICE, fields
from tests.unit.notifier.test_dsn import dsn as notification

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
HEAD = "head@sales.example"
UNKNOWN = notification(fields("failed", "5.1.1", "smtp; 550 5.1.1 user unknown"))
FULL = notification(fields("failed", "5.2.2", "smtp; 552 5.2.2 mailbox full"))
DELAYED = notification(fields("delayed", "4.2.2", "smtp; 452 4.2.2 mailbox full"))


@pytest.fixture
async def rig(dsn: str) -> AsyncIterator[NoticeRig]:
    pool = await open_pool(dsn, "notices")
    made = await NoticeRig(pool, parse(POLICY), NOON).begin()
    await made.handle(ticket_event())
    await made.send()
    yield made
    await pool.close()


@pytest.fixture
async def door(rig: NoticeRig) -> AsyncIterator[int]:
    port = free_port()
    task = asyncio.ensure_future(BounceDoor("127.0.0.1", port, rig.preferences).run())

    async def listens() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        return True

    await eventually(listens)
    yield port
    task.cancel()
    await asyncio.wait([task])


async def returned(port: int, to: str, raw: bytes) -> None:
    """Hand a mail to the door, as the mail server of the bounce domain would: with an empty sender."""

    def send() -> None:
        with smtplib.SMTP("127.0.0.1", port) as client:
            client.sendmail("", [to], raw)

    await asyncio.to_thread(send)


async def is_off(rig: NoticeRig) -> bool:
    (known,) = [one for one in await addresses.read(rig.pool) if one.address == HEAD]
    return known.choice.bounced


async def return_path(rig: NoticeRig) -> str:
    return LINKS.return_path(await rig.pool.fetchval("SELECT max(id) FROM mail")) or ""


async def test_an_unknown_address_is_turned_off_and_shown(rig: NoticeRig, door: int) -> None:
    await rig.handle(ticket_event(ticket=2))
    await returned(door, LINKS.return_path(1) or "", UNKNOWN)
    await returned(door, LINKS.return_path(1) or "", UNKNOWN)

    assert await is_off(rig)
    assert await rig.mails() == [("opened", "head", "sent"), ("single", "head", "dropped")]
    assert await rig.results() == [("opened", "bounced", "owner")]
    assert await rig.pool.fetchval("SELECT bounce FROM mail WHERE id = 1") == "5.1.1 550 5.1.1 user unknown"
    await rig.handle(ticket_event(ticket=3))
    assert len(await rig.mails()) == 2
    await rig.preferences.measure()
    assert {s.labels["by"]: s.value for m in rig.metrics.off.collect() for s in m.samples} == {"bounce": 1, "reader": 0}


async def test_mails_go_out_again_once_a_person_turns_it_on(rig: NoticeRig, door: int) -> None:
    await returned(door, await return_path(rig), UNKNOWN)
    assert await rig.preferences.revive(HEAD)
    await rig.handle(ticket_event(ticket=3))

    assert (await rig.mails())[-1] == ("opened", "head", "waiting")


@pytest.mark.parametrize("raw", [FULL, DELAYED, OUT_OF_OFFICE])
async def test_what_may_pass_turns_nothing_off(rig: NoticeRig, door: int, raw: bytes) -> None:
    await returned(door, await return_path(rig), raw)

    assert not await is_off(rig)
    assert await rig.results() == ([("opened", "bounced", "owner")] if raw is FULL else [])


@pytest.mark.parametrize(
    "to", ["bounce+1-00000000000000000000@bounce.example", "head@sales.example", "bounce@x.example"]
)
async def test_a_forged_notification_is_refused(rig: NoticeRig, door: int, to: str) -> None:
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        await returned(door, to, UNKNOWN)

    assert not await is_off(rig)


async def test_a_notification_about_a_forgotten_mail_is_accepted_and_left(rig: NoticeRig, door: int) -> None:
    await returned(door, LINKS.return_path(999_999) or "", UNKNOWN)

    assert not await is_off(rig)


async def test_a_notification_of_any_size_costs_no_memory(rig: NoticeRig, door: int) -> None:
    with pytest.raises(smtplib.SMTPException):
        await returned(door, await return_path(rig), UNKNOWN + b"x" * 2_000_000)

    assert not await is_off(rig)


@pytest.fixture
async def mailbox(rig: NoticeRig) -> AsyncIterator[tuple[ImapServer, MailboxPoll]]:
    server = ImapServer("bounce", "secret")
    port = await server.start()
    access = MailboxAccess("127.0.0.1", port, "bounce", "secret", "INBOX", tls=False)
    yield server, MailboxPoll(access, BounceMailboxHandler(rig.preferences), 60, TRANSIENT)
    await server.stop()


def to(address: str, raw: bytes, header: str = "Delivered-To") -> bytes:
    """A mail as a mailbox has it: the server adds whom it delivered it to."""
    return f"{header}: {address}\r\n".encode() + raw


async def test_a_notification_in_a_mailbox_turns_its_address_off(
    rig: NoticeRig, mailbox: tuple[ImapServer, MailboxPoll]
) -> None:
    server, poll = mailbox
    path = await return_path(rig)
    for _ in range(2):
        server.deliver(to(path, UNKNOWN))
        assert await poll.look() == 1

    assert await is_off(rig)
    assert await rig.results() == [("opened", "bounced", "owner")]
    assert server.mails == {}
    transport = httpx.ASGITransport(Starlette(routes=PreferencePages(rig.preferences).routes()))
    async with httpx.AsyncClient(transport=transport) as browser:
        assert "5.1.1 550 5.1.1 user unknown" in (await browser.get(LINKS.page(HEAD) or "")).text


@pytest.mark.parametrize("raw", [FULL, DELAYED, OUT_OF_OFFICE])
async def test_what_may_pass_is_taken_from_the_mailbox_and_turns_nothing_off(
    rig: NoticeRig, mailbox: tuple[ImapServer, MailboxPoll], raw: bytes
) -> None:
    server, poll = mailbox
    server.deliver(to(await return_path(rig), raw))

    assert await poll.look() == 1
    assert server.mails == {}
    assert not await is_off(rig)


async def test_mails_to_others_and_forged_notifications_stay_in_the_mailbox(
    rig: NoticeRig, mailbox: tuple[ImapServer, MailboxPoll]
) -> None:
    server, poll = mailbox
    server.deliver(to("bounce+1-00000000000000000000@bounce.example", UNKNOWN))
    server.deliver(to("boss@sales.example", UNKNOWN, "Cc"))

    assert await poll.look() == 0
    assert len(server.mails) == 2
    assert not await is_off(rig)

"""The cord by a mailbox: a real IMAP client of the standard library against a server in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from email.message import EmailMessage
from imaplib import IMAP4

import pytest

from services.demo.ports import free_port
from services.tickets.cord.mail_address import CordAddress
from services.tickets.cord.mail_pulls import MAX_BYTES
from services.tickets.cord.mailbox_handler import CordMailboxHandler
from shared.postgres.pool import TRANSIENT
from shared.runtime.mailbox import MailboxAccess, MailboxRefused
from shared.runtime.mailbox_poll import MailboxPoll
from tests.integration.tickets.cord.conftest import CordWorld
from tests.support.imap_server import ImapServer

ADDRESS = CordAddress("cord@andon.example")


def mail(to: str, text: str = "It waits.", header: str = "To") -> bytes:
    message = EmailMessage()
    message["From"], message[header] = "Erika <erika@sales.example>", to
    message.set_content(text)
    return bytes(message)


@pytest.fixture(params=[True, False], ids=["uidplus", "plain"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[ImapServer]:
    server = ImapServer("cord", "secret", request.param)
    server.port = await server.start()  # type: ignore[attr-defined]
    yield server
    await server.stop()


def access(server: ImapServer) -> MailboxAccess:
    return MailboxAccess("127.0.0.1", server.port, "cord", "secret", "INBOX", tls=False)  # type: ignore[attr-defined]


def poll(world: CordWorld, server: ImapServer) -> MailboxPoll:
    return poll_of(world, access(server))


def poll_of(world: CordWorld, mailbox: MailboxAccess) -> MailboxPoll:
    handler = CordMailboxHandler(world.cords, world.mails, ADDRESS, world.metrics)
    return MailboxPoll(mailbox, handler, 60, TRANSIENT)


@pytest.mark.parametrize("header", ["To", "Cc", "Delivered-To", "X-Original-To"])
async def test_a_mail_to_a_cord_pulls_it_and_is_gone(world: CordWorld, server: ImapServer, header: str) -> None:
    server.deliver(mail(f"Cord <{ADDRESS.of(await world.link())}>", header=header))

    assert await poll(world, server).look() == 1

    assert await world.changes() == [(1, 1, "opened", "It waits.")]
    assert (server.mails, server.deleted) == ({}, set())
    assert world.metric("andon_cord_pulls_total", way="imap") == 1


async def test_all_other_mails_are_left_alone_and_looked_at_once(world: CordWorld, server: ImapServer) -> None:
    link = ADDRESS.of(await world.link())
    others = [
        server.deliver(mail(to))
        for to in ("boss@sales.example", "cord@andon.example", f"cord+{'a' * 26}@andon.example")
    ]
    server.deliver(mail(link))
    mailbox = poll(world, server)

    assert (await mailbox.look(), await mailbox.look()) == (1, 0)

    assert sorted(server.mails) == others
    assert server.commands.count("UID FETCH") == len(others) + 2
    server.uidvalidity += 1
    await mailbox.look()
    assert server.commands.count("UID FETCH") == 2 * len(others) + 2


async def test_a_mail_that_is_read_again_pulls_once(world: CordWorld, server: ImapServer) -> None:
    """As after a crash between the pull and the deletion, or where two replicas look at once."""
    raw = mail(ADDRESS.of(await world.link()))
    for _ in range(2):
        server.deliver(raw)
        await poll(world, server).look()

    assert len(await world.changes()) == 1
    assert server.mails == {}


async def test_a_flood_waits_in_the_mailbox(world: CordWorld, server: ImapServer) -> None:
    to = ADDRESS.of(await world.link())
    for n in range(6):
        server.deliver(mail(to, f"It waits {n}."))

    assert await poll(world, server).look() == 4
    assert len(server.mails) == 2
    world.clock.pass_by(minutes=10)
    assert await poll(world, server).look() == 2
    assert len(await world.changes()) == 6


async def test_a_mail_without_words_is_deleted_all_the_same(world: CordWorld, server: ImapServer) -> None:
    server.deliver(mail(ADDRESS.of(await world.link()), "> quoted"))

    await poll(world, server).look()

    assert server.mails == {}
    assert await world.changes() == []


async def test_a_large_mail_is_read_in_part(world: CordWorld, server: ImapServer) -> None:
    raw = mail(ADDRESS.of(await world.link()))
    server.deliver(raw + b"x" * 2 * MAX_BYTES)

    assert await poll(world, server).look() == 1
    assert [change[3][:9] for change in await world.changes()] == ["It waits."]  # type: ignore[index]


async def test_a_mailbox_that_cannot_be_opened_says_so(world: CordWorld, server: ImapServer) -> None:
    right = access(server)
    wrong = [
        (replace(right, password='sec"ret'), IMAP4.error),
        (replace(right, folder="Other"), MailboxRefused),
        (replace(right, port=free_port()), OSError),
    ]
    for one, error in wrong:
        with pytest.raises(error):
            await poll_of(world, one).look()

"""The cord by SMTP: a real client and a real server over a real Postgres."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from email.message import EmailMessage

import aiosmtplib
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.demo.ports import free_port
from services.tickets.cord.mail_address import CordAddress
from services.tickets.cord.mail_pulls import MAX_BYTES
from services.tickets.cord.smtp_door import MAX_CONNECTIONS, MAX_CORDS, CordMailHandler, SmtpDoor
from services.tickets.domain.tokens import new_token
from services.tickets.store import cord_links
from tests.integration.tickets.cord.conftest import CordWorld

ADDRESS = CordAddress("Cord@andon.example")


def mail(text: str, date: str = "Mon, 02 Nov 2026 10:00:00 +0100") -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Date"] = "Erika <erika@sales.example>", "x@andon.example", date
    message.set_content(text)
    return bytes(message)


@pytest.fixture
async def port(world: CordWorld) -> AsyncIterator[int]:
    port = free_port()
    handler = CordMailHandler(world.cords, world.mails, ADDRESS, world.metrics)
    serving = asyncio.ensure_future(SmtpDoor("127.0.0.1", port, handler, ADDRESS).run())
    await asyncio.sleep(0.05)
    yield port
    serving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await serving


async def send(port: int, to: str | list[str], raw: bytes) -> aiosmtplib.SMTPResponse | tuple[object, str]:
    recipients = [to] if isinstance(to, str) else to
    return await aiosmtplib.send(
        raw, sender="erika@sales.example", recipients=recipients, hostname="127.0.0.1", port=port
    )


async def refused(port: int, to: str | list[str], raw: bytes) -> int:
    """The code of a refusal."""
    with pytest.raises(aiosmtplib.SMTPException) as error:
        await send(port, to, raw)
    found = error.value
    if isinstance(found, aiosmtplib.SMTPRecipientsRefused):
        return found.recipients[0].code
    assert isinstance(found, aiosmtplib.SMTPResponseException)
    return found.code


async def test_a_mail_to_the_address_of_a_link_pulls_the_cord(world: CordWorld, port: int) -> None:
    token = await world.link()

    _, answer = await send(port, ADDRESS.of(token), mail("It waits.\nDeal: 4711\n\n-- \nErika\n+49 170 1"))

    assert "the cord is pulled" in answer
    assert await world.changes() == [(1, 1, "opened", "It waits. (Deal 4711.)")]
    assert world.metric("andon_cord_pulls_total", way="smtp") == 1


async def test_upper_case_and_several_cords_in_one_mail(world: CordWorld, port: int) -> None:
    one, again, demo = await world.link(), await world.link(), await world.link("demo")

    await send(port, [ADDRESS.of(one).upper(), ADDRESS.of(again), ADDRESS.of(demo)], mail("It waits."))

    assert sorted(change[:3] for change in await world.changes()) == [(1, 1, "opened"), (2, 1, "opened")]


async def test_a_mail_that_comes_again_pulls_once(world: CordWorld, port: int) -> None:
    to = ADDRESS.of(await world.link())
    for _ in range(2):
        await send(port, to, mail("It waits."))
    world.clock.pass_by(days=6)
    await send(port, to, mail("It waits."))
    await send(port, to, mail("It waits.", "Mon, 02 Nov 2026 11:00:00 +0100"))

    assert [change[2] for change in await world.changes()] == ["opened", "pulled"]


async def test_keys_and_hashes_of_mails_are_forgotten_after_two_weeks(world: CordWorld, port: int) -> None:
    to = ADDRESS.of(await world.link())
    await send(port, to, mail("It waits."))
    first = await world.pool.fetchval("SELECT key FROM cord_window")
    world.clock.pass_by(days=14)
    await send(port, to, mail("Another."))

    assert await world.pool.fetchval("SELECT count(*) FROM cord_mail") == 1
    assert first not in [row["key"] for row in await world.pool.fetch("SELECT key FROM cord_window")]


NO_LINK = f"cord+{'a' * 26}@andon.example"
STRANGERS = ["cord@andon.example", NO_LINK, "boss@sales.example", "cord+x@andon.example", "cord+%s@x.y"]


@pytest.mark.parametrize("to", STRANGERS)
async def test_it_relays_nothing(world: CordWorld, port: int, to: str) -> None:
    assert await refused(port, to.replace("%s", await world.link()), mail("hello")) == 550


async def test_a_revoked_link_takes_no_mail(world: CordWorld, port: int) -> None:
    token = await world.link()
    await cord_links.revoke(world.pool, (await world.link_of(token)).id, world.clock.now())

    assert await refused(port, ADDRESS.of(token), mail("hello")) == 550
    assert await refused(port, ADDRESS.of(new_token()), mail("hello")) == 550


async def test_a_flood_is_told_to_come_later(world: CordWorld, port: int) -> None:
    to = ADDRESS.of(await world.link())
    for n in range(4):
        await send(port, to, mail(f"It waits {n}."))

    assert await refused(port, to, mail("And more.")) == 450
    world.clock.pass_by(minutes=5)
    await send(port, to, mail("And more."))
    assert len(await world.changes()) == 5


async def test_what_cannot_be_a_pull_is_refused_for_good(world: CordWorld, port: int) -> None:
    to = ADDRESS.of(await world.link())
    automatic = b"Auto-Submitted: auto-replied\r\n" + mail("I am out of the office.")

    assert await refused(port, to, automatic) == 554
    assert await refused(port, to, mail("> only quoted")) == 554
    assert await refused(port, to, mail("x" + "\r\nline" * (MAX_BYTES // 6))) == 552
    several = [ADDRESS.of(await world.link()) for _ in range(MAX_CORDS + 1)]
    assert len((await send(port, several, mail("It waits.")))[0]) == 1  # type: ignore[arg-type]


async def test_a_line_without_an_end_costs_no_memory(world: CordWorld, port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<" + ADDRESS.of(await world.link()).encode() + b">\r\nDATA\r\n"
    )
    sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < 20 * MAX_BYTES:
            writer.write(b"x" * 65_536)
            await writer.drain()
            sent += 65_536

    assert sent < 20 * MAX_BYTES
    writer.close()
    assert await world.changes() == []


async def test_connections_beyond_the_limit_are_told_to_come_later(world: CordWorld, port: int) -> None:
    open_ones = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MAX_CONNECTIONS)]
    for reader, _ in open_ones:
        assert (await reader.readline()).startswith(b"220")

    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    assert (await reader.readline()).startswith(b"421")
    for _, one in [*open_ones, (reader, writer)]:
        one.close()
    await asyncio.sleep(0.05)
    await send(port, ADDRESS.of(await world.link()), mail("It waits."))


COMMANDS = st.sampled_from([b"DATA", b"MAIL FROM:<>", b"RCPT TO:<a>", b"RSET", b"."])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(st.binary(max_size=60), COMMANDS)))
async def test_any_commands_are_answered_and_pull_nothing(world: CordWorld, port: int, lines: list[bytes]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"EHLO x\r\n" + b"\r\n".join(lines) + b"\r\nQUIT\r\n")
    writer.write_eof()
    assert (await reader.readline()).startswith(b"220")
    await reader.read()
    writer.close()

    assert await world.changes() == []

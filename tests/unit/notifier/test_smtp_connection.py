"""The connection to a real mail server is kept, and replaced where the server, or what lies between, has ended it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from services.notifier.delivery import smtp
from services.notifier.delivery.smtp import SmtpServer, Undelivered
from services.notifier.settings import NotifierSettings
from tests.support.sink import Sink, sink


class Sending:
    """Sends mails through one `SmtpServer`, by a clock that the test moves on."""

    def __init__(self, server: Sink) -> None:
        self.seconds = 0.0
        self.smtp = SmtpServer(
            NotifierSettings(smtp_port=server.port, smtp_timeout_seconds=2), now=lambda: self.seconds
        )

    async def mail(self) -> None:
        await self.smtp.connect()
        deadline = asyncio.get_running_loop().time() + self.smtp.send_seconds
        await self.smtp.send(b"Subject: x\r\n\r\nx\r\n", "head@sales.example", deadline)


@pytest.fixture
def server() -> Iterator[Sink]:
    with sink() as running:
        yield running


@pytest.fixture
def sending(server: Sink) -> Iterator[Sending]:
    sending = Sending(server)
    yield sending
    sending.smtp.close()


@pytest.mark.parametrize("pause", [0.1, 30])
async def test_mails_share_a_connection_also_after_a_pause(server: Sink, sending: Sending, pause: float) -> None:
    for _ in range(3):
        await sending.mail()
        sending.seconds += pause

    assert (len(server.raw), len(server.names)) == (3, 1)


@pytest.mark.parametrize("answer", ["421 4.4.2 idle for too long", "500 what"])
async def test_one_that_does_not_answer_well_after_a_pause_is_replaced(
    server: Sink, sending: Sending, answer: str
) -> None:
    await sending.mail()
    server.next_answers["RSET"] = answer
    sending.seconds += 30

    await sending.mail()

    assert (len(server.raw), len(server.names)) == (2, 2)


async def test_one_that_was_lost_silently_is_replaced(
    server: Sink, sending: Sending, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "ALIVE_SECONDS", 0.2)
    await sending.mail()
    server.reset_after = 3
    sending.seconds += 30

    await sending.mail()

    assert (len(server.raw), len(server.names)) == (2, 2)


@pytest.mark.parametrize("pause", [0.1, 30])
async def test_one_that_the_server_closed_is_replaced(server: Sink, sending: Sending, pause: float) -> None:
    await sending.mail()
    server.hang_up_soon()
    await asyncio.sleep(0.2)
    sending.seconds += pause

    await sending.mail()

    assert (len(server.raw), len(server.names)) == (2, 2)


async def test_a_server_that_ends_it_at_the_next_mail_gets_the_mail_on_a_new_one(
    server: Sink, sending: Sending
) -> None:
    await sending.mail()
    server.next_answers["MAIL"] = "421 4.7.0 too many mails on this connection"

    await sending.mail()

    assert (len(server.raw), len(server.names)) == (2, 2)


async def test_a_server_that_is_unavailable_is_tried_once_more_and_not_for_ever(server: Sink, sending: Sending) -> None:
    await sending.mail()
    server.answers["MAIL"] = "421 4.3.2 not now"

    with pytest.raises(Undelivered, match="not now") as caught:
        await sending.mail()

    assert (caught.value.server_works, caught.value.possibly_delivered) == (False, False)
    assert (len(server.raw), len(server.names)) == (1, 2)


async def test_a_new_connection_that_the_server_ends_is_not_replaced_at_once(server: Sink, sending: Sending) -> None:
    server.answers["MAIL"] = "421 4.3.2 not now"

    with pytest.raises(Undelivered, match="not now"):
        await sending.mail()

    assert len(server.names) == 1


async def test_another_refusal_is_no_reason_to_try_again(server: Sink, sending: Sending) -> None:
    await sending.mail()
    server.answers["MAIL"] = "451 4.7.1 greylisted"

    with pytest.raises(Undelivered, match="451"):
        await sending.mail()

    assert len(server.names) == 1


async def test_an_idle_connection_is_signed_off(server: Sink, sending: Sending) -> None:
    await sending.mail()
    sending.seconds += 59
    await sending.smtp.end_idle()
    assert server.quits == 0

    sending.seconds += 2
    await sending.smtp.end_idle()
    assert server.quits == 1

    await sending.smtp.end_idle()
    await sending.mail()
    assert (server.quits, len(server.raw), len(server.names)) == (1, 2, 2)


async def test_an_idle_connection_that_the_server_closed_is_forgotten(server: Sink, sending: Sending) -> None:
    await sending.mail()
    server.hang_up_soon()
    await asyncio.sleep(0.2)
    sending.seconds += 61

    await sending.smtp.end_idle()
    await sending.mail()

    assert (server.quits, len(server.raw)) == (0, 2)

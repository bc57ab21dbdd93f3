"""The connection to a real mail server: what a fault or an answer means for the mail."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from services.notifier.delivery.smtp import SmtpServer, Undelivered
from services.notifier.settings import NotifierSettings
from tests.support.certificates import Authority
from tests.support.sink import Sink, sink

CONTENT = b"Subject: x\r\n\r\n.\r\n..dots\r\n"


def settings(server: Sink, **given: Any) -> NotifierSettings:
    return NotifierSettings(**{"smtp_port": server.port, "smtp_timeout_seconds": 5, **given})


async def sent(chosen: NotifierSettings, content: bytes = CONTENT) -> None:
    server = SmtpServer(chosen)
    try:
        await server.connect()
        await server.send(content, "head@sales.example", asyncio.get_running_loop().time() + server.send_seconds)
    finally:
        server.close()


async def fault_of(chosen: NotifierSettings) -> Undelivered:
    with pytest.raises(Undelivered) as caught:
        await sent(chosen)
    return caught.value


@pytest.fixture
def server() -> Iterator[Sink]:
    with sink() as running:
        yield running


@pytest.mark.parametrize("case", ["private CA", "expired", "another name"])
async def test_a_certificate_that_does_not_verify_under_starttls_refuses_no_mail(case: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    tls = authority.server("127.0.0.9" if case == "another name" else "127.0.0.1", ended=case == "expired")
    trusted = "" if case == "private CA" else authority.pem
    with sink(tls) as running:
        fault = await fault_of(settings(running, smtp_security="starttls", smtp_ca=trusted))

    assert "CERTIFICATE_VERIFY_FAILED" in fault.answer
    assert (fault.final, fault.server_works, fault.possibly_delivered) == (False, False, False)
    assert running.contents == 0


async def test_a_private_ca_that_is_trusted_verifies(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with sink(authority.server()) as running:
        await sent(settings(running, smtp_security="starttls", smtp_ca=authority.pem))

    assert len(running.raw) == 1


def test_text_that_is_no_certificate_is_no_ca() -> None:
    with pytest.raises(ValidationError, match="holds no certificate in PEM"):
        NotifierSettings(smtp_ca="-----BEGIN CERTIFICATE-----\nx")


@pytest.mark.parametrize(
    "host", ["mail..example", "mail.invalid", "ma il", "bücher.invalid", "x" * 300, ".", "[::1", "127.0.0.1:25"]
)
async def test_a_host_name_that_is_none_refuses_no_mail(host: str) -> None:
    fault = await fault_of(NotifierSettings(smtp_host=host, smtp_timeout_seconds=5))

    assert (fault.final, fault.server_works, fault.possibly_delivered) == (False, False, False)


@pytest.mark.parametrize("security", ["tls", "starttls"])
async def test_a_server_without_tls_refuses_no_mail(server: Sink, security: str) -> None:
    fault = await fault_of(settings(server, smtp_security=security))

    assert (fault.final, fault.server_works) == (False, False)


async def test_a_server_without_sign_in_refuses_no_mail(server: Sink) -> None:
    fault = await fault_of(settings(server, smtp_username="robot", smtp_password="x"))

    assert (fault.final, fault.server_works) == (False, False)


@pytest.mark.parametrize(
    ("step", "answer", "final", "works"),
    [
        ("EHLO", "550 5.7.1 helo name refused", False, False),
        ("MAIL", "550 5.1.8 sender unknown", False, False),
        ("MAIL", "550 no such user", False, False),
        ("MAIL", "552 5.3.4 message too big", True, True),
        ("RCPT", "550 5.1.1 no such user", True, True),
        ("RCPT", "550 5.7.1 relaying denied", False, True),
        ("RCPT", "452 4.2.2 mailbox full", False, True),
        ("RCPT", "999 what", False, True),
        ("DATA", "554 5.6.0 bad content", True, True),
        ("DATA", "554 5.7.1 spam", False, True),
        ("DATA", "421 closing", False, False),
    ],
)
async def test_an_answer_is_final_only_about_the_recipient_or_the_content(
    server: Sink, step: str, answer: str, final: bool, works: bool
) -> None:
    server.answers[step] = answer
    if step == "DATA":
        server.answer = lambda raw: answer
    fault = await fault_of(settings(server))

    assert (fault.final, fault.server_works, fault.possibly_delivered) == (final, works, False)
    assert answer in fault.answer


@pytest.mark.parametrize("answer", ["999 what", "354 go on", "100 wait"])
async def test_an_answer_to_the_content_that_means_nothing_leaves_open_who_has_the_mail(
    server: Sink, answer: str
) -> None:
    server.answer = lambda raw: answer
    fault = await fault_of(settings(server))

    assert (fault.final, fault.possibly_delivered) == (False, True)


async def test_a_lost_answer_to_the_content_leaves_open_who_has_the_mail(server: Sink) -> None:
    server.on_mail = server.hang_up
    fault = await fault_of(settings(server))

    assert (fault.final, fault.server_works, fault.possibly_delivered) == (False, False, True)


async def test_the_answer_to_the_content_may_take_longer_than_all_others(server: Sink) -> None:
    server.answer_after = 1.2
    await sent(settings(server, smtp_timeout_seconds=1))

    assert server.contents == 1


async def test_the_answer_to_the_content_is_not_awaited_for_ever(server: Sink) -> None:
    server.answer_after = 2.0
    fault = await fault_of(settings(server, smtp_accept_seconds=0.3))

    assert fault.possibly_delivered
    assert "Timed out waiting for server response" in fault.answer


async def test_lines_of_dots_arrive_as_they_are(server: Sink) -> None:
    await sent(settings(server))

    assert server.raw[0].endswith(b"\r\n\r\n.\r\n..dots\r\n")


async def test_the_helo_name_is_a_setting(server: Sink) -> None:
    await sent(settings(server, smtp_helo_name="andon.example.org"))
    await sent(settings(server, smtp_helo_name="[192.0.2.1]"))

    assert server.names == ["andon.example.org", "[192.0.2.1]"]


@pytest.mark.parametrize("name", ["two words", "a\r\nMAIL", "-x", "bücher"])
def test_a_helo_name_that_is_none_is_an_error(name: str) -> None:
    with pytest.raises(ValidationError):
        NotifierSettings(smtp_helo_name=name)


async def test_an_answer_can_be_stored_whatever_its_bytes(server: Sink) -> None:
    server.answers["RCPT"] = "550 no \x00 \u202e " + "long " * 400
    fault = await fault_of(settings(server))

    assert fault.answer.startswith("RCPT TO: 550 no long")
    assert len(fault.answer) <= 500
    fault.answer.encode()


def test_a_password_in_clear_is_known() -> None:
    assert NotifierSettings(smtp_username="robot").sends_password_in_clear
    assert not NotifierSettings(smtp_username="robot", smtp_security="starttls").sends_password_in_clear
    assert not NotifierSettings().sends_password_in_clear

"""A real SMTP server for tests: keeps the mails it accepts, and can refuse, defer, be slow or be down."""

from __future__ import annotations

import asyncio
import email
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller

from services.demo.ports import free_port


class Sink:
    """`answer` says what the server answers to a mail; `on_mail` is called before it answers.

    `answers`: what it answers to EHLO (and HELO), MAIL, RCPT and RSET instead of its acceptance; `next_answers`: to the
    next one only. `answer_after`: seconds from the content to its answer, `reset_after`: from RSET to its answer.
    `quits` counts the clients that signed off, `contents` the mails that arrived whole, accepted or not. `tls`: offer
    STARTTLS, and ask for it.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.port = free_port()
        self.tls = tls
        self.answers: dict[str, str] = {}
        self.next_answers: dict[str, str] = {}
        self.answer_after, self.reset_after = 0.0, 0.0
        self.quits = 0
        self.contents = 0
        self.names: list[str] = []
        self.raw: list[bytes] = []
        self.answer: Callable[[bytes], str] = lambda raw: "250 kept"
        self.on_mail: Callable[[], None] = lambda: None
        self._controller: Any = None
        self._at_work: Any = None

    async def handle_EHLO(  # noqa: N802 (aiosmtpd's name)
        self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        self.names.append(hostname)
        if "EHLO" in self.answers:
            return [self.answers["EHLO"]]
        session.host_name = hostname
        return responses

    async def handle_HELO(self, server: Any, session: Any, envelope: Any, hostname: str) -> str:  # noqa: N802
        session.host_name = hostname
        return self.answers.get("EHLO", "250 sink")

    async def handle_MAIL(  # noqa: N802 (aiosmtpd's name)
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        self._at_work = server
        return self.next_answers.pop("MAIL", self.answers.get("MAIL", "250 OK"))

    async def handle_RCPT(  # noqa: N802 (aiosmtpd's name)
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return self.answers.get("RCPT", "250 OK")

    async def handle_RSET(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 (aiosmtpd's name)
        await asyncio.sleep(self.reset_after)
        return self.next_answers.pop("RSET", self.answers.get("RSET", "250 OK"))

    async def handle_QUIT(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 (aiosmtpd's name)
        self.quits += 1
        return "221 Bye"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 (aiosmtpd's name)
        self._at_work = server
        self.contents += 1
        answer = self.answer(envelope.content)
        await asyncio.sleep(self.answer_after)
        if answer.startswith("250"):
            self.raw.append(envelope.content)
        self.on_mail()
        return answer

    @property
    def mails(self) -> list[EmailMessage]:
        return [email.message_from_bytes(raw, policy=default) for raw in self.raw]  # type: ignore[misc, unused-ignore]

    def ids(self) -> list[str]:
        return [str(mail["Message-ID"]) for mail in self.mails]

    def hang_up(self) -> None:
        """The line of the last mail breaks; from `on_mail`: before its answer."""
        self._at_work.transport.abort()

    def hang_up_soon(self) -> None:
        """As `hang_up`, from a test."""
        self._controller.loop.call_soon_threadsafe(self.hang_up)

    def start(self) -> None:
        self._controller = Controller(
            self,
            hostname="127.0.0.1",
            port=self.port,
            data_size_limit=33_554_432,
            tls_context=self.tls,
            require_starttls=self.tls is not None,
        )
        self._controller.start()

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.stop()
            self._controller = None


@contextmanager
def sink(tls: ssl.SSLContext | None = None) -> Iterator[Sink]:
    server = Sink(tls)
    server.start()
    try:
        yield server
    finally:
        server.stop()

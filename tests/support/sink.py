"""A real SMTP server for tests: keeps the mails it accepts, and can refuse, defer or be down."""

from __future__ import annotations

import email
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller

from tests.support.ports import free_port


class Sink:
    """`answer` says what the server answers to a mail; `on_mail` is called before it answers."""

    def __init__(self) -> None:
        self.port = free_port()
        self.raw: list[bytes] = []
        self.answer: Callable[[bytes], str] = lambda raw: "250 kept"
        self.on_mail: Callable[[], None] = lambda: None
        self._controller: Any = None
        self._at_work: Any = None

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 (aiosmtpd's name)
        self._at_work = server
        answer = self.answer(envelope.content)
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
        """From `on_mail`: the line breaks before the answer."""
        self._at_work.transport.abort()

    def start(self) -> None:
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port, data_size_limit=33_554_432)
        self._controller.start()

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.stop()
            self._controller = None


@contextmanager
def sink() -> Iterator[Sink]:
    server = Sink()
    server.start()
    try:
        yield server
    finally:
        server.stop()

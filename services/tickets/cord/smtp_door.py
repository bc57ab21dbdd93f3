"""The SMTP door of the cords: takes mail to them, and to nobody else.

Sender, client and headers are dropped as they come in: they are in memory only, and the library's own log, which names
clients and senders, is off. A mail is acknowledged after its pull is committed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, cast

from aiosmtpd.smtp import SMTP, Envelope, Session

from services.tickets.cord.cords import Cords
from services.tickets.cord.mail_address import CordAddress
from services.tickets.cord.mail_pulls import MAX_BYTES, MailPulls, MailRefused
from services.tickets.cord.metrics import CordMetrics, Way
from services.tickets.domain.pull_faults import LinkRevoked
from services.tickets.domain.rates import TooOften
from services.tickets.store.cord_links import CordLink
from shared.postgres.pool import TRANSIENT
from shared.runtime.log import logger

_log = logger(__name__)
# Of one connection: seconds for one command or the content, bytes in all, commands of one kind, cords of one mail.
COMMAND_SECONDS, MAX_SESSION_BYTES, MAX_COMMANDS, MAX_CORDS = 60, 3 * MAX_BYTES, 30, 5
MAX_CONNECTIONS = 20
LATER = "451 4.3.0 try again later"


class CordMailHandler:
    """What the SMTP server asks about each command. The recipients of an envelope are links, not addresses."""

    def __init__(self, cords: Cords, mails: MailPulls, address: CordAddress, metrics: CordMetrics) -> None:
        self._cords, self._mails, self._address, self._metrics = cords, mails, address, metrics

    async def handle_MAIL(  # noqa: N802 (the library's name)
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Forget the sender at once; the server wants one."""
        envelope.mail_from = "<>"
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Only a cord whose link is in force: this door relays nothing."""
        if len(envelope.rcpt_tos) >= MAX_CORDS:
            return f"452 4.5.3 at most {MAX_CORDS} cords in one mail"
        token = self._address.token_in(address)
        try:
            link = await self._cords.link(token) if token else None
        except (TooOften, *TRANSIENT):
            return LATER
        if link is None:
            self._metrics.refused.labels("no-cord").inc()
            return "550 5.1.1 no cord has this address"
        envelope.rcpt_tos.append(link)  # type: ignore[arg-type, unused-ignore]
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Take the mail; the answer says what became of it."""
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        return await self._answer(content, envelope.rcpt_tos)  # type: ignore[arg-type, unused-ignore]

    async def handle_exception(self, error: Exception) -> str:
        """Called by the server for a fault of its own. Its text may hold a part of the mail."""
        _log.warning("mail to a cord failed", error=type(error).__name__)
        return LATER

    async def _answer(self, content: bytes, links: Sequence[CordLink]) -> str:
        try:
            await self._mails.take(content, links, Way.SMTP)
        except MailRefused as error:
            return f"554 5.6.0 {error}"
        except TooOften:
            return "450 4.7.1 this cord was pulled very often; try again later"
        except LinkRevoked:
            return "550 5.1.1 no cord has this address"
        except TRANSIENT as error:
            _log.warning("mail to a cord waits: database unavailable", error=type(error).__name__)
            return LATER
        return "250 2.0.0 the cord is pulled"


class _CordConnection(SMTP):
    """One connection, which knows nothing of the client, and ends after a number of bytes.

    The library keeps a line without an end, however long it grows.
    """

    def __init__(self, door: SmtpDoor, handler: CordMailHandler, domain: str) -> None:
        super().__init__(
            handler,
            data_size_limit=MAX_BYTES,
            enable_SMTPUTF8=True,
            hostname=domain,
            ident="Andon",
            timeout=COMMAND_SECONDS,
            command_call_limit=MAX_COMMANDS,
            loop=asyncio.get_running_loop(),
        )
        self._door, self._bytes = door, 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self.session is not None:
            self.session.peer = None
        self._door.open_connections += 1
        if self._door.open_connections > MAX_CONNECTIONS:
            # Transports of uvloop are none of asyncio's classes.
            cast("asyncio.Transport", transport).write(b"421 4.3.2 too many connections; try again later\r\n")
            transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._door.open_connections -= 1
        super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        self._bytes += len(data)
        if self._bytes <= MAX_SESSION_BYTES:
            super().data_received(data)
        elif self.transport is not None:
            cast("asyncio.Transport", self.transport).abort()


def _silence(record: logging.LogRecord) -> bool:
    """No line of the library passes: they name clients, senders and what was sent."""
    return False


class SmtpDoor:
    """Listens until cancelled."""

    def __init__(self, host: str, port: int, handler: CordMailHandler, address: CordAddress) -> None:
        self._host, self._port, self._handler, self._address = host, port, handler, address
        self.open_connections = 0
        # Not `disabled`, which every configuration of logging resets.
        logging.getLogger("mail.log").addFilter(_silence)

    async def run(self) -> None:
        """Serve SMTP."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._connection, self._host, self._port)
        _log.info("cords take mail", host=self._host, port=self._port)
        try:
            await asyncio.Event().wait()
        finally:
            server.close()

    def _connection(self) -> Any:
        return _CordConnection(self, self._handler, self._address.domain)

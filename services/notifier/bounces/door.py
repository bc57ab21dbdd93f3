"""An SMTP server that takes returned mails and nothing else. Put it behind the mail server of the bounce domain."""

from __future__ import annotations

import asyncio
from typing import Any

from aiosmtpd.smtp import SMTP

from services.notifier.bounces.returned import MAX_BYTES, record_returned
from services.notifier.preferences import Preferences
from shared.postgres.pool import TRANSIENT
from shared.runtime.log import logger

_log = logger(__name__)
# Of a connection that says nothing.
IDLE_SECONDS = 60


class BounceDoor:
    """One loop. Accepts a mail once what it says is stored; one that says nothing is accepted and left."""

    def __init__(self, host: str, port: int, preferences: Preferences) -> None:
        self._host, self._port, self._preferences = host, port, preferences

    async def run(self) -> None:
        """Serve until cancelled."""
        server = await asyncio.get_running_loop().create_server(self._session, self._host, self._port)
        async with server:
            await server.serve_forever()

    def _session(self) -> SMTP:
        return SMTP(
            self,
            data_size_limit=MAX_BYTES,
            hostname="andon",
            ident="Andon",
            timeout=IDLE_SECONDS,
            loop=asyncio.get_running_loop(),
        )

    async def handle_RCPT(  # noqa: N802 (aiosmtpd's name)
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        """Take addresses that we signed, one per mail."""
        if self._preferences.links.mail_of(address) is None:
            return "550 5.1.1 no mail comes from this address"
        if envelope.rcpt_tos:
            return "452 4.5.3 one recipient at a time"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 (aiosmtpd's name)
        """Store what the notification says."""
        mail = self._preferences.links.mail_of(envelope.rcpt_tos[0])
        assert mail is not None  # noqa: S101 (no other recipient is taken)
        try:
            await record_returned(self._preferences, mail, envelope.content)
        except TRANSIENT as error:
            _log.warning("a returned mail waits: database unavailable", error=repr(error))
            return "451 4.3.0 try again later"
        return "250 OK"

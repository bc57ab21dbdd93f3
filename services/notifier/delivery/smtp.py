"""One connection to the mail server, and what its answers mean."""

from __future__ import annotations

import asyncio
from email.errors import MessageError
from email.message import EmailMessage
from typing import Any

import aiosmtplib

from services.notifier.settings import NotifierSettings

# Codes for faults of our settings (sign-in, TLS): the mail itself is not refused.
_SETTINGS_CODES = (454, 530, 534, 535, 538)
# The address or the picture cannot be written as a mail. This counts as refused by the server.
UNWRITABLE = (ValueError, MessageError)
FAULTS = (aiosmtplib.SMTPException, OSError, TimeoutError, *UNWRITABLE)
# A server may take the time-out for each of its answers: to EHLO, MAIL, RCPT, DATA and the content.
ANSWERS = 5


def is_final(error: Exception) -> bool:
    """Whether this very mail was refused, and would be again."""
    if isinstance(error, UNWRITABLE):
        return True
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return all(is_final(one) for one in error.recipients)
    if isinstance(error, aiosmtplib.SMTPRecipientRefused | aiosmtplib.SMTPSenderRefused | aiosmtplib.SMTPDataError):
        return error.code >= 500 and error.code not in _SETTINGS_CODES
    return False


def has_answered(error: Exception) -> bool:
    """Whether the server itself reported the error, so that it is there for the next mail."""
    return isinstance(error, aiosmtplib.SMTPResponseException)


class _Client(aiosmtplib.SMTP):
    """Knows whether the content of the current mail was on its way: then a lost answer leaves open who has it."""

    content_began = False

    async def data(self, *args: Any, **kwargs: Any) -> aiosmtplib.SMTPResponse:
        self.content_began = True
        return await super().data(*args, **kwargs)


class SmtpServer:
    """The mail server of the settings. One connection is kept, and replaced when it is lost."""

    def __init__(self, settings: NotifierSettings) -> None:
        self._settings = settings
        self._client: _Client | None = None

    @property
    def send_seconds(self) -> float:
        """The longest that one mail can take on an open connection."""
        return ANSWERS * self._settings.smtp_timeout_seconds

    async def connect(self) -> None:
        """Make sure that there is a connection. Raises FAULTS, of which none refuses a mail."""
        if self._client is None or not self._client.is_connected:
            self._client = None
            client = self._new_client()
            try:
                await client.connect()
            except UNWRITABLE as error:
                # A certificate that expired, a host name that cannot be: ValueErrors, and no fault of the mail.
                raise ConnectionError(repr(error)) from error
            self._client = client
        self._client.content_began = False

    def _new_client(self) -> _Client:
        settings = self._settings
        return _Client(
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            use_tls=settings.smtp_security == "tls",
            start_tls=settings.smtp_security == "starttls",
            timeout=settings.smtp_timeout_seconds,
            username=settings.smtp_username or None,
            password=settings.smtp_password.get_secret_value() if settings.smtp_username else None,
        )

    async def send(self, mail: EmailMessage, deadline: float) -> None:
        """Hand over a mail, before `deadline` on the event loop's clock. Raises FAULTS; needs `connect` first."""
        if self._client is None:
            raise ConnectionError("not connected to the mail server")
        async with asyncio.timeout_at(deadline):
            await self._client.send_message(mail)

    def may_have_accepted(self, error: Exception) -> bool:
        """Whether the server could have the mail: its content was on its way, and no answer refused it."""
        refused = has_answered(error) or isinstance(error, aiosmtplib.SMTPRecipientsRefused)
        return self._client is not None and self._client.content_began and not refused

    def close(self) -> None:
        """Drop the connection."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

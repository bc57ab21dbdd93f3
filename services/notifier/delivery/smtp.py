"""One connection to the mail server, and what became of a mail that was handed over."""

from __future__ import annotations

import asyncio
import re
import ssl

import aiosmtplib

from services.notifier.delivery.answers import ServerAnswer, Step, is_final
from services.notifier.domain.safe_text import one_line
from services.notifier.settings import NotifierSettings

# The server may take the time-out for each of its answers to MAIL, RCPT and DATA.
ANSWERS_BEFORE_CONTENT = 3
MAX_ANSWER = 500
_START_INPUT = 354
_UNAVAILABLE = 421
_LINE_WITH_DOT = re.compile(rb"(?m)^\.")


class Undelivered(Exception):
    """An attempt failed.

    `answer`: what the server answered, or the fault. `final`: this mail was refused, and would be again.
    `server_works`: the server may well accept other mails. `possibly_delivered`: it has the content, and its answer
    was lost.
    """

    def __init__(
        self, answer: str, *, final: bool = False, server_works: bool = False, possibly_delivered: bool = False
    ) -> None:
        super().__init__(answer)
        self.answer, self.final = one_line(answer, MAX_ANSWER), final
        self.server_works, self.possibly_delivered = server_works, possibly_delivered

    @classmethod
    def at(cls, step: Step, error: Exception) -> Undelivered:
        """The error that the library raised at this step."""
        if not isinstance(error, aiosmtplib.SMTPResponseException):
            return cls(f"{step}: {describe(error)}", possibly_delivered=step is Step.CONTENT)
        answer = ServerAnswer(step, error.code, error.message)
        final = is_final(answer)
        about_the_mail = step in (Step.RECIPIENT, Step.CONTENT) and error.code != _UNAVAILABLE
        # Neither an acceptance nor a refusal.
        unclear = step is Step.CONTENT and not 400 <= error.code < 600
        return cls(
            f"{step}: {error.code} {error.message}",
            final=final,
            server_works=final or about_the_mail,
            possibly_delivered=unclear,
        )


def describe(error: Exception) -> str:
    """A fault in one line: `TimeoutError`, `OSError: network is down`."""
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


class SmtpServer:
    """The mail server of the settings. One connection is kept, and replaced after a fault or a refusal."""

    def __init__(self, settings: NotifierSettings) -> None:
        self._settings = settings
        self._tls = _tls(settings.smtp_ca)
        self._client: aiosmtplib.SMTP | None = None

    @property
    def send_seconds(self) -> float:
        """The longest that one mail can take on an open connection."""
        return ANSWERS_BEFORE_CONTENT * self._settings.smtp_timeout_seconds + self._settings.smtp_accept_seconds

    async def connect(self) -> None:
        """Make sure that there is a connection. Raises Undelivered, which is never final."""
        if self._client is not None and self._client.is_connected:
            return
        self._client = None
        client = self._new_client()
        try:
            await client.connect()
            await _greet(client)
        except Exception as error:
            # Certificates that expired, host names that cannot exist, faults of the library: none is the mail's.
            client.close()
            raise Undelivered.at(Step.CONNECT, error) from error
        self._client = client

    def _new_client(self) -> aiosmtplib.SMTP:
        settings = self._settings
        return aiosmtplib.SMTP(
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            local_hostname=settings.smtp_helo_name or None,
            use_tls=settings.smtp_security == "tls",
            start_tls=settings.smtp_security == "starttls",
            tls_context=self._tls,
            timeout=settings.smtp_timeout_seconds,
            username=settings.smtp_username or None,
            password=settings.smtp_password.get_secret_value() if settings.smtp_username else None,
        )

    async def send(self, content: bytes, recipient: str, deadline: float, return_path: str | None = None) -> None:
        """Hand over a mail before `deadline` on the event loop's clock. Raises Undelivered; needs `connect` first.

        `return_path`: where it is returned to; None: to the sender.
        """
        client, step = self._client, Step.CONNECT
        try:
            async with asyncio.timeout_at(deadline):
                if client is None or client.protocol is None:
                    raise ConnectionError("connection lost")
                step = Step.SENDER
                await client.mail(return_path or self._settings.smtp_sender, options=_size(client, content))
                step = Step.RECIPIENT
                await client.rcpt(recipient)
                step = Step.DATA
                await _begin_data(client)
                step = Step.CONTENT
                await self._hand_over(client, content)
        except Exception as error:
            self.close()
            raise Undelivered.at(step, error) from error

    async def _hand_over(self, client: aiosmtplib.SMTP, content: bytes) -> None:
        """The library has one time-out for both answers to DATA. The last one may take far longer than all others."""
        if client.protocol is None:
            raise ConnectionError("connection lost")
        client.protocol.write(_LINE_WITH_DOT.sub(b"..", content) + b".\r\n")
        response = await client.protocol.read_response(timeout=self._settings.smtp_accept_seconds)
        if not 200 <= response.code < 300:
            raise aiosmtplib.SMTPDataError(response.code, response.message)

    def close(self) -> None:
        """Drop the connection."""
        client, self._client = self._client, None
        if client is not None:
            client.close()


def _tls(authorities: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if authorities:
        context.load_verify_locations(cadata=authorities)
    return context


async def _greet(client: aiosmtplib.SMTP) -> None:
    if not client.is_ehlo_or_helo_needed:
        return
    try:
        await client.ehlo()
    except aiosmtplib.SMTPHeloError:
        if not client.is_connected:
            raise
        await client.helo()


def _size(client: aiosmtplib.SMTP, content: bytes) -> list[str]:
    return [f"SIZE={len(content)}"] if client.supports_extension("size") else []


async def _begin_data(client: aiosmtplib.SMTP) -> None:
    response = await client.execute_command(b"DATA")
    if response.code != _START_INPUT:
        raise aiosmtplib.SMTPDataError(response.code, response.message)

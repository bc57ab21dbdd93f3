"""One connection to the mail server, and what became of a mail that was handed over."""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import Callable

import aiosmtplib

from services.notifier.delivery.answers import ServerAnswer, Step, is_final
from services.notifier.domain.safe_text import one_line
from services.notifier.settings import NotifierSettings
from shared.runtime.log import logger

_log = logger(__name__)

# The server may take the time-out for each of its answers to MAIL, RCPT and DATA.
ANSWERS_BEFORE_CONTENT = 3
MAX_ANSWER = 500
# A connection that did something so recently is used without asking whether it still answers.
TRUSTED_SECONDS = 1.0
ALIVE_SECONDS = 5.0
# Servers cut off idle connections after minutes.
KEPT_SECONDS = 60.0
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
    """The mail server of the settings. One connection is kept, and replaced after a fault or a refusal.

    `now`: a clock that only goes forward, in seconds.
    """

    def __init__(self, settings: NotifierSettings, now: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._now = settings, now
        self._tls = _tls(settings.smtp_ca)
        self._client: aiosmtplib.SMTP | None = None
        # Of the present connection: how many mails it took, and when it last did something.
        self._sent, self._used_at = 0, 0.0

    @property
    def send_seconds(self) -> float:
        """The longest that one mail can take on an open connection."""
        return ANSWERS_BEFORE_CONTENT * self._settings.smtp_timeout_seconds + self._settings.smtp_accept_seconds

    async def connect(self) -> None:
        """Make sure that there is a connection that answers. Raises Undelivered, which is never final."""
        if self._client is not None and await self._is_alive(self._client):
            return
        self.close()
        client = self._new_client()
        try:
            await client.connect()
            await _greet(client)
        except Exception as error:
            # Certificates that expired, host names that cannot exist, faults of the library: none is the mail's.
            client.close()
            raise Undelivered.at(Step.CONNECT, error) from error
        self._client, self._sent, self._used_at = client, 0, self._now()

    async def _is_alive(self, client: aiosmtplib.SMTP) -> bool:
        """A server may have ended a connection that was idle, and what lies between may have lost it silently."""
        if not client.is_connected:
            return False
        if self._now() - self._used_at < TRUSTED_SECONDS:
            return True
        try:
            await client.rset(timeout=min(ALIVE_SECONDS, self._settings.smtp_timeout_seconds))
        except Exception:
            return False
        self._used_at = self._now()
        return True

    async def end_idle(self) -> None:
        """Sign off where no mail was sent for KEPT_SECONDS. Servers count open connections, and cut off idle ones."""
        client = self._client
        if client is None or self._now() - self._used_at < KEPT_SECONDS:
            return
        self._client = None
        try:
            await client.quit(timeout=ALIVE_SECONDS)
        except Exception as error:
            _log.debug("connection to the mail server was lost while idle", error=describe(error))
        finally:
            client.close()

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

    async def send(
        self,
        content: bytes,
        recipient: str,
        deadline: float,
        return_path: str | None = None,
        is_asked_only: bool = False,
    ) -> None:
        """Hand over a mail before `deadline` on the event loop's clock. Raises Undelivered; needs `connect` first.

        `return_path`: where it is returned to; None: to the sender. `is_asked_only`: only ask whether the server takes
        such a mail for the recipient.
        """
        step = Step.CONNECT
        try:
            async with asyncio.timeout_at(deadline):
                client = self._connected()
                step = Step.SENDER
                client = await self._begin(client, content, return_path or self._settings.smtp_sender)
                step = Step.RECIPIENT
                await client.rcpt(recipient)
                if is_asked_only:
                    await client.rset()
                else:
                    step = Step.DATA
                    await _begin_data(client)
                    step = Step.CONTENT
                    await self._hand_over(client, content)
        except Undelivered:
            raise
        except Exception as error:
            self.close()
            raise Undelivered.at(step, error) from error
        self._sent, self._used_at = self._sent + 1, self._now()

    def _connected(self) -> aiosmtplib.SMTP:
        if self._client is None or self._client.protocol is None:
            raise ConnectionError("connection lost")
        return self._client

    async def _begin(self, client: aiosmtplib.SMTP, content: bytes, sender: str) -> aiosmtplib.SMTP:
        """Begin a mail; on a new connection where the server ends the present one, which it may after any mail."""
        try:
            await client.mail(sender, options=_size(client, content))
            return client
        except aiosmtplib.SMTPException as error:
            if not self._sent or not _ends_connection(error):
                raise
        self.close()
        await self.connect()
        client = self._connected()
        await client.mail(sender, options=_size(client, content))
        return client

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


def _ends_connection(error: aiosmtplib.SMTPException) -> bool:
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return error.code == _UNAVAILABLE
    return isinstance(error, aiosmtplib.SMTPServerDisconnected)


def _size(client: aiosmtplib.SMTP, content: bytes) -> list[str]:
    return [f"SIZE={len(content)}"] if client.supports_extension("size") else []


async def _begin_data(client: aiosmtplib.SMTP) -> None:
    response = await client.execute_command(b"DATA")
    if response.code != _START_INPUT:
        raise aiosmtplib.SMTPDataError(response.code, response.message)

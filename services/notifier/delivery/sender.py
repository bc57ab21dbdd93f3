"""Hands mails to the server: claimed before, marked after its 250, tried again for as long as it takes."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import deque
from datetime import datetime, timedelta
from email.errors import MessageError
from email.message import EmailMessage
from typing import Any
from uuid import uuid4

import aiosmtplib

from services.notifier.metrics import NotifierMetrics
from services.notifier.render.compose import compose, message_id
from services.notifier.settings import NotifierSettings
from services.notifier.store import notices as store
from services.notifier.store.notices import Notice
from shared.contracts.notices import NoticeData, NoticeEvent, NoticeResult
from shared.contracts.topics import NOTICES
from shared.kafka.publisher import OutgoingMessage
from shared.policy import Policy
from shared.postgres.pool import TRANSIENT
from shared.runtime.clock import Clock
from shared.runtime.health import Progress
from shared.runtime.log import logger
from shared.stream import outbox

_log = logger(__name__)
AT_ONCE = 20
IDLE_SECONDS = 1.0
LONGEST_WAIT = 300.0
# The server knows these as faults of our settings: the mail itself is not refused.
SIGN_IN = (454, 530, 534, 535, 538)
# What cannot be written as a mail at all (its address, its picture) is refused as by the server.
UNWRITABLE = (ValueError, MessageError)
FAULTS = (aiosmtplib.SMTPException, OSError, TimeoutError, *UNWRITABLE)
NO_OWNER = "no owner in the policy"
# A server may take the time-out for each of its answers to EHLO, MAIL, RCPT, DATA and the content. A send is cut off
# after all of these, counted from before its claim was renewed, and the claim lasts longer by the time to mark it:
# so no send outlasts its claim. Connecting is not in it, that comes before.
ANSWERS = 5
MARK = timedelta(seconds=20)
# A replica that waits for Postgres to mark what went out rests so long at most; others leave it more time than that.
MARK_REST = 1.0
SETTLE = timedelta(seconds=10)


def backoff(attempts: int, chance: float) -> timedelta:
    """1, 2, 4 ... 300 seconds, half of it by chance, so that replicas do not come at once."""
    whole = min(LONGEST_WAIT, 2.0 ** min(attempts - 1, 20))
    return timedelta(seconds=whole * (0.5 + chance / 2))


def is_final(error: Exception) -> bool:
    """Whether the server refused this very mail, and would again."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return all(is_final(one) for one in error.recipients)
    if isinstance(error, aiosmtplib.SMTPRecipientRefused | aiosmtplib.SMTPSenderRefused | aiosmtplib.SMTPDataError):
        return error.code >= 500 and error.code not in SIGN_IN
    return False


class Server(aiosmtplib.SMTP):
    """Knows whether the content of the mail in hand was on its way: then a lost answer leaves open who has it."""

    content_began = False

    async def data(self, *args: Any, **kwargs: Any) -> aiosmtplib.SMTPResponse:
        self.content_began = True
        return await super().data(*args, **kwargs)


class Sender:
    """One loop. Several replicas may send at once: each mail is claimed by one."""

    def __init__(
        self,
        pool: Any,
        settings: NotifierSettings,
        policy: Policy,
        metrics: NotifierMetrics,
        progress: Progress,
        clock: Clock,
        relay_wake: asyncio.Event,
    ) -> None:
        self._pool, self._settings, self._policy = pool, settings, policy
        self._metrics, self._progress, self._clock, self._relay_wake = metrics, progress, clock, relay_wake
        self._server: Server | None = None
        self._longest = timedelta(seconds=ANSWERS * settings.smtp_timeout_seconds)
        self.wake = asyncio.Event()

    async def run(self) -> None:
        """Send until cancelled."""
        self._progress.expect("send", 120)
        try:
            while True:
                if not await self._round():
                    await self._rest()
        finally:
            await self._hang_up()

    async def _round(self) -> int:
        try:
            notices = await store.claim(self._pool, self._clock.now(), AT_ONCE, self._longest + MARK, SETTLE)
            await self._all(deque(notices))
            waiting, oldest = await store.queue(self._pool)
        except TRANSIENT as error:
            _log.warning("mails wait for Postgres", error=repr(error))
            await asyncio.sleep(1)
            return 0
        self._metrics.waiting.set(waiting)
        self._metrics.oldest.set(oldest)
        self._progress.beat("send")
        return len(notices)

    async def _all(self, notices: deque[Notice]) -> None:
        """One after the other; what is left when the server is away, or at a stop, is given back."""
        try:
            while notices and await self._whole(notices.popleft()):
                self._progress.beat("send")
        finally:
            if notices:
                await store.release(self._pool, list(notices))

    async def _whole(self, notice: Notice) -> bool:
        """A stop waits for the mail in hand: one that the server has and that is not marked would be sent again."""
        sending = asyncio.ensure_future(self._send(notice))
        try:
            return await asyncio.shield(sending)
        except asyncio.CancelledError:
            await sending
            raise

    async def _send(self, notice: Notice) -> bool:
        """False when the server is away, so that the rest need not be tried now."""
        if not notice.to_mail:
            return await self._no_owner(notice)
        try:
            mail, server = self._compose(notice), await self._connected()
        except FAULTS as error:
            return await self._failed(notice, error)
        cut_off = asyncio.get_running_loop().time() + self._longest.total_seconds()
        mine = await store.renew(self._pool, notice, self._longest + MARK)
        if mine is None:
            _log.info("a mail is left to another replica, the server was slow", reason=notice.reason.value)
            return True
        return await self._hand_over(server, mail, mine, cut_off)

    async def _hand_over(self, server: Server, mail: EmailMessage, notice: Notice, cut_off: float) -> bool:
        try:
            with self._metrics.seconds.time():
                async with asyncio.timeout_at(cut_off):
                    await server.send_message(mail)
        except FAULTS as error:
            return await self._failed(notice, error)
        await self._ended(notice, NoticeResult.SENT, None)
        self._metrics.delay.observe((self._clock.now() - notice.written).total_seconds())
        return True

    def _compose(self, notice: Notice) -> EmailMessage:
        return compose(
            notice.about,
            notice.reason,
            notice.to_name,
            notice.to_mail,
            self._settings.smtp_sender,
            self._settings.domain,
            notice.written,
            self._policy.timezone,
            notice.seq,
            self._day_seconds(notice),
        )

    def _day_seconds(self, notice: Notice) -> int:
        """Length of a day on the clock of the ticket's stage."""
        place = (notice.about.pipeline, notice.about.stage or "")
        return self._policy.day_seconds(*place) if self._policy.stage(*place) else 86_400

    async def _no_owner(self, notice: Notice) -> bool:
        _log.warning("nobody is told: the policy does not know the pipeline", pipeline=notice.about.pipeline)
        await self._ended(notice, NoticeResult.REFUSED, NO_OWNER, "unowned")
        return True

    async def _failed(self, notice: Notice, error: Exception) -> bool:
        answer = f"{type(error).__name__}: {error}"[:500]
        if is_final(error) or isinstance(error, UNWRITABLE):
            await self._ended(notice, NoticeResult.REFUSED, answer)
            _log.warning("a mail was refused for good", reason=notice.reason.value, attempts=notice.attempts)
            return True
        self._metrics.mails.labels(notice.reason.value, "deferred").inc()
        wait = backoff(notice.attempts, random.random())
        await store.defer(self._pool, notice, self._clock.now() + wait, answer, self._may_have_reached(error))
        _log.warning("a mail will be tried again", error=type(error).__name__, seconds=round(wait.total_seconds()))
        await self._hang_up()
        return isinstance(error, aiosmtplib.SMTPResponseException)

    def _may_have_reached(self, error: Exception) -> bool:
        """Whether the server could have the mail: its content was on its way, and no answer refused it."""
        answered = isinstance(error, aiosmtplib.SMTPResponseException | aiosmtplib.SMTPRecipientsRefused)
        return self._server is not None and self._server.content_began and not answered

    async def _ended(self, notice: Notice, result: NoticeResult, answer: str | None, counted: str = "") -> None:
        """Note it and tell it; `counted`: the metric's word, where it is not the result's own.

        Postgres is waited for here: a mail that went out and is not marked would be sent again.
        """
        for attempt in itertools.count():
            try:
                await self._note(notice, result, answer, counted)
                break
            except TRANSIENT as error:
                _log.warning("the end of a mail waits for Postgres", result=result.value, error=repr(error))
                await asyncio.sleep(min(MARK_REST, 0.1 * 2 ** min(attempt, 20)))
        self._relay_wake.set()

    async def _note(self, notice: Notice, result: NoticeResult, answer: str | None, counted: str) -> None:
        now = self._clock.now()
        async with self._pool.acquire() as connection, connection.transaction():
            noted = await store.end(connection, notice, result.value, answer)
            if noted:
                await outbox.put(connection, [self._result(notice, result, answer, now)])
        if noted:
            self._metrics.mails.labels(notice.reason.value, counted or result.value).inc()

    def _result(self, notice: Notice, result: NoticeResult, answer: str | None, now: datetime) -> OutgoingMessage:
        data = NoticeData(
            notice=notice.notice,
            ticket=notice.ticket,
            reason=notice.reason,
            result=result,
            at=now,
            detail=answer,
            message_id=message_id(notice.ticket, notice.seq, self._settings.domain),
        )
        event = NoticeEvent(id=uuid4().hex, source="andon/notifier", subject=str(notice.ticket), time=now, data=data)
        topic = self._settings.topic(NOTICES)
        return OutgoingMessage(topic, str(notice.ticket).encode(), event.to_json())

    async def _connected(self) -> Server:
        """One connection is kept, and made anew when the server has gone."""
        if self._server is not None and self._server.is_connected:
            self._server.content_began = False
            return self._server
        self._server = None
        settings = self._settings
        server = Server(
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            use_tls=settings.smtp_security == "tls",
            start_tls=settings.smtp_security == "starttls",
            timeout=settings.smtp_timeout_seconds,
            username=settings.smtp_username or None,
            password=settings.smtp_password.get_secret_value() if settings.smtp_username else None,
        )
        await server.connect()
        self._server = server
        return server

    async def _hang_up(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()

    async def _rest(self) -> None:
        try:
            await asyncio.wait_for(self.wake.wait(), IDLE_SECONDS)
        except TimeoutError:
            return
        self.wake.clear()

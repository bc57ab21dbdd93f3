"""Sends mails: claimed before, marked after the server's 250, tried again for as long as it takes."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from datetime import timedelta
from email.message import EmailMessage

from services.notifier.delivery.queue import MailQueue, QueueStatus
from services.notifier.delivery.smtp import FAULTS, SmtpServer, has_answered, is_final
from services.notifier.domain.mail import Mail
from services.notifier.metrics import NotifierMetrics
from services.notifier.render.compose import Composer
from shared.contracts.notices import NoticeResult
from shared.postgres.pool import TRANSIENT
from shared.runtime.clock import Clock
from shared.runtime.health import Progress
from shared.runtime.log import logger
from shared.runtime.retry import retry_forever

_log = logger(__name__)
CLAIM_LIMIT = 20
# How often to look for mails that another replica wrote or left. Our own handler wakes the sender.
POLL_SECONDS = 1.0
MAX_BACKOFF_SECONDS = 300.0
NO_OWNER = "no owner in the policy"
# The longest pause between attempts to mark a mail. Other replicas wait longer before they take over its claim.
MAX_MARK_PAUSE_SECONDS = 1.0


def backoff(attempts: int, chance: float) -> timedelta:
    """1, 2, 4 ... 300 seconds, half of it random, so that replicas do not retry together."""
    seconds = min(MAX_BACKOFF_SECONDS, 2.0 ** min(attempts - 1, 20))
    return timedelta(seconds=seconds * (0.5 + chance / 2))


class Sender:
    """One loop. Several replicas may send at once: each mail is claimed by one. Set `wake` when a mail was written."""

    def __init__(
        self,
        queue: MailQueue,
        server: SmtpServer,
        composer: Composer,
        metrics: NotifierMetrics,
        progress: Progress,
        clock: Clock,
    ) -> None:
        self._queue, self._server, self._composer = queue, server, composer
        self._metrics, self._progress, self._clock = metrics, progress, clock
        self.wake = asyncio.Event()

    async def run(self) -> None:
        """Send until cancelled."""
        self._progress.expect("send", 120)
        try:
            while True:
                self.wake.clear()
                await self._wait(await self._round())
        finally:
            self._server.close()

    async def _round(self) -> float:
        """Claim and send some mails; the seconds until the next round."""
        try:
            mails, status = await self._queue.claim(self._clock.now(), CLAIM_LIMIT)
            await self._send_all(deque(mails))
        except TRANSIENT as error:
            _log.warning("mails wait: database unavailable", error=repr(error))
            return POLL_SECONDS
        self._metrics.waiting.set(status.waiting)
        self._metrics.oldest.set(status.oldest_seconds)
        self._progress.beat("send")
        return 0 if mails else self._pause(status)

    def _pause(self, status: QueueStatus) -> float:
        if status.next_due is None:
            return POLL_SECONDS
        return min(POLL_SECONDS, max(0.0, (status.next_due - self._clock.now()).total_seconds()))

    async def _wait(self, seconds: float) -> None:
        if not seconds:
            return
        try:
            await asyncio.wait_for(self.wake.wait(), seconds)
        except TimeoutError:
            return

    async def _send_all(self, mails: deque[Mail]) -> None:
        """One after the other. Gives back what is left when the server is unavailable, or at a stop."""
        try:
            while mails and await self._send_to_the_end(mails.popleft()):
                self._progress.beat("send")
        finally:
            await self._queue.release(mails)

    async def _send_to_the_end(self, mail: Mail) -> bool:
        """Let a stop wait for the current mail: one that the server has and that is not marked would be sent again."""
        sending = asyncio.ensure_future(self._send(mail))
        try:
            return await asyncio.shield(sending)
        except asyncio.CancelledError:
            await sending
            raise

    async def _send(self, mail: Mail) -> bool:
        """False when the server is unavailable, so that the rest need not be tried now."""
        if not mail.to_mail:
            return await self._no_owner(mail)
        try:
            content = self._composer.compose(mail)
            await self._server.connect()
        except FAULTS as error:
            return await self._failed(mail, error)
        # Counted from before the claim is renewed, and the claim lasts longer: no send outlasts its claim.
        deadline = asyncio.get_running_loop().time() + self._server.send_seconds
        renewed = await self._queue.renew(mail)
        if renewed is None:
            _log.info("another replica took over the mail: the server was slow", mail=mail.message_id)
            return True
        return await self._hand_over(renewed, content, deadline)

    async def _hand_over(self, mail: Mail, content: EmailMessage, deadline: float) -> bool:
        try:
            with self._metrics.seconds.time():
                await self._server.send(content, deadline)
        except FAULTS as error:
            return await self._failed(mail, error)
        await self._end(mail, NoticeResult.SENT, None, NoticeResult.SENT.value)
        self._metrics.delay.observe((self._clock.now() - mail.created_at).total_seconds())
        return True

    async def _no_owner(self, mail: Mail) -> bool:
        pipelines = sorted({notice.facts.pipeline for notice in mail.notices})
        _log.warning("no mail sent: the policy has no owner for the pipeline", pipelines=pipelines)
        await self._end(mail, NoticeResult.REFUSED, NO_OWNER, "unowned")
        return True

    async def _failed(self, mail: Mail, error: Exception) -> bool:
        answer = f"{type(error).__name__}: {error}"[:500]
        if is_final(error):
            await self._end(mail, NoticeResult.REFUSED, answer, NoticeResult.REFUSED.value)
            _log.warning("mail refused for good", mail=mail.message_id, attempts=mail.attempts)
            return True
        self._count(mail, "deferred")
        wait = backoff(mail.attempts, random.random())
        delivered = self._server.may_have_accepted(error)
        await self._queue.defer(mail, self._clock.now() + wait, answer, delivered)
        _log.warning(
            "mail deferred", mail=mail.message_id, error=type(error).__name__, seconds=round(wait.total_seconds())
        )
        self._server.close()
        return has_answered(error)

    async def _end(self, mail: Mail, result: NoticeResult, answer: str | None, counted: str) -> None:
        """Mark the mail, and count it under `counted`.

        Wait for the database as long as it takes: a mail that was sent and is not marked would be sent again.
        """
        async for attempt in retry_forever(
            _log,
            "mail cannot be marked: database unavailable",
            TRANSIENT,
            max_seconds=MAX_MARK_PAUSE_SECONDS,
            result=result.value,
        ):
            with attempt:
                ended = await self._queue.end(mail, result, answer, self._clock.now())
        if ended:
            self._count(mail, counted)

    def _count(self, mail: Mail, result: str) -> None:
        for notice in mail.notices:
            self._metrics.mails.labels(notice.reason.value, result).inc()

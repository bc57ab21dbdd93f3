"""Sends mails: claimed before, marked after the server's 250, tried again for as long as it takes."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from dataclasses import replace
from datetime import datetime

from services.notifier.delivery.answer_log import AnswerLog
from services.notifier.delivery.queue import MailQueue, QueueStatus
from services.notifier.delivery.retry_delays import MAX_OUTAGE_SECONDS, backoff, resend_pause
from services.notifier.delivery.smtp import MAX_ANSWER, SmtpServer, Undelivered, describe
from services.notifier.delivery.trial_mails import STALE, TrialMails
from services.notifier.domain.links import Links
from services.notifier.domain.mail import Mail
from services.notifier.domain.readers import MailReaders
from services.notifier.metrics import NotifierMetrics
from services.notifier.render.compose import Composer
from shared.contracts.notices import NoticeReason, NoticeResult
from shared.postgres.pool import TRANSIENT
from shared.runtime import tracing
from shared.runtime.clock import Clock
from shared.runtime.health import Progress
from shared.runtime.log import logger
from shared.runtime.retry import retry_forever
from shared.runtime.waiting import wait_within

_log = logger(__name__)
CLAIM_LIMIT = 20
# How often to look for mails that another replica wrote or left. Our own handler wakes the sender.
POLL_SECONDS = 5.0
NO_OWNER = "no owner in the policy"
OUT_OF_DATE = "it waited too long to show anything"
# How long a connection may take: greeting, EHLO, TLS, sign-in.
CONNECT_SECONDS = 120
# The longest pause between attempts to mark a mail. Other replicas wait longer before they take over its claim.
MAX_MARK_PAUSE_SECONDS = 1.0
# The first mails about a problem.
_FIRST = (NoticeReason.OPENED, NoticeReason.OPENED_AND_CLEARED)


class Sender:
    """One loop. Several replicas may send at once: each mail is claimed by one. Set `wake` when a mail was written."""

    def __init__(
        self,
        queue: MailQueue,
        server: SmtpServer,
        composer: Composer,
        readers: MailReaders,
        links: Links,
        metrics: NotifierMetrics,
        progress: Progress,
        clock: Clock,
        trial: TrialMails,
    ) -> None:
        self._queue, self._server, self._composer, self._trial = queue, server, composer, trial
        self._readers, self._links = readers, links
        self._metrics, self._progress, self._clock = metrics, progress, clock
        self._answers = AnswerLog()
        self._failed_in_a_row = 0
        self._outage: str | None = None
        self.wake = asyncio.Event()

    async def run(self) -> None:
        """Send until cancelled."""
        self._progress.expect("send", self._server.send_seconds + CONNECT_SECONDS)
        try:
            while True:
                self.wake.clear()
                await self._wait(await self._round())
        finally:
            self._server.close()

    async def measure(self) -> None:
        """Refresh the gauges, also while a mail takes long to send."""
        self._metrics.server_failures.set(self._failed_in_a_row)
        try:
            status = await self._queue.status(self._clock.now())
        except TRANSIENT as error:
            _log.warning("metrics refresh failed: database unavailable", error=repr(error))
            return
        self._metrics.waiting.set(status.waiting)
        self._metrics.unanswered.set(status.unanswered)
        self._metrics.oldest.set(status.oldest_seconds)

    async def _round(self) -> float:
        """Claim and send some mails; the seconds until the next round."""
        try:
            mails, status = await self._queue.claim(self._clock.now(), CLAIM_LIMIT)
            await self._send_all(deque(mails))
            await self._report_outage()
            await self._server.end_idle()
        except TRANSIENT as error:
            _log.warning("mails wait: database unavailable", error=repr(error))
            return POLL_SECONDS
        self._progress.beat("send")
        if self._failed_in_a_row:
            return backoff(self._failed_in_a_row, random.random(), MAX_OUTAGE_SECONDS).total_seconds()
        return 0 if mails else self._pause(status)

    def _pause(self, status: QueueStatus) -> float:
        if status.next_due is None:
            return POLL_SECONDS
        return min(POLL_SECONDS, max(0.0, (status.next_due - self._clock.now()).total_seconds()))

    async def _wait(self, seconds: float) -> None:
        if seconds:
            await wait_within(self.wake, seconds)

    async def _send_all(self, mails: deque[Mail]) -> None:
        """Send one after the other. Releases the rest when the server is unavailable, or at a stop."""
        try:
            while mails and await self._send_shielded(mails.popleft()):
                self._progress.beat("send")
        finally:
            await self._queue.release(mails)

    async def _report_outage(self) -> None:
        """All mails wait for the same reason: say so on each ticket, without trying each mail."""
        if self._outage is not None:
            await self._queue.record_outage(self._outage, self._clock.now())
            self._outage = None

    async def _send_shielded(self, mail: Mail) -> bool:
        """Let a stop wait for the current mail: one that the server has and that is not marked would be sent again."""
        sending = asyncio.ensure_future(self._send(mail))
        try:
            return await asyncio.shield(sending)
        except asyncio.CancelledError:
            await sending
            raise

    async def _send(self, mail: Mail) -> bool:
        """Send one mail. False: the server is unavailable, so the rest need not be tried now."""
        if not mail.to_mail:
            return await self._no_owner(mail)
        now = self._clock.now()
        if mail.is_trial and now - mail.wanted_at > STALE:
            await self._end(mail, NoticeResult.DROPPED, OUT_OF_DATE, NoticeResult.DROPPED.value)
            return True
        if (until := self._after_quiet(mail, now)) > now:
            await self._queue.postpone(mail, until)
            return True
        content = await self._composed(mail)
        if content is None:
            return True
        try:
            await self._server.connect()
        except Undelivered as fault:
            return await self._failed(mail, fault)
        # Counted from before the claim is renewed, and the claim lasts longer: no send outlasts its claim.
        deadline = asyncio.get_running_loop().time() + self._server.send_seconds
        claimed = await self._queue.hand_over(mail)
        if claimed is None:
            _log.info("another replica took over the mail: the server was slow", mail=mail.message_id)
            return True
        return await self._hand_over(claimed, content, deadline)

    async def _composed(self, mail: Mail) -> bytes | None:
        """The mail as bytes. None: it cannot be composed, and is marked as refused."""
        try:
            return self._composer.compose(mail).as_bytes()
        except Exception as error:
            _log.exception("mail cannot be written", mail=mail.message_id)
            await self._refused(mail, f"cannot be written: {describe(error)}"[:MAX_ANSWER])
            return None

    async def _hand_over(self, mail: Mail, content: bytes, deadline: float) -> bool:
        is_asked_only = mail.is_trial and not self._trial.is_due()
        try:
            with self._metrics.seconds.time(), tracing.continuing("send mail", mail.traceparent):
                await self._server.send(
                    content, mail.to_mail, deadline, self._links.return_path(mail.id), is_asked_only
                )
        except Undelivered as fault:
            answered = mail if fault.possibly_delivered else replace(mail, unanswered=mail.unanswered - 1)
            return await self._failed(answered, fault)
        self._failed_in_a_row = 0
        await self._end(mail, NoticeResult.SENT, None, NoticeResult.SENT.value)
        if not mail.is_trial:
            self._time_sent(mail)
        elif not is_asked_only:
            self._trial.handed_over()
        return True

    def _time_sent(self, mail: Mail) -> None:
        now = self._clock.now()
        self._metrics.delay.observe((now - mail.wanted_at).total_seconds())
        for notice in mail.notices:
            if notice.reason in _FIRST and notice.facts.detected_at is not None:
                seconds = (now - notice.facts.detected_at - mail.held).total_seconds()
                self._metrics.problem_to_mail.observe(max(0.0, seconds))

    def _after_quiet(self, mail: Mail, now: datetime) -> datetime:
        """When it may go out: attempts that follow a failure fall into quiet hours, too."""
        reader = self._readers.by_address.get(mail.to_mail.lower())
        return now if reader is None else reader.after_quiet(now, mail.reasons)

    async def _no_owner(self, mail: Mail) -> bool:
        pipelines = sorted({notice.facts.pipeline for notice in mail.notices})
        _log.warning("no mail sent: the policy has no owner for the pipeline", pipelines=pipelines)
        await self._end(mail, NoticeResult.REFUSED, NO_OWNER, "unowned")
        return True

    async def _failed(self, mail: Mail, fault: Undelivered) -> bool:
        """Mark the mail as refused, or defer it. Returns whether other mails may be tried now."""
        self._failed_in_a_row = 0 if fault.server_works else self._failed_in_a_row + 1
        if fault.final:
            self._answers.record("mail refused for good", fault.answer, mail=mail.message_id)
            await self._refused(mail, fault.answer)
            return True
        kind = self._answers.record("mail waits", fault.answer, mail=mail.message_id)
        self._count(mail, "deferred")
        lost, now = fault.possibly_delivered, self._clock.now()
        wait = resend_pause(mail.unanswered) if lost else backoff(mail.attempts, random.random())
        await self._queue.defer(mail, now + wait, fault.answer, lost, now)
        self._outage = None if fault.server_works or lost else kind
        return fault.server_works

    async def _refused(self, mail: Mail, answer: str) -> None:
        await self._end(mail, NoticeResult.REFUSED, answer, NoticeResult.REFUSED.value)

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
        for reason in () if mail.is_trial else mail.reasons:
            self._metrics.mails.labels(reason.value, result).inc()

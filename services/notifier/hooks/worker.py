"""Sends the messages to one receiver. Each has a worker of its own, so that a slow one slows nobody."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta

from services.notifier.hooks.client import HookAnswer, HookClient
from services.notifier.hooks.metrics import HookMetrics
from services.notifier.hooks.queue import HookDelivery, HookQueue
from services.notifier.hooks.receivers.registry import AnyReceiver
from services.notifier.hooks.retry_delays import pause_after
from shared.postgres.pool import TRANSIENT
from shared.runtime.log import logger
from shared.runtime.retry import retry_forever
from shared.runtime.waiting import wait_within

_log = logger(__name__)
# How often to look for messages that another replica wrote or left. Our own handler wakes the worker.
POLL_SECONDS = 15.0
# Another worker has a message that is due.
BUSY_SECONDS = 0.5
MAX_MARK_PAUSE_SECONDS = 1.0


class HookWorker:
    """One loop. Any number of replicas may run it: each message is claimed by one. Set `wake` when one was written."""

    def __init__(self, receiver: AnyReceiver, queue: HookQueue, client: HookClient, metrics: HookMetrics) -> None:
        self._receiver, self._queue, self._client, self._metrics = receiver, queue, client, metrics
        self.wake = asyncio.Event()

    async def run(self) -> None:
        """Send until cancelled."""
        try:
            while True:
                self.wake.clear()
                if seconds := await self._round():
                    await wait_within(self.wake, seconds)
        finally:
            self._client.close()

    async def _round(self) -> float:
        """Send one message; the seconds until the next round."""
        try:
            if delivery := await self._queue.claim():
                await self._send_shielded(delivery)
                return 0
            self._count("dead", await self._queue.end_disabled())
            seconds = await self._queue.seconds_to_next()
            return POLL_SECONDS if seconds is None else min(POLL_SECONDS, max(BUSY_SECONDS, seconds))
        except TRANSIENT as error:
            _log.warning("messages wait: database unavailable", hook=self._receiver.name, error=repr(error))
            return POLL_SECONDS

    async def _send_shielded(self, delivery: HookDelivery) -> None:
        """Let a stop wait for the current request: what was sent and is not marked would be sent again."""
        sending = asyncio.ensure_future(self._send(delivery))
        try:
            await asyncio.shield(sending)
        except asyncio.CancelledError:
            await sending
            raise

    async def _send(self, delivery: HookDelivery) -> None:
        answer = await self._ask(delivery)
        if answer.is_accepted:
            await self._mark_sent(delivery)
        elif answer.is_gone:
            _log.warning("receiver disabled: it answered 410", hook=self._receiver.name)
            self._count("dead", await self._queue.disable(delivery, answer.text))
        else:
            await self._defer(delivery, answer)

    async def _ask(self, delivery: HookDelivery) -> HookAnswer:
        try:
            event = self._receiver.event_type.model_validate(delivery.event)
            request = self._receiver.request(delivery.name, event, datetime.now(UTC))
            address = self._receiver.address(event)
        except Exception as error:
            _log.exception("message cannot be written", hook=self._receiver.name, message=delivery.name)
            return HookAnswer(400, f"cannot be written: {type(error).__name__}")
        with self._metrics.seconds.labels(self._receiver.name).time():
            return await self._client.post(address, request)

    async def _defer(self, delivery: HookDelivery, answer: HookAnswer) -> None:
        asked = None if answer.after is None else timedelta(seconds=answer.after)
        pause = pause_after(delivery.attempts, random.random())
        state = await self._queue.defer(delivery, pause, answer.text, asked, answer.is_unavailable)
        if state == "dead":
            _log.warning("message given up", hook=self._receiver.name, message=delivery.name, answer=answer.text)
        else:
            _log.info("message waits", hook=self._receiver.name, message=delivery.name, answer=answer.text)
        if state is not None:
            self._count("dead" if state == "dead" else "deferred")

    async def _mark_sent(self, delivery: HookDelivery) -> None:
        """Wait for the database as long as it takes: what was sent and is not marked would be sent again."""
        async for attempt in retry_forever(
            _log,
            "message cannot be marked: database unavailable",
            TRANSIENT,
            max_seconds=MAX_MARK_PAUSE_SECONDS,
            hook=self._receiver.name,
        ):
            with attempt:
                ours = await self._queue.sent(delivery)
        if ours:
            self._count("sent")

    def _count(self, result: str, number: int = 1) -> None:
        if number:
            self._metrics.deliveries.labels(self._receiver.name, result).inc(number)

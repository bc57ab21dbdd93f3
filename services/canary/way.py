"""Sends the canary's deal its way, and watches the topics for it.

1. Read the topics from their ends on.
2. Post two webhooks: the deal leaves the stage, where an earlier run left it there, and enters it.
3. See the event, the problem, the ticket and what became of the mail, each at most so many seconds after the last.
4. Post that the deal leaves the stage: the problem ends, and the ticket with it.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from services.canary.run import CanaryRun, CanaryStep
from services.canary.settings import CanarySettings
from shared.connectors.canary import webhook
from shared.contracts.canary import CANARY
from shared.contracts.events import EventType
from shared.contracts.topics import EVENTS, NOTICES, PROBLEMS, TICKETS
from shared.kafka.access import KafkaAccess
from shared.kafka.foreign_cancellation import foreign_cancellation_as_error

TOPICS = (EVENTS, PROBLEMS, TICKETS, NOTICES)
RETRY_SECONDS, POLL_MS, ANSWER_SECONDS = 0.5, 200, 10.0
# Of two canaries that meet, each begins again, after a while of its own of up to so long.
ATTEMPTS, PAUSE_SECONDS = 3, 10.0
_BEFORE = timedelta(milliseconds=1)
_WHY: Mapping[CanaryStep, str] = {
    CanaryStep.WEBHOOK: "intake did not accept it",
    CanaryStep.EVENT: "intake accepted it, and its event is not on pipeline.events",
    CanaryStep.PROBLEM: "the detector did not publish the problem on flow.problems",
    CanaryStep.TICKET: "tickets did not publish the ticket on improvement.tickets",
    CanaryStep.MAIL: "the notifier has not sent the mail",
}


@dataclass(frozen=True)
class CanaryOutcome:
    """What became of a run. `stuck`: the step that it was not seen at, and `why`; None: it went all the way."""

    stuck: CanaryStep | None
    seconds: Mapping[CanaryStep, float]
    why: str = ""
    is_disturbed: bool = False

    @property
    def result(self) -> str:
        """`passed`, `stuck` or `disturbed`."""
        return "disturbed" if self.is_disturbed else "passed" if self.stuck is None else "stuck"


class WebhookRefused(Exception):
    """Intake did not accept a webhook in time; the message says how it answered."""


class CanaryWay:
    """Tries the way. `within`: how many seconds each step may take."""

    def __init__(self, settings: CanarySettings, within: float) -> None:
        self._secret, self._within = settings.canary_secret.get_secret_value(), within
        self._url = f"{settings.canary_intake}/v1/ingest/{CANARY}"
        self._kafka, self._names = KafkaAccess.of(settings), {settings.topic(name): name for name in TOPICS}

    async def attempt(self) -> CanaryOutcome:
        """One run; another one where it was disturbed."""
        outcome = await self._once()
        for _ in range(ATTEMPTS - 1):
            if not outcome.is_disturbed:
                break
            await asyncio.sleep(random.uniform(0, PAUSE_SECONDS))
            outcome = await self._once()
        return outcome

    async def _once(self) -> CanaryOutcome:
        async with httpx.AsyncClient(timeout=ANSWER_SECONDS) as client:
            try:
                with foreign_cancellation_as_error():
                    async with self._reader() as consumer:
                        return await self._try(client, consumer)
            except WebhookRefused as error:
                return _refused(error)
            except (KafkaError, OSError) as error:
                return await self._unreadable(client, error)

    async def _try(self, client: httpx.AsyncClient, consumer: AIOKafkaConsumer) -> CanaryOutcome:
        began, run = time.monotonic(), CanaryRun(f"{uuid4().hex}-", datetime.now(UTC))
        await self._post(client, run.name, EventType.LOST, run.entered - _BEFORE)
        await self._post(client, run.name, EventType.MOVED, run.entered)
        run.reached(CanaryStep.WEBHOOK, time.monotonic())
        await self._follow(consumer, run)
        if not run.is_disturbed:
            # Where that fails, the next run begins with it.
            with suppress(WebhookRefused):
                await self._post(client, run.name, EventType.WON, datetime.now(UTC))
        return _outcome(run, began)

    @asynccontextmanager
    async def _reader(self) -> AsyncIterator[AIOKafkaConsumer]:
        """A consumer in no group, at the ends of all topics."""
        consumer = AIOKafkaConsumer(*self._names, **self._kafka.client_options(), auto_offset_reset="latest")
        try:
            async with asyncio.timeout(self._within):
                await consumer.start()
                # What comes from here on is read, also where nothing is fetched yet.
                await consumer.seek_to_end()
            yield consumer
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(ANSWER_SECONDS):
                    await consumer.stop()

    async def _post(self, client: httpx.AsyncClient, run: str, kind: EventType, at: datetime) -> None:
        """Post an event of a run until it is accepted, as CRMs do. Raises WebhookRefused."""
        deadline = time.monotonic() + self._within
        while True:
            sent = webhook(self._secret, run, kind, at, datetime.now(UTC))
            try:
                answer = await client.post(self._url, content=sent.body, headers=dict(sent.headers))
                if answer.is_success:
                    return
                said = f"{answer.status_code} {answer.text[:200]}"
            except httpx.HTTPError as error:
                said = repr(error)
            if time.monotonic() > deadline:
                raise WebhookRefused(f"{self._url} answered {said}")
            await asyncio.sleep(RETRY_SECONDS)

    async def _follow(self, consumer: AIOKafkaConsumer, run: CanaryRun) -> None:
        """Read until all is seen, another canary is met, or a step takes too long."""
        missing, deadline = run.missing, time.monotonic() + self._within
        while run.missing is not None and not run.is_disturbed and time.monotonic() < deadline:
            for partition, records in (await consumer.getmany(timeout_ms=POLL_MS)).items():
                for record in records:
                    run.take(self._names[partition.topic], record.value or b"", time.monotonic())
            if run.missing is not missing:
                missing, deadline = run.missing, time.monotonic() + self._within

    async def _unreadable(self, client: httpx.AsyncClient, error: Exception) -> CanaryOutcome:
        """Kafka cannot be read: whether intake accepts a webhook is known all the same."""
        try:
            await self._post(client, f"{uuid4().hex}-", EventType.WON, datetime.now(UTC))
        except WebhookRefused as refused:
            return _refused(refused)
        return CanaryOutcome(CanaryStep.EVENT, {}, f"Kafka cannot be read: {error!r}")


def _refused(error: WebhookRefused) -> CanaryOutcome:
    return CanaryOutcome(CanaryStep.WEBHOOK, {}, f"{_WHY[CanaryStep.WEBHOOK]}: {error}")


def _outcome(run: CanaryRun, began: float) -> CanaryOutcome:
    seconds, stuck = run.seconds(began), run.missing
    if run.is_disturbed:
        return CanaryOutcome(stuck, seconds, "another canary was on the way at the same time", is_disturbed=True)
    if stuck is None:
        return CanaryOutcome(None, seconds)
    answer = f"; {run.answer}" if stuck is CanaryStep.MAIL and run.answer else ""
    return CanaryOutcome(stuck, seconds, _WHY[stuck] + answer)

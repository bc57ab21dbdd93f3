"""Publishes what a CRM calls its stages and pipelines: at the start, daily, and when a deal comes to a new stage."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from services.enricher.context import Context
from shared.connectors.base.api_client import CrmRejected, CrmUnavailable
from shared.connectors.base.crm_api import CrmApi
from shared.connectors.base.fields import InvalidField
from shared.contracts.envelope import iso
from shared.contracts.stages import StageData, StageEvent
from shared.contracts.topics import STAGES
from shared.kafka.publisher import OutgoingMessage
from shared.postgres.pool import TRANSIENT
from shared.runtime.log import logger
from shared.runtime.waiting import wait_within
from shared.stream import outbox

_log = logger(__name__)


@dataclass(frozen=True)
class StageNameTimes:
    """Seconds: between two reads, until a retry, and to wait for more after a new stage, as they come in numbers."""

    interval: float = 86_400.0
    retry: float = 60.0
    gather: float = 2.0


class StageNames:
    """One loop for one source. Several replicas publish the same, which is harmless."""

    def __init__(self, context: Context, crm: CrmApi, times: StageNameTimes | None = None) -> None:
        self._context, self._crm, self._source = context, crm, crm.source.name
        self._times = times or StageNameTimes()
        self._known: set[str] = set()
        self._new = asyncio.Event()

    def seen(self, stages: set[str]) -> None:
        """Deals came to these stages."""
        if not stages <= self._known:
            self._known |= stages
            self._new.set()

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            pause = await self._publish()
            if await wait_within(self._new, pause):
                await asyncio.sleep(self._times.gather)

    async def _publish(self) -> float:
        """Read the stages and publish them; seconds until the next time."""
        self._new.clear()
        if self._context.is_suspended(self._source):
            return self._suspended_seconds
        try:
            stages = await self._crm.stages()
            await self._put(stages)
        except (CrmUnavailable, CrmRejected, InvalidField, ValidationError, *TRANSIENT) as error:
            _log.warning("stage names could not be read and stay as they are", source=self._source, error=str(error))
            return self._pause_after(error)
        self._known |= {stage.stage for stage in stages if stage.stage}
        self._context.wake.set()
        return self._times.interval

    async def _put(self, stages: list[StageData]) -> None:
        now = self._context.clock.now()
        messages = [_message(self._source, stage, now, self._context.prefix) for stage in stages]
        async with self._context.pool.acquire() as connection, connection.transaction():
            await outbox.put(connection, messages)

    def _pause_after(self, error: Exception) -> float:
        """Other refusals and undocumented answers will not change within a minute."""
        if isinstance(error, CrmRejected) and error.bad_credentials:
            return self._suspended_seconds
        lasting = isinstance(error, CrmRejected | InvalidField | ValidationError)
        return self._times.interval if lasting else self._times.retry

    @property
    def _suspended_seconds(self) -> float:
        return max(self._times.retry, self._context.suspend_for.total_seconds())


def _message(source: str, data: StageData, now: datetime, prefix: str) -> OutgoingMessage:
    digest = hashlib.sha256(data.model_dump_json().encode()).hexdigest()[:16]
    event = StageEvent(id=f"api/{digest}/{iso(now)}", source=source, subject=data.path, time=now, data=data)
    return OutgoingMessage(prefix + STAGES, data.key.encode(), event.to_json())

"""Tells what a CRM calls its stages and pipelines: at the start, daily, and once for each stage that is new to it."""

from __future__ import annotations

import asyncio
import hashlib
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
from shared.stream import outbox

_log = logger(__name__)
DAILY = 86_400.0
AGAIN = 60.0
# New stages come in numbers, when somebody sets up a pipeline.
GATHER = 2.0


class StageNames:
    """One loop for one source. Several replicas tell the same, which changes nothing."""

    def __init__(self, desk: Context, crm: CrmApi) -> None:
        self._desk, self._crm, self._source = desk, crm, crm.source.name
        self._known: set[str] = set()
        self._new = asyncio.Event()

    def saw(self, stages: set[str]) -> None:
        """Deals came to these stages."""
        if not stages <= self._known:
            self._known |= stages
            self._new.set()

    async def run(self) -> None:
        """Tell until cancelled."""
        while True:
            rest = await self._tell()
            try:
                await asyncio.wait_for(self._new.wait(), rest)
                await asyncio.sleep(GATHER)
            except TimeoutError:
                continue

    async def _tell(self) -> float:
        """Seconds until it is to be told again."""
        self._new.clear()
        refused = max(AGAIN, self._desk.refused_for.total_seconds())
        if self._desk.is_suspended(self._source):
            return refused
        try:
            stages = await self._crm.stages()
            now = self._desk.clock.now()
            messages = [_message(self._source, one, now, self._desk.prefix) for one in stages]
            async with self._desk.pool.acquire() as connection, connection.transaction():
                await outbox.put(connection, messages)
        except (CrmUnavailable, CrmRejected, InvalidField, ValidationError, *TRANSIENT) as error:
            _log.warning("stages keep the names they have", source=self._source, error=str(error))
            if isinstance(error, CrmRejected) and error.bad_credentials:
                return refused
            # What is refused else, or of another form, will be so in a minute, too.
            return DAILY if isinstance(error, CrmRejected | InvalidField | ValidationError) else AGAIN
        self._known |= {one.stage for one in stages if one.stage}
        self._desk.wake.set()
        return DAILY


def _message(source: str, data: StageData, now: datetime, prefix: str) -> OutgoingMessage:
    digest = hashlib.sha256(data.model_dump_json().encode()).hexdigest()[:16]
    event = StageEvent(id=f"api/{digest}/{iso(now)}", source=source, subject=data.place, time=now, data=data)
    return OutgoingMessage(prefix + STAGES, data.key.encode(), event.to_json())

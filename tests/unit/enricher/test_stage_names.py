"""After a refusal, stage names are read again as soon as deals are."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.enricher.context import Context
from services.enricher.metrics import EnricherMetrics
from services.enricher.stage_names import StageNames, StageNameTimes
from shared.connectors.base.api_client import CrmRejected
from shared.runtime.clock import SystemClock
from shared.runtime.health import Progress
from tests.support.waiting import eventually


class Pool:
    """A database that takes everything."""

    def acquire(self) -> Pool:
        return self

    transaction = acquire

    async def __aenter__(self) -> Pool:
        return self

    async def __aexit__(self, *error: object) -> None:
        pass


class Refusing:
    """A CRM that refuses the first requests."""

    source = SimpleNamespace(name="crm")

    def __init__(self, times: int) -> None:
        self.left, self.asked = times, 0

    async def stages(self) -> list[Any]:
        self.asked += 1
        self.left -= 1
        if self.left >= 0:
            raise CrmRejected(403, "no")
        return []


@pytest.mark.parametrize("suspended", [False, True])
async def test_refused_credentials_are_tried_again_after_the_suspension(
    suspended: bool,
) -> None:
    metrics = EnricherMetrics(CollectorRegistry(), ["crm"])
    context = Context(Pool(), "", metrics, Progress(), SystemClock(), asyncio.Event(), timedelta(seconds=0.05))
    crm = Refusing(0 if suspended else 2)
    if suspended:
        context.suspend("crm", CrmRejected(401, "no"))
    loop = asyncio.create_task(StageNames(context, crm, StageNameTimes(retry=0.01)).run())

    async def published() -> bool:
        return context.wake.is_set()

    try:
        await eventually(published)
    finally:
        loop.cancel()
    assert crm.asked == (1 if suspended else 3)

"""Names of stages are asked for again after a refusal as soon as deals are."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.enricher import stage_names
from services.enricher.context import Context
from services.enricher.metrics import EnricherMetrics
from services.enricher.stage_names import StageNames
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
    """A CRM that refuses some times."""

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
async def test_refused_credentials_are_tried_again_after_the_time_that_deals_wait(
    suspended: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage_names, "AGAIN", 0.01)
    metrics = EnricherMetrics(CollectorRegistry(), ["crm"])
    desk = Context(Pool(), "", metrics, Progress(), SystemClock(), asyncio.Event(), timedelta(seconds=0.05))
    crm = Refusing(0 if suspended else 2)
    if suspended:
        desk.suspend("crm", CrmRejected(401, "no"))
    loop = asyncio.create_task(StageNames(desk, crm).run())

    async def told() -> bool:
        return desk.wake.is_set()

    try:
        await eventually(told, within=5)
    finally:
        loop.cancel()
    assert crm.asked == (1 if suspended else 3)

"""A task that holds the event loop shows as its delay."""

from __future__ import annotations

import asyncio
import time

import pytest
from prometheus_client import CollectorRegistry

from shared.runtime import loop_delay
from shared.runtime.loop_delay import LoopDelay
from tests.support.waiting import eventually


async def test_who_holds_the_loop_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_delay, "INTERVAL_SECONDS", 0.01)
    registry = CollectorRegistry()

    async def delayed() -> float:
        return registry.get_sample_value("andon_event_loop_delay_seconds_sum") or 0

    watching = asyncio.ensure_future(LoopDelay(registry).run())
    await asyncio.sleep(0)
    time.sleep(0.3)  # noqa: ASYNC251 (this is the fault)

    assert await eventually(delayed, lambda seconds: seconds > 0.25, 10) > 0.25
    watching.cancel()

"""The canary as a service: each run shows in its metrics."""

from __future__ import annotations

import asyncio
import re

import httpx

from services.canary.app import build
from services.canary.settings import CanarySettings
from services.demo.ports import free_port
from tests.support.waiting import eventually

STUCK = 'andon_canary_stuck{step="webhook"} 1.0'
RUNS = re.compile(r'andon_canary_runs_total{result="stuck"} ([0-9.]+)')


async def test_it_runs_again_and_again_and_shows_where_it_is_stuck() -> None:
    nobody = {"kafka": f"127.0.0.1:{free_port()}", "canary_intake": f"http://127.0.0.1:{free_port()}"}
    settings = CanarySettings(canary_secret="any long text", **nobody)
    async with build(settings, every=0.1, within=0.1) as service:
        running = asyncio.ensure_future(service.loops[0]())
        transport = httpx.ASGITransport(service.application)
        async with httpx.AsyncClient(transport=transport, base_url="http://canary") as client:

            async def metrics() -> str:
                return (await client.get("/metrics")).text

            shown = await eventually(metrics, lambda text: any(float(runs) > 1 for runs in RUNS.findall(text)))
        running.cancel()
        await asyncio.wait([running])

    assert STUCK in shown

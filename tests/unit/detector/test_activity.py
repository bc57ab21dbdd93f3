"""Loops rest briefly while batches are handled, long while nothing happens, and wake at once."""

from __future__ import annotations

import asyncio

import pytest

from services.detector.evaluate.activity import Activity


async def rested(activity: Activity) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    await activity.rest(0.01)
    return loop.time() - began


async def test_idle_loops_rest_long() -> None:
    now = [0.0]
    assert await rested(Activity(idle_seconds=30, clock=lambda: now[0])) < 15, "active at the start"

    activity = Activity(idle_seconds=0.3, clock=lambda: now[0])
    now[0] = 5
    assert await rested(activity) >= 0.25


async def test_a_mark_wakes_every_loop_and_keeps_them_awake() -> None:
    now = [0.0]
    activity = Activity(idle_seconds=120, clock=lambda: now[0])
    now[0] = 5
    loops = [asyncio.ensure_future(rested(activity)) for _ in range(3)]
    await asyncio.sleep(0.05)

    activity.mark()

    assert max(await asyncio.gather(*loops)) < 60
    now[0] = 6.9
    assert await rested(activity) < 60


@pytest.mark.parametrize("turns", range(6))
async def test_a_mark_at_any_moment_ends_a_long_rest(turns: int) -> None:
    now = [0.0]
    activity = Activity(idle_seconds=120, clock=lambda: now[0])
    now[0] = 5
    resting = asyncio.ensure_future(activity.rest(0))
    for _ in range(turns):
        await asyncio.sleep(0)

    activity.mark()

    await asyncio.wait_for(resting, 60)

"""Loops run at once after a mark, rest in proportion to their work, and rest long while nothing happens."""

from __future__ import annotations

import asyncio

import pytest

from services.detector.evaluate.activity import Activity, Turns


class Seconds:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def rested(turns: Turns) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    turns.begin()
    await turns.rest()
    return loop.time() - began


def idle(clock: Seconds, idle_seconds: float = 120) -> Activity:
    """Long after its start."""
    activity = Activity(idle_seconds, clock)
    clock.now += 5
    return activity


async def test_idle_loops_rest_long() -> None:
    clock = Seconds()
    at_the_start = Activity(idle_seconds=30, clock=clock)
    assert await rested(Turns(at_the_start, 0.01, 0.02, clock)) < 15, "active at the start"

    assert await rested(Turns(idle(clock, 0.3), 0.01, 0.02, clock)) >= 0.25


async def test_a_mark_wakes_every_loop_and_keeps_them_awake() -> None:
    clock = Seconds()
    activity = idle(clock)
    loops = [asyncio.ensure_future(rested(Turns(activity, 0.01, 0.02, clock))) for _ in range(3)]
    await asyncio.sleep(0.05)

    activity.mark()

    assert max(await asyncio.gather(*loops)) < 60
    clock.now += 1.9
    assert await rested(Turns(activity, 0.01, 0.02, clock)) < 60


@pytest.mark.parametrize("turns", range(6))
async def test_a_mark_at_any_moment_ends_a_long_rest(turns: int) -> None:
    clock = Seconds()
    activity = idle(clock)
    resting = asyncio.ensure_future(rested(Turns(activity, 0, 0.02, clock)))
    for _ in range(turns):
        await asyncio.sleep(0)

    activity.mark()

    await asyncio.wait_for(resting, 60)


async def test_a_mark_while_the_loop_works_is_not_lost() -> None:
    clock = Seconds()
    activity = Activity(clock=clock)
    turns = Turns(activity, 0.01, 120, clock)
    turns.begin()
    activity.mark()

    await asyncio.wait_for(turns.rest(), 60)

    assert turns.begin()
    assert not turns.begin(), "each mark once"


async def test_a_mark_while_active_ends_the_usual_rest() -> None:
    clock = Seconds()
    activity = Activity(clock=clock)
    resting = asyncio.ensure_future(rested(Turns(activity, 0.01, 120, clock)))
    await asyncio.sleep(0.05)
    assert not resting.done()

    activity.mark()

    await asyncio.wait_for(resting, 60)


async def test_a_loop_that_is_marked_all_the_time_rests_in_proportion_to_its_work() -> None:
    clock = Seconds()
    activity, loop = Activity(clock=clock), asyncio.get_running_loop()
    turns = Turns(activity, 0.01, 0.6, clock)

    async def rest_after(work: float) -> float:
        turns.begin()
        clock.now += work
        activity.mark()
        began = loop.time()
        await turns.rest()
        return loop.time() - began

    assert await rest_after(0.1) >= 0.29
    assert await rest_after(0.001) < 0.29
    assert 0.59 <= await rest_after(100) < 60, "never longer than the usual interval"

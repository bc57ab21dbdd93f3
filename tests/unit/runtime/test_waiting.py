"""A loop that waits for an event can always be cancelled."""

from __future__ import annotations

import asyncio

import pytest

from shared.runtime.waiting import wait_within


async def test_tells_whether_the_event_was_set() -> None:
    event = asyncio.Event()
    assert not await wait_within(event, 0.01)
    event.set()
    assert await wait_within(event, 0.01)


async def test_a_cancellation_at_the_instant_of_the_event_is_not_lost() -> None:
    """`asyncio.wait_for` of Python 3.11 fails this: the detector went on after SIGTERM while events came in."""
    event = asyncio.Event()
    waiting = asyncio.ensure_future(wait_within(event, 30))
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    event.set()
    for _ in range(3):
        waiting.cancel()
        await asyncio.sleep(0)

    with pytest.raises(asyncio.CancelledError):
        await waiting

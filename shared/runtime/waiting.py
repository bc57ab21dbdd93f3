"""Waits for an event, within a time, without losing a cancellation."""

from __future__ import annotations

import asyncio


async def wait_within(event: asyncio.Event, seconds: float) -> bool:
    """Wait until `event` is set, `seconds` at most; whether it was set.

    `asyncio.wait_for` of Python 3.11 swallows a cancellation that comes as the event is set (CPython issue 86296): the
    loop that waited would go on for ever, and its service could not stop. ruff forbids it in this project.
    """
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True

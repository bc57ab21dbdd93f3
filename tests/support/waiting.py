"""Polls a running system until it shows what a test expects, and reports the last value on a timeout."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
# Seconds between two questions. What takes long is asked for less often: most questions cost a request.
SHORTEST, LONGEST, SHARE = 0.05, 0.25, 20


async def eventually(ask: Callable[[], Awaitable[T]], enough: Callable[[T], bool] = bool, within: float = 60) -> T:
    """Await `ask` until `enough` accepts its value; fails with the last value after `within` seconds."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    while True:
        value = await ask()
        if enough(value):
            return value
        waited = loop.time() - begun
        assert waited < within, f"not within {within} s; last seen: {value!r}"
        await asyncio.sleep(min(max(SHORTEST, waited / SHARE), LONGEST))

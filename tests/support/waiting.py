"""Polls a running system until it shows what a test expects, and reports the last value on a timeout."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(ask: Callable[[], Awaitable[T]], enough: Callable[[T], bool] = bool, within: float = 60) -> T:
    """Await `ask` until `enough` accepts its value; fails with the last value after `within` seconds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while True:
        value = await ask()
        if enough(value):
            return value
        assert loop.time() < deadline, f"not within {within} s; last seen: {value!r}"
        await asyncio.sleep(0.05)

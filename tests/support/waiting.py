"""Waiting for what a running system will show: polls with a deadline, and says what it last saw."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(ask: Callable[[], Awaitable[T]], enough: Callable[[T], bool] = bool, within: float = 30) -> T:
    """Ask until the answer is enough; fails with the last answer after the deadline."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while True:
        answer = await ask()
        if enough(answer):
            return answer
        assert loop.time() < deadline, f"not within {within} s; last seen: {answer!r}"
        await asyncio.sleep(0.05)

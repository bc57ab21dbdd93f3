"""Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, async_playwright, expect

MISSING = "Chromium is not installed (Debian's package chromium-headless-shell, or chromium)"
# The shell has no window, and so nothing to compose for one: it takes a quarter of the time of the processor.
_PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser")
# The policies' zone: a page is rendered again for a reader in another zone.
ZONE = {"TZ": "Europe/Berlin"}


def is_installed() -> bool:
    return _path() is not None


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser without a window. Needs `is_installed`."""
    # A page of a busy machine takes longer than the five seconds that it has otherwise.
    expect.set_options(timeout=30_000)
    async with async_playwright() as playwright:
        # Without its own sandbox, as containers often forbid it; it sees nothing but these tests' own pages.
        found = await playwright.chromium.launch(
            executable_path=_path(), args=["--no-sandbox"], env=os.environ | ZONE, timeout=120_000
        )
        yield found
        await found.close()


def _path() -> str | None:
    return next(filter(None, map(shutil.which, _PROGRAMS)), None)

"""Four stories of a change, through Kafka, Postgres and processes, at the pages in a real browser.

Each ends as the pure functions say.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page

from tests.browser.test_pages import violations
from tests.support.chromium import MISSING, chromium, is_installed
from tests.system.stories.chapters import tell_all

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
# One state of each page: axe-core takes seconds, and other stories show the same.
CHECKED = {
    "improved-opened",
    "improved-board",
    "improved-effect",
    "improved-held",
    "unchanged-started",
    "unchanged-study",
    "unchanged-verdict",
    "restored-verdict",
    "decayed-ledger",
    "decayed-back",
}


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    if not is_installed():
        pytest.skip(MISSING)
    async with chromium() as found:
        yield found


async def keeps_wcag(page: Page, name: str) -> None:
    if name in CHECKED:
        assert await violations(page) == [], name


async def test_four_stories_of_a_change(browser: Browser, kafka: str, dsn: str, prefix: str, tmp_path: Path) -> None:
    await tell_all(browser, kafka, dsn, prefix, tmp_path, keeps_wcag)

"""The pages of preferences in a real browser: WCAG by axe-core, by keyboard, without scripts, hostile texts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import uvicorn
from playwright.async_api import Browser, Page
from starlette.applications import Starlette

from services.demo.ports import free_port
from services.notifier.domain.readers import MailPace
from services.notifier.store import addresses
from services.notifier.web.pages import PreferencePages
from shared.policy import parse
from shared.postgres.pool import open_pool
from tests.browser.test_keyboard import CONTROLS, walk
from tests.browser.test_pages import page, violations  # noqa: F401 (fixture)
from tests.support.notice_rig import LINKS, NoticeRig
from tests.support.problems import POLICY
from tests.support.waiting import eventually

HEAD, DEPUTY, BOARD = (f"{name}@sales.example" for name in ("head", "deputy", "board"))
HOSTILE = "<script>window.owned=1</script>" + "w" * 120
OWNER = "owner: {name: Head of new business, mail: head@sales.example}"
MORE = f"""
    ack_within: 2d
    recipients:
      - {{name: "{HOSTILE}", mail: {DEPUTY}, role: deputy}}
      - {{name: Board, mail: {BOARD}, role: escalation, notices: [escalated]}}"""
RULES = parse(POLICY.replace(OWNER, OWNER + MORE))


@pytest.fixture
async def rig(dsn: str) -> AsyncIterator[NoticeRig]:
    pool = await open_pool(dsn, "notices")
    yield await NoticeRig(pool, RULES, datetime.now(UTC)).begin()
    await pool.close()


@pytest.fixture
async def url(rig: NoticeRig, browser: Browser) -> AsyncIterator[str]:
    """A server of the pages."""
    port = free_port()
    app = Starlette(routes=PreferencePages(rig.preferences).routes())
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    task = asyncio.ensure_future(server.serve())

    async def started() -> bool:
        return server.started

    await eventually(started)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    await task


def page_of(url: str, address: str) -> str:
    return f"{url}/mail/{LINKS.token(address)}"


async def test_pages_keep_wcag_and_hostile_names_stay_text(rig: NoticeRig, url: str, page: Page) -> None:  # noqa: F811
    async with rig.pool.acquire() as connection, connection.transaction():
        await addresses.turn_off(connection, BOARD, f"5.1.1 {HOSTILE}", datetime.now(UTC))
    await rig.preferences.choose(HEAD, None, MailPace.OFF, None)

    for address in (HEAD, DEPUTY, BOARD):
        await page.goto(page_of(url, address))
        assert await violations(page) == [], address
    for path in (f"/mail/addresses/{LINKS.operator_token(rig.clock.now())}", "/mail/none"):
        await page.goto(url + path)
        assert await violations(page) == [], path
        controls = await page.evaluate(CONTROLS)
        assert await walk(page) == controls, path
    assert await page.evaluate("window.owned") is None


async def test_a_reader_chooses_by_keyboard_and_without_scripts(rig: NoticeRig, url: str, browser: Browser) -> None:
    context = await browser.new_context(java_script_enabled=False)
    found = await context.new_page()
    await found.goto(page_of(url, HEAD))
    await found.keyboard.press("Tab")
    await found.keyboard.press("ArrowDown")
    await found.keyboard.press("ArrowDown")
    await found.keyboard.press("Tab")
    await found.keyboard.press("Space")
    await found.get_by_role("button", name="Save").press("Enter")

    assert await found.get_by_label("Only the weekly report").is_checked()
    assert not await found.get_by_label("A problem was found").is_checked()
    await found.get_by_role("button", name="Unsubscribe").press("Enter")
    assert "You get no mails" in await found.locator("main").inner_text()
    await context.close()

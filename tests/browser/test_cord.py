"""The cord's pages in a real browser: on a phone, without scripts and cookies, by keyboard, with hostile names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import pytest
from playwright.async_api import Browser, BrowserContext, Page

from services.tickets.domain.tokens import new_token
from services.tickets.store import cord_links
from shared.postgres.pool import open_pool
from tests.browser.test_pages import violations

PHONE = {"width": 360, "height": 740}
HOSTILE = '"><img src=x onerror="window.owned=1"><script>window.owned=1</script>{{ 7*7 }} ' + "w" * 300


@pytest.fixture
async def phone(browser: Browser) -> AsyncIterator[BrowserContext]:
    context = await browser.new_context(viewport=PHONE, java_script_enabled=False)  # type: ignore[arg-type]
    yield context
    await context.close()


@pytest.fixture
async def desk(browser: Browser) -> AsyncIterator[Page]:
    """Scripts run here, so that axe-core does."""
    context = await browser.new_context()
    yield await context.new_page()
    await context.close()


async def link(corded: tuple[str, str], pipeline: str = "new", stage: str = "proposal") -> str:
    """The address of a new link."""
    url, dsn = corded
    pool, token = await open_pool(dsn, "tickets", max_size=1), new_token()
    await cord_links.add(pool, token, pipeline, stage, datetime.now(UTC))
    await pool.close()
    return f"{url}/cord/{token}"


async def test_a_pull_on_a_phone_without_scripts(corded: tuple[str, str], phone: BrowserContext) -> None:
    page = await phone.new_page()
    await page.goto(await link(corded))
    await page.get_by_label("What did you see?").fill("Approvals of discounts take a week.")
    await page.get_by_label("With which deal?").fill("4711")
    await page.get_by_role("button", name="Pull the cord").click()

    assert await page.get_by_role("heading", level=1).inner_text() == "Thank you for pulling the cord"
    assert "Nobody has answered yet" in await page.inner_text("main")
    assert await phone.cookies() == []
    receipt = page.url
    await page.get_by_role("link", name="Pull the cord again").click()
    assert "What became of the last pulls here" in await page.inner_text("main")
    assert "Approvals" not in await page.inner_text("main")
    await page.goto(receipt)
    assert "Approvals of discounts take a week." in await page.inner_text("main")


async def test_the_keyboard_reaches_every_field(corded: tuple[str, str], desk: Page) -> None:
    await desk.goto(await link(corded))
    await desk.keyboard.press("Tab")
    await desk.keyboard.press("Enter")
    await desk.keyboard.press("Tab")
    await desk.keyboard.type("It waits.")
    reached = [await desk.evaluate("document.activeElement.id")]
    for _ in range(12):
        await desk.keyboard.press("Tab")
        now = await desk.evaluate("document.activeElement.id || document.activeElement.textContent.trim()")
        reached += [now] if now != reached[-1] else []

    assert reached[:4] == ["seen", "day", "deal", "Pull the cord"]


@pytest.mark.parametrize("stage", [("new", "proposal"), ("odd", 'a"b')])
async def test_the_pages_keep_wcag(corded: tuple[str, str], desk: Page, stage: tuple[str, str]) -> None:
    address = await link(corded, *stage)
    await desk.goto(address)
    assert await violations(desk) == []
    await desk.locator("#seen").evaluate("field => field.removeAttribute('required')")
    await desk.get_by_role("button").click()
    await desk.wait_for_load_state()
    assert "Write what you saw" in await desk.inner_text("main")
    assert await desk.evaluate("document.activeElement.className") == "wrong"
    assert await violations(desk) == []
    await desk.locator("#seen").fill(HOSTILE)
    await desk.locator("#deal").fill(HOSTILE[:250])
    await desk.get_by_role("button").click()
    await desk.wait_for_load_state()
    assert "Thank you" in await desk.inner_text("h1")
    assert await violations(desk) == []
    assert await desk.evaluate("window.owned") is None
    await desk.goto(f"{corded[0]}/cord/nowhere")
    assert await violations(desk) == []
    assert await desk.context.cookies() == []


async def test_the_ticket_of_a_pull_shows_hostile_words_as_words(corded: tuple[str, str], desk: Page) -> None:
    await desk.goto(await link(corded, "odd", 'a"b'))
    await desk.locator("#seen").fill(HOSTILE)
    await desk.get_by_role("button").click()
    connection = await asyncpg.connect(corded[1])
    number = await connection.fetchval("SELECT max(id) FROM tickets.ticket WHERE pipeline = 'odd'")
    await connection.close()

    await desk.goto(f"{corded[0]}/tickets/{number}")

    assert "Somebody pulled the cord in" in await desk.inner_text("h1") or "was pulled" in await desk.inner_text("main")
    assert await violations(desk) == []
    assert await desk.evaluate("window.owned") is None

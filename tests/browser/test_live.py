"""Pages follow what is without a reload, and leave alone what their reader does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, Route, expect

from tests.browser.company import Company
from tests.browser.conftest import seeded_company

KEY = "aging/new/proposal"
# Pages are at most ten seconds old; a busy machine may take longer.
WITHIN = 30_000


@pytest.fixture(scope="module")
async def company(
    browser: Browser, kafka: str, postgres: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Company]:
    """One of this file alone: its counts change."""
    async with seeded_company(kafka, postgres, tmp_path_factory.mktemp("live")) as found:
        yield found


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    context = await browser.new_context()
    context.set_default_timeout(WITHIN)
    found = await context.new_page()
    yield found
    await context.close()


@pytest.mark.parametrize("path", ["/tickets", "/tickets/{number}"])
async def test_a_new_count_is_shown_without_a_reload(company: Company, page: Page, path: str) -> None:
    await page.goto(company.url + path.format(number=company.numbers[KEY]))
    await page.evaluate("window.isSamePage = true")

    await company.tell_now("aging", "new", "proposal", 41)

    await expect(page.get_by_text("41 deals, usually 3, have been in Proposal").first).to_be_visible(timeout=WITHIN)
    assert await page.evaluate("window.isSamePage")
    assert await page.locator("time").first.get_attribute("title"), "times are of the reader's zone"


async def test_the_pipelines_follow(company: Company, page: Page) -> None:
    await page.goto(f"{company.url}/pipelines")

    await company.tell_now("aging", "new", "proposal", 43)

    await expect(page.get_by_role("row", name="Proposal").get_by_text("43 now")).to_be_visible(timeout=WITHIN)


async def test_the_board_follows(company: Company, page: Page) -> None:
    await page.goto(f"{company.url}/pipelines/new")

    await company.tell_now("aging", "new", "proposal", 47)

    stage = page.locator(".card", has=page.get_by_role("link", name="Proposal", exact=True))
    await expect(stage.get_by_text("47 of 47 deals")).to_be_visible(timeout=WITHIN)


async def test_what_is_typed_and_focused_and_unfolded_stays(company: Company, page: Page) -> None:
    await page.goto(f"{company.url}/tickets/{company.numbers[KEY]}")
    await company.tell_now("aging", "new", "proposal", 44)
    await expect(page.get_by_text("44 deals, usually 3, have been in Proposal").first).to_be_visible(timeout=WITHIN)
    await page.locator("#numbers-1-open").click()
    await page.locator("#close-reason").press_sequentially("The offer is ")

    await company.tell_now("aging", "new", "proposal", 45)
    await expect(page.get_by_text("45 deals, usually 3, have been in Proposal").first).to_be_visible(timeout=WITHIN)
    await page.keyboard.type("too long")

    assert await page.locator("#close-reason").input_value() == "The offer is too long"
    assert await page.locator("#numbers-1").evaluate("one => one.open")


async def test_charts_that_are_the_same_stay_and_are_not_fetched_again(company: Company, page: Page) -> None:
    await page.goto(f"{company.url}/stage?pipeline=new&stage=demo")
    chart = page.locator(".chart").last
    await chart.scroll_into_view_if_needed()
    await chart.locator("svg").evaluate("svg => { window.kept = svg; }")
    await page.evaluate("scrollTo(0, 0)")
    asked: list[str] = []
    address = await chart.get_attribute("hx-get")
    page.on("request", lambda request: asked.append(request.url))

    await company.tell_now("wip-high", "new", "demo", 37)
    await expect(page.get_by_text("37 deals in work").first).to_be_visible(timeout=WITHIN)

    assert await chart.get_attribute("hx-get") == address
    assert await page.evaluate("window.kept.isConnected")
    assert f"{company.url}{address}" not in asked


async def test_a_chart_that_shows_more_is_drawn_again_in_its_place(company: Company, page: Page) -> None:
    await page.goto(f"{company.url}/tickets/{company.numbers[KEY]}")
    chart = page.locator(".chart").first
    await chart.focus()
    await expect(page.locator(".readout").first).to_contain_text("deals over the limit")

    await company.tell_now("aging", "new", "proposal", 49)

    await expect(page.locator(".readout").first).to_have_text("Newest count: 49 deals over the limit", timeout=WITHIN)
    await expect(chart).to_be_focused()


async def test_the_focus_stays_on_a_link_of_a_part_that_is_replaced(company: Company, page: Page) -> None:
    await page.goto(f"{company.url}/tickets/{company.numbers[KEY]}")
    await page.locator("#all-deals").focus()

    await company.tell_now("aging", "new", "proposal", 46)
    await expect(page.get_by_text("of 46").first).to_be_visible(timeout=WITHIN)

    await expect(page.locator("#all-deals")).to_be_focused()


async def test_acknowledging_from_a_refreshed_list_still_works(company: Company, page: Page) -> None:
    number = company.numbers['wip-low/odd/a"b']
    await page.goto(f"{company.url}/tickets?pipeline=odd")
    await company.tell_now("wip-low", "odd", 'a"b', 3)
    await expect(page.get_by_text("3 deals are in").first).to_be_visible(timeout=WITHIN)

    await page.locator(f"#ticket-{number}-acknowledge").click()

    await expect(page.locator(f"#ticket-{number}.acknowledged")).to_be_visible(timeout=WITHIN)
    await company.tell_now("wip-low", "odd", 'a"b', 4)
    await expect(page.get_by_text("4 deals are in").first).to_be_visible(timeout=WITHIN)


async def test_a_service_that_does_not_answer_shows(company: Company, page: Page) -> None:
    await page.goto(f"{company.url}/tickets")
    await page.route("**/tickets", lambda route: route.abort())
    await expect(page.locator("#offline")).to_be_visible(timeout=WITHIN)

    await page.unroute("**/tickets")
    await expect(page.locator("#offline")).to_be_hidden(timeout=WITHIN)


async def test_an_answer_that_never_comes_holds_up_no_later_one(company: Company, page: Page) -> None:
    await page.goto(f"{company.url}/pipelines")
    asked = asyncio.Event()

    async def leave_open(route: Route) -> None:
        if asked.is_set():
            await route.continue_()
        asked.set()

    await page.route("**/pipelines", leave_open)
    async with asyncio.timeout(30):
        await asked.wait()

    await company.tell_now("aging", "new", "proposal", 48)

    await expect(page.get_by_role("row", name="Proposal").get_by_text("48 now")).to_be_visible(timeout=WITHIN)


async def test_without_scripts_nothing_asks_again(company: Company, browser: Browser) -> None:
    context = await browser.new_context(java_script_enabled=False)
    page, asked = await context.new_page(), []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(f"{company.url}/tickets")

    await page.wait_for_timeout(4000)

    assert asked.count(f"{company.url}/tickets") == 1
    assert await page.locator("#offline").is_hidden()
    await context.close()

"""Charts of a page come after it: in their place once they are seen, on paper, and without scripts."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, Route, expect

from tests.browser.company import Company

KEY = "aging/new/proposal"
STAGE = "/stage?pipeline=new&stage=proposal"
FRAMES = "() => [...document.querySelectorAll('.chart')].map(one => one.getBoundingClientRect().height)"


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    context = await browser.new_context(viewport={"width": 360, "height": 400})
    yield await context.new_page()
    await context.close()


def note_drawings(page: Page) -> list[str]:
    """The addresses of the charts that a page asks for."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "drawing=" in request.url else None)
    return asked


async def test_a_chart_is_fetched_once_it_is_seen_and_nothing_moves(company: Company, page: Page) -> None:
    asked = note_drawings(page)
    await page.route("**/live.js", lambda route: route.abort())
    await page.goto(company.url + STAGE)
    places = await page.evaluate(FRAMES)
    await page.locator(".chart svg").first.wait_for()
    seen = len(asked)

    await page.locator(".chart").last.scroll_into_view_if_needed()
    await page.locator(".chart").last.locator("svg").wait_for()

    assert 0 < seen < len(asked) <= len(places)
    assert await page.evaluate(FRAMES) == pytest.approx(places, abs=1)


async def test_a_page_is_printed_with_all_of_its_charts(company: Company, page: Page) -> None:
    await page.goto(company.url + STAGE)
    await page.locator(".chart svg").first.wait_for()
    assert await page.locator(".chart:not(:has(svg))").count() > 0

    await page.pdf()

    assert await page.locator(".chart:not(:has(svg))").count() == 0


@pytest.mark.parametrize("path", ["/tickets/{}", STAGE, "/charts/new/demo/arrivals"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_without_scripts_charts_are_pictures(company: Company, browser: Browser, path: str, scheme: str) -> None:
    context = await browser.new_context(java_script_enabled=False, color_scheme=scheme)  # type: ignore[arg-type]
    page = await context.new_page()
    await page.goto(company.url + path.format(company.numbers[KEY]))
    pictures = page.locator(".chart img")

    for picture in await pictures.all():
        await picture.scroll_into_view_if_needed()
        await expect(picture).to_have_js_property("complete", True)
        assert await picture.evaluate("one => one.naturalWidth") > 0
    assert await pictures.count() == await page.locator("figure").count() > 0
    await context.close()


async def test_a_chart_that_cannot_be_drawn_says_so_and_its_table_is_there(company: Company, page: Page) -> None:
    async def refuse(route: Route) -> None:
        await route.fulfill(status=503, content_type="image/svg+xml", body="<svg xmlns='http://www.w3.org/2000/svg'/>")

    await page.route("**drawing=**", refuse)
    await page.goto(f"{company.url}/tickets/{company.numbers[KEY]}")

    await page.locator(".chart").first.scroll_into_view_if_needed()
    await expect(page.locator(".chart").first).to_have_text("This chart cannot be drawn just now.")
    await page.locator("summary", has_text="The numbers").first.click()
    assert await page.locator(".numbers").first.locator("tbody tr").count() > 80


async def test_a_session_that_has_ended_puts_no_page_in_the_place_of_a_chart(company: Company, page: Page) -> None:
    async def to_sign_in(route: Route) -> None:
        await route.fulfill(status=200, content_type="text/html; charset=utf-8", body="<h1>Sign in</h1>")

    await page.route("**drawing=**", to_sign_in)
    await page.goto(f"{company.url}/tickets/{company.numbers[KEY]}")

    await page.locator(".chart").first.scroll_into_view_if_needed()
    await expect(page.locator(".chart").first).to_have_text("This chart cannot be drawn just now.")

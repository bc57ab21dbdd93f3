"""Everything can be reached and done by keyboard, and without scripts."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from playwright.async_api import Browser, Page, Route, expect

from tests.browser.company import Company

# All that a person can reach with Tab, in the order of the page; of a group of radio buttons one.
CONTROLS = """() => [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"]')]
    .filter(e => e.type !== 'hidden' && e.tabIndex >= 0 && e.checkVisibility())
    .filter(e => e.type !== 'radio' || e === e.form.querySelector(`[name=${e.name}]`))
    .map((e, n) => { e.dataset.walk = n; return n; })"""
FOCUS = """() => { const e = document.activeElement, s = getComputedStyle(e);
    return {walk: e.dataset.walk, seen: s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2}; }"""


@pytest.fixture(params=[1280, 360])
async def page(browser: Browser, request: pytest.FixtureRequest) -> AsyncIterator[Page]:
    context = await browser.new_context(viewport={"width": request.param, "height": 800})
    yield await context.new_page()
    await context.close()


async def walk(page: Page) -> list[int]:
    """The controls that Tab stops at, in order; each must show that it has the focus."""
    found: list[int] = []
    for _ in range(300):
        await page.keyboard.press("Tab")
        at = await page.evaluate(FOCUS)
        if at["walk"] is None:
            return found
        assert at["seen"], f"the focus cannot be seen on control {at['walk']}"
        if int(at["walk"]) not in found[-1:]:
            found.append(int(at["walk"]))
    raise AssertionError("Tab does not leave the page")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/tickets/{}",
        "/pipelines",
        "/pipelines/new",
        "/meeting",
        "/charts/new/-/throughput",
        "/tickets?state=closed",
        "/nowhere",
    ],
)
async def test_tab_reaches_every_control_in_order(company: Company, page: Page, path: str) -> None:
    # A part that is refreshed while Tab walks through it loses the numbers of its controls.
    await page.route("**/live.js", lambda route: route.abort())
    await page.goto(company.url + path.format(company.numbers["aging/new/proposal"]))
    controls = await page.evaluate(CONTROLS)

    assert await walk(page) == controls
    assert len(controls) > 5


async def test_tab_reaches_all_of_a_ticket_that_is_only_read(company: Company, page: Page) -> None:
    await page.goto(await company.read_address("aging/new/proposal"))
    controls = await page.evaluate(CONTROLS)

    assert await walk(page) == controls
    assert await page.get_by_role("link", name="Sign in to work on it").get_attribute("data-walk")


async def test_the_first_stop_leads_to_the_content(company: Company, page: Page) -> None:
    await page.goto(company.url)
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")

    assert await page.evaluate("document.activeElement.id") == "main"


async def tab_to(page: Page, name: str) -> None:
    for _ in range(100):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement.textContent.trim()") == name:
            return
    raise AssertionError(f"Tab does not come to {name}")


async def reopen(page: Page) -> None:
    """Snooze the ticket, so that it can be acknowledged again."""
    await page.locator("#snooze-until").evaluate("input => { input.value = input.max; }")
    async with page.expect_navigation():
        await page.get_by_role("button", name="Snooze").click()


async def test_enter_acknowledges_and_who_comes_second_sees_the_same(company: Company, page: Page) -> None:
    await page.goto(f"{company.url}/tickets/{company.numbers['wip-high/new/legal']}")
    if await page.get_by_role("button", name="Acknowledge").count() == 0:
        await reopen(page)
    late = await page.context.new_page()
    await late.goto(page.url)

    await tab_to(page, "Acknowledge")
    async with page.expect_navigation():
        await page.keyboard.press("Enter")
    async with late.expect_navigation():
        await late.get_by_role("button", name="Acknowledge").click()

    for one in (page, late):
        assert await one.locator(".number .state").inner_text() == "seen"
        assert await one.get_by_role("alert").count() == 0


async def test_closing_a_problem_that_goes_on_is_asked_again_undone_and_told(company: Company, page: Page) -> None:
    await page.goto(f"{company.url}/tickets/{company.numbers['aging/new/proposal']}")
    await page.get_by_label("The work on it was given up").check()
    await page.locator("#close-reason").fill("No budget.")
    async with page.expect_navigation():
        await page.get_by_role("button", name="Close", exact=True).click()
    assert "The problem goes on" in await page.get_by_role("alert").inner_text()
    assert await page.evaluate("document.activeElement.getAttribute('role')") == "alert"

    async with page.expect_navigation():
        await page.get_by_role("button", name="Close it anyway").click()
    assert "No budget." in await page.locator(".asks").inner_text()
    async with page.expect_navigation():
        await page.get_by_role("button", name="Undo").click()

    assert await page.locator(".number .state").inner_text() == "not yet seen"
    assert "The last step was undone" in await page.locator(".history").inner_text()


async def test_errors_stand_at_their_field_and_what_was_typed_is_kept(company: Company, page: Page) -> None:
    await page.goto(f"{company.url}/tickets/{company.numbers['stalled/new/negotiation']}")
    await page.locator("#close-reason").fill("It is <too> dear")
    await page.locator("form[action$='/close']").evaluate("form => { form.noValidate = true; }")
    await page.locator("#close-reason").press("Tab")
    async with page.expect_navigation():
        await page.keyboard.press("Enter")

    assert await page.evaluate("document.activeElement.getAttribute('role')") == "alert"
    assert await page.locator("#close-reason").input_value() == "It is <too> dear"
    assert "Choose" in await page.locator("#close-outcome-fault").inner_text()
    assert await page.locator("#close-outcome").get_attribute("aria-describedby") == "close-outcome-fault"
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    assert await page.evaluate("document.activeElement.id") == "close-outcome"


async def test_a_ticket_is_acknowledged_from_the_list_where_it_stands(company: Company, browser: Browser) -> None:
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(f"{company.url}/tickets?pipeline=odd&kind=wip-high&state=")
    await page.evaluate("window.here = true")
    await page.get_by_role("button", name="Acknowledge").focus()
    await page.keyboard.press("Enter")
    await page.locator(".row.acknowledged").wait_for()

    assert await page.evaluate("window.here"), "the page was loaded anew"
    assert "Somebody has seen it" in await page.get_by_role("status").inner_text()
    await expect(page.locator(".row.acknowledged a.title")).to_be_focused()
    assert await page.locator("time").first.get_attribute("title")
    await context.close()


async def test_where_only_those_not_seen_are_shown_the_list_stays_right(company: Company, browser: Browser) -> None:
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(f"{company.url}/tickets?pipeline=odd&kind=wip-low&state=open")
    await page.get_by_role("button", name="Acknowledge").focus()
    await page.keyboard.press("Enter")
    await page.get_by_role("heading", name="No ticket that is not yet seen fits this choice").wait_for()

    assert await page.locator(".row").count() == 0
    # The focus moves when htmx has settled, a moment after the new list is shown.
    await expect(page.locator("h1")).to_be_focused()
    await context.close()


async def unless_refreshed(route: Route) -> None:
    """Let a list grow old: it would refresh itself within ten seconds."""
    is_refresh = route.request.method == "GET" and route.request.resource_type in ("fetch", "xhr")
    await (route.abort() if is_refresh else route.continue_())


async def test_a_list_that_is_old_says_what_became_of_the_ticket(company: Company, browser: Browser) -> None:
    number = company.numbers["stalled/new/demo"]
    context = await browser.new_context()
    first, second = await context.new_page(), await context.new_page()
    for page in (first, second):
        await page.goto(company.url)
        await page.route("**/*", unless_refreshed)
    async with httpx.AsyncClient(base_url=company.url) as client:
        await client.post(f"/tickets/{number}/acknowledge", data={"version": "1"})
        await first.locator(f"#ticket-{number} button").click()
        await first.locator(f"#ticket-{number}.acknowledged").wait_for()
        closing = {"version": "2", "confirmed": "yes", "outcome": "abandoned", "reason": "No time."}
        await client.post(f"/tickets/{number}/close", data=closing)
    async with second.expect_navigation():
        await second.locator(f"#ticket-{number} button").click()

    assert "nothing is left to acknowledge" in await second.get_by_role("alert").inner_text()
    await context.close()


async def test_a_list_whose_service_is_gone_says_so(company: Company, browser: Browser) -> None:
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(company.url)
    await context.set_offline(True)
    await page.locator(f"#ticket-{company.numbers['aging/new/proposal']} button").click()
    await page.get_by_text("That did not work: Andon cannot be reached").wait_for()

    assert "That did not work" in await page.locator("#seen").inner_text()
    await context.close()


async def test_everything_works_without_scripts(company: Company, browser: Browser) -> None:
    context = await browser.new_context(java_script_enabled=False)
    page = await context.new_page()
    await page.goto(company.url)
    await page.get_by_label("Problem").select_option("aging")
    await page.get_by_role("button", name="Show", exact=True).click()
    assert "kind=aging" in page.url
    await page.get_by_role("link", name="Deals wait too long in Proposal").click()
    await page.locator("summary", has_text="The numbers").first.click()
    assert await page.locator(".numbers").first.is_visible()
    await page.get_by_label("Snooze until").fill("1999-01-01")
    await page.locator("form[action$='/snooze']").get_by_role("button").focus()
    await page.go_back()

    assert await page.get_by_role("heading", level=1).inner_text() == "1 problem of the system needs you"
    await context.close()

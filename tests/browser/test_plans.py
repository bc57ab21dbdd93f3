"""A plan, question by question, in a real browser: with and without scripts, by keyboard, on desk and phone."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import date, timedelta

import httpx
import pytest
from playwright.async_api import Browser, Page

from tests.browser.studied import DECIDED, OPEN, studied_service
from tests.browser.test_keyboard import CONTROLS, walk
from tests.browser.test_pages import SMALL, unfold, violations


@pytest.fixture
async def url(browser: Browser, postgres: str) -> AsyncIterator[str]:
    async with studied_service(postgres) as found:
        yield found


@pytest.fixture(params=[True, False], ids=["scripts", "no scripts"])
async def page(browser: Browser, request: pytest.FixtureRequest) -> AsyncIterator[Page]:
    context = await browser.new_context(java_script_enabled=request.param)
    yield await context.new_page()
    await context.close()


@pytest.fixture
async def scripted(browser: Browser) -> AsyncIterator[Page]:
    context = await browser.new_context()
    yield await context.new_page()
    await context.close()


async def go_on(page: Page, step: str) -> None:
    """Send the answer of a question."""
    async with page.expect_navigation():
        await page.locator(f"#step-{step}").get_by_role("button", name=re.compile("^Save and")).click()


async def change_date(page: Page) -> str:
    """A day that may be chosen."""
    soonest = await page.locator("#change_date").get_attribute("min")
    assert soonest
    return (date.fromisoformat(soonest) + timedelta(days=5)).isoformat()


async def fill(page: Page, url: str) -> None:
    """Answer one question after the other, as the page asks them."""
    await page.goto(f"{url}/tickets/{OPEN}/plan")
    assert await page.locator("details[open]").count() == 1
    await page.locator("#aim").fill("Proposals wait less.")
    await go_on(page, "aim")
    await page.get_by_label("Time in stage (median): shorter is better").first.check()
    await go_on(page, "measure")
    await page.locator("#shows .chart").scroll_into_view_if_needed()
    await page.locator("#shows .chart").locator("svg, img").wait_for()
    await page.locator("#change").fill("Two people answer each morning.")
    await page.get_by_label("Capacity").check()
    await go_on(page, "change")
    await page.locator("#task_1_what").fill("Make a roster")
    await page.locator("#task_1_who").fill("Sales lead")
    day = await change_date(page)
    await page.locator("#task_1_by").fill(day)
    await go_on(page, "tasks")
    await page.locator("#change_date").fill(day)
    await go_on(page, "when")
    await page.locator("#predicted_size").fill("30")
    await page.locator("#predicted_why").fill("Half of the waiting is for an answer.")
    await go_on(page, "prediction")
    await go_on(page, "balancing")


async def test_a_plan_is_written_question_by_question_and_sealed(page: Page, url: str) -> None:
    await fill(page, url)

    assert page.url.endswith("/plan?step=seal#step-seal")
    assert await page.locator("details.step[open]").count() == 0
    async with page.expect_navigation():
        await page.get_by_role("button", name="Seal the plan and its prediction").click()
    assert "The plan:" in await page.locator("h1").inner_text()
    assert re.fullmatch(r"[0-9a-f]{64}", await page.locator("code.hash").inner_text())
    await page.get_by_role("link", name="Move the change date, or withdraw the plan").click()
    assert "planned" in await page.locator(".number .state").inner_text()
    async with page.expect_navigation():
        await page.get_by_role("button", name="Start the change").click()
    assert "being changed" in await page.locator(".number .state").inner_text()


async def test_a_mistake_leads_to_its_field_and_nothing_typed_is_lost(page: Page, url: str) -> None:
    await page.goto(f"{url}/tickets/{OPEN}/plan?step=tasks")
    await page.locator("#task_1_what").fill("Make a <roster>")
    await go_on(page, "tasks")

    assert await page.title() == f"Error: Plan a change · Ticket {OPEN} · Andon"
    await page.get_by_role("alert").get_by_role("link", name="Write which role or team does task 1.").click()
    assert await page.locator("#task_1_what").input_value() == "Make a <roster>"
    assert await page.locator("#task_1_who").get_attribute("aria-describedby") == "task_1_who-fault"
    assert "which role or team" in await page.locator("#task_1_who-fault").inner_text()


async def test_enter_saves_and_stays_at_its_question(page: Page, url: str) -> None:
    await page.goto(f"{url}/tickets/{OPEN}/plan?step=tasks")
    await page.locator("#task_1_what").fill("Make a roster")
    async with page.expect_navigation():
        await page.locator("#task_1_what").press("Enter")

    assert page.url.endswith("?step=tasks#step-tasks")
    assert await page.locator("#task_1_what").input_value() == "Make a roster"


async def test_of_two_people_the_second_sees_both_answers(scripted: Page, url: str) -> None:
    await scripted.goto(f"{url}/tickets/{OPEN}/plan")
    await scripted.locator("#aim").fill("My aim")
    async with httpx.AsyncClient(base_url=url) as other:
        sent = {"version": "1", "draft_version": "0", "aim": "Their aim", "go": "measure"}
        assert (await other.post(f"/tickets/{OPEN}/draft", data=sent)).status_code == 303
    await go_on(scripted, "aim")

    alert = scripted.get_by_role("alert")
    assert "Their aim" in await alert.inner_text()
    assert await scripted.locator("#aim").input_value() == "My aim"
    await go_on(scripted, "aim")
    assert await scripted.get_by_role("alert").count() == 0


async def test_pages_of_plans_keep_wcag(scripted: Page, url: str) -> None:
    await scripted.goto(f"{url}/tickets/{OPEN}/plan")
    assert await violations(scripted) == []
    await fill(scripted, url)
    await unfold(scripted)
    assert await violations(scripted) == []
    assert await scripted.evaluate(SMALL) == []
    async with scripted.expect_navigation():
        await scripted.get_by_role("button", name="Seal the plan and its prediction").click()
    await unfold(scripted)
    assert await violations(scripted) == []
    for path in (f"/tickets/{OPEN}", f"/tickets/{OPEN}/reschedule"):
        await scripted.goto(url + path)
        assert await violations(scripted) == []


async def test_a_form_of_a_plan_with_errors_keeps_wcag(scripted: Page, url: str) -> None:
    await scripted.goto(f"{url}/tickets/{OPEN}/plan?step=tasks")
    await scripted.locator("#task_1_what").fill("Make a roster")
    await go_on(scripted, "tasks")

    assert await violations(scripted) == []


async def test_verdict_decision_and_ledger_keep_wcag(scripted: Page, url: str) -> None:
    await scripted.goto(f"{url}/tickets/{DECIDED}")
    assert "The change worked." in await scripted.locator("#plan").inner_text()
    assert await violations(scripted) == []
    async with scripted.expect_navigation():
        await scripted.locator("form[action$='/decide']").evaluate("form => { form.noValidate = true; form.submit(); }")
    assert await violations(scripted) == []
    await scripted.get_by_label("Adopt it.").check()
    async with scripted.expect_navigation():
        await scripted.get_by_role("button", name="Decide").click()
    assert "The change was adopted." in await scripted.locator("#plan").inner_text()
    for path in ("/ledger", "/ledger?q=nothing", "/", f"/tickets/{DECIDED}/plan"):
        await scripted.goto(url + path)
        assert await violations(scripted) == [], path


async def test_the_ledger_is_searched_without_scripts(page: Page, url: str) -> None:
    await page.goto(f"{url}/ledger")
    await page.get_by_label("Words").fill("five are in work")
    async with page.expect_navigation():
        await page.get_by_role("button", name="Show").click()

    assert "q=five+are+in+work" in page.url
    assert await page.locator(".ledger > li").count() == 1
    await page.locator(".ledger a").first.click()
    assert page.url == f"{url}/tickets/{DECIDED}"


@pytest.mark.parametrize("path", [f"/tickets/{OPEN}/plan?step=tasks", f"/tickets/{DECIDED}", "/ledger"])
async def test_tab_reaches_every_control_of_plans_and_ledger(scripted: Page, url: str, path: str) -> None:
    await scripted.route("**/live.js", lambda route: route.abort())
    await scripted.goto(url + path)
    controls = await scripted.evaluate(CONTROLS)

    assert await walk(scripted) == controls
    assert len(controls) > 5

"""The improvement meeting: twelve things on two sheets of A4, and a walk through them by keyboard."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from shared.contracts.measures import MeasureEvent
from shared.contracts.topics import MEASURES, PROBLEMS
from shared.kafka.access import KafkaAccess
from shared.kafka.publisher import OutgoingMessage, Publisher
from shared.postgres.pool import open_pool
from tests.browser.company import measures, problem
from tests.browser.conftest import Pages
from tests.browser.test_pages import violations
from tests.support.problems import event
from tests.support.sealed_plans import CHART, seal, verdict
from tests.support.waiting import eventually
from tests.support.week_messages import quiet, week_events

STAGES = ("lead", "demo", "proposal", "negotiation")
SENTENCE = (
    "Of 100 pairs of a week before and a week after, in 91 the later was better; by chance fewer than 4 in 1,000."
)
EFFECT = "4.2 days better, probably between 1.9 and 6.8 days (90 %)."


async def start(pages: Pages, url: str) -> None:
    """Twelve tickets that ask for every kind of decision that a ticket can ask for."""
    now, publisher = datetime.now(UTC), Publisher(KafkaAccess(pages.kafka))
    told = [
        event(problem(kind, stage, now, 3 + n))
        for n, kind in enumerate(("aging", "stalled", "wip-high"))
        for stage in STAGES
    ]
    points = [MeasureEvent(id=p.key, source="x", subject=p.key, time=p.end, data=p) for p in measures(now)]
    points += week_events(CHART, [86_400 * week for week in quiet(100)])
    await publisher.publish_all(
        [OutgoingMessage(pages.prefix + PROBLEMS, e.data.key.encode(), e.to_json()) for e in told]
        + [OutgoingMessage(pages.prefix + MEASURES, e.data.key.encode(), e.to_json()) for e in points]
    )
    await publisher.stop()
    async with httpx.AsyncClient(base_url=url) as client:

        async def opened() -> bool:
            return len((await client.get("/api/v1/tickets")).json()["tickets"]) == len(told)

        await eventually(opened)
        for number in (1, 2, 3):
            answer = await client.post(f"/tickets/{number}/acknowledge", data={"version": "1"})
            assert answer.status_code == 303
    pool, today = await open_pool(pages.dsn, "tickets", 1), now.date()
    await seal(pool, 4, today + timedelta(days=4), "planned", now)
    await seal(pool, 5, today + timedelta(days=2), "doing", now)
    await seal(pool, 6, today + timedelta(days=7 - today.weekday() - 91), "verifying", now)
    for number, found in ((7, "verified"), (8, "not-shown")):
        await seal(pool, number, today - timedelta(days=100), "closed", now, found)
        await verdict(pool, number, found, now, sentence=SENTENCE, effect_sentence=EFFECT)
    await pool.close()


@pytest.fixture(scope="module")
async def url(
    browser: Browser, kafka: str, postgres: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[str]:
    pages = Pages(kafka, postgres, tmp_path_factory.mktemp("meeting"))
    process = await pages.start()
    await start(pages, process.url)
    yield process.url
    process.stop()


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    yield await context.new_page()
    await context.close()


async def test_twelve_decisions_print_on_two_sheets(url: str, page: Page) -> None:
    await page.goto(f"{url}/meeting")
    assert await page.locator(".item").count() == 12

    printed = await page.pdf(format="A4", prefer_css_page_size=True)

    assert len(re.findall(rb"/Type\s*/Page\b(?!s)", printed)) == 2
    await page.emulate_media(media="print")
    assert await page.locator("button:visible").count() == 0
    assert await page.locator(".on-paper:visible").count() == 12


async def test_it_keeps_wcag(url: str, page: Page) -> None:
    await page.goto(f"{url}/meeting")

    assert await violations(page) == []


async def focused(page: Page) -> str:
    return str(await page.evaluate("document.activeElement.id"))


@pytest.mark.parametrize(("forth", "back"), [("j", "k"), ("ArrowDown", "ArrowUp")])
async def test_keys_walk_through_it(url: str, page: Page, forth: str, back: str) -> None:
    await page.goto(f"{url}/meeting")
    items = await page.locator(".item").evaluate_all("found => found.map(one => one.id)")

    await page.get_by_role("button", name="Walk through it").click()
    walked = [await focused(page)]
    for _ in items[1:]:
        await page.keyboard.press(forth)
        walked.append(await focused(page))
    assert walked == items

    await page.keyboard.press(forth)
    assert await focused(page) == items[-1]
    await page.keyboard.press(back)
    assert await focused(page) == items[-2]
    await page.keyboard.press("Tab")
    assert await focused(page) == f"{items[-2]}-title"
    await page.keyboard.press(back)
    assert await focused(page) == items[-3]


async def test_no_key_is_taken_elsewhere(url: str, page: Page) -> None:
    await page.goto(f"{url}/meeting")

    await page.keyboard.press("j")
    await page.locator("select").focus()
    await page.keyboard.press("j")

    assert await page.evaluate("document.activeElement.tagName") == "SELECT"


async def test_it_works_without_scripts(browser: Browser, url: str) -> None:
    context = await browser.new_context(java_script_enabled=False)
    page = await context.new_page()
    await page.goto(f"{url}/meeting")

    assert await page.locator(".item").count() == 12
    assert await page.get_by_role("button", name="Walk through it").count() == 0
    await page.get_by_role("link", name="Adapt or drop it").first.click()
    assert page.url.endswith("#decide")
    await context.close()


async def test_acknowledged_from_the_meeting_it_moves_to_the_next_part(url: str, page: Page) -> None:
    await page.goto(f"{url}/meeting")
    before = await page.locator("#part-unplanned").inner_text()
    button = page.get_by_role("button", name=re.compile("Acknowledge")).last
    title = (await button.get_attribute("aria-label") or "").removeprefix("Acknowledge: ")

    await button.click()

    await expect(page.locator("#part-unplanned")).not_to_have_text(before)
    assert page.url == f"{url}/meeting"
    part = page.locator("section[aria-labelledby=part-unplanned]")
    await expect(part.get_by_role("link", name=title).first).to_be_visible()

"""Pages and mails in a real browser: WCAG by axe-core, phones, paper, the reader's zone, hostile texts."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect

from shared.contracts.notices import NoticeReason
from shared.wording.quantities import week_begin
from tests.browser.company import Company
from tests.support.week_messages import WEEKS

WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"], "resultTypes": ["violations"]}
# The rules that a colour can break: a scheme changes nothing else.
COLOURS = WCAG | {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
# Width, scheme and rules of each look. Colours depend on the scheme alone, and take as long as all rules together.
LOOKS = ((1280, "light", WCAG), (1280, "dark", COLOURS), (360, "light", WCAG), (360, "dark", COLOURS))
# Texts of charts whose letters are smaller than 10.5 px on the screen, however far the drawing is drawn together.
SMALL = """() => [...document.querySelectorAll('.chart text')].filter(text => {
        const on = text.getScreenCTM();
        return parseFloat(getComputedStyle(text).fontSize) * Math.hypot(on.a, on.b) < 10.5;
    }).map(text => text.textContent)"""

# Numbers, dates and amounts that take more than one line. A duration may end a line, and its day begin the next.
BROKEN = """() => [...document.querySelectorAll('time:not(:has(.whole)), .whole, td.n, .stake strong')]
    .filter(one => one.checkVisibility())
    .filter(one => { const range = document.createRange(); range.selectNodeContents(one);
        return new Set([...range.getClientRects()].map(box => Math.round(box.top))).size > 1; })
    .map(one => one.textContent)"""


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    context = await browser.new_context()
    found = await context.new_page()
    yield found
    await context.close()


async def violations(page: Page) -> list[str]:
    """What axe-core finds against WCAG 2.1 A and AA on desk and phone and in the dark, and what scrolls sideways."""
    found = []
    await page.evaluate(Axe().axe_script)
    for width in (768, 1280, 360):
        await page.set_viewport_size({"width": width, "height": 800})
        if await page.evaluate("document.documentElement.scrollWidth") > width:
            found.append(f"{width} px: the page scrolls sideways")
    for width, scheme, rules in LOOKS:
        await page.set_viewport_size({"width": width, "height": 800})
        await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        for one in await page.evaluate("rules => axe.run(rules).then(result => result.violations)", rules):
            nodes = "; ".join(node["html"][:120] for node in one["nodes"][:3])
            found.append(f"{width} px, {scheme}: {one['id']}: {one['help']}: {nodes}")
    return found


async def test_faults_are_found(page: Page) -> None:
    await page.set_content("<body style='width: 400px; color: #999'><img src=x>grey on white")
    found = " ".join(await violations(page))

    assert all(name in found for name in ("image-alt", "color-contrast", "360 px: the page scrolls sideways"))
    assert "dark: color-contrast" in found


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/tickets?state=closed",
        "/tickets?pipeline=new&kind=aging",
        "/tickets?pipeline=odd&kind=stalled",
        "/tickets?sort=money",
        "/stage?pipeline=new&stage=proposal",
        "/stage?pipeline=odd&stage=a%22b",
        "/stage?pipeline=new&stage=nowhere",
        "/tickets?state=lost",
        "/pipelines",
        "/pipelines/new",
        "/pipelines/odd",
        "/pipelines/nowhere",
        "/meeting",
        "/meeting?pipeline=odd",
        "/what-if?pipeline=new",
        "/what-if?pipeline=odd&new.kind=aging&new.stage=nowhere",
        "/forecast?pipeline=new&deals=50",
        "/forecast?pipeline=odd&by=yesterday",
        "/charts/new/-/throughput",
        "/charts/new/demo/arrivals",
        "/charts/new/legal/time_in_stage_median_s",
        "/charts/odd/a%22b/arrivals",
        "/nowhere",
        "/tickets/999999",
        "/tickets/1/close",
    ],
)
async def test_pages_and_errors_keep_wcag(company: Company, page: Page, path: str) -> None:
    await page.goto(company.url + path)

    assert await violations(page) == []


@pytest.mark.parametrize(
    "key",
    [
        "aging/new/proposal",
        "aging/new/legal",
        "wip-high/new/demo",
        "wip-high/new/legal",
        "wip-high/new/proposal",
        "wip-low/new/lead",
        "wip-low/new/demo",
        "stalled/new/negotiation",
        'wip-high/odd/a"b',
    ],
)
async def test_tickets_of_every_kind_and_state_keep_wcag(company: Company, page: Page, key: str) -> None:
    await page.goto(f"{company.url}/tickets/{company.numbers[key]}")
    await unfold(page)
    await draw_all(page)

    assert await violations(page) == []
    assert await page.evaluate(SMALL) == [], "letters of a chart are too small on a phone"


@pytest.mark.parametrize(
    ("form", "typed"),
    [
        ("snooze", {"until": "1999-12-31"}),
        ("close", {"reason": "Because"}),
        ("close", {}),
        ("link", {"issue": "https://other.example/browse/SALES-1"}),
    ],
)
async def test_forms_with_errors_keep_wcag(company: Company, page: Page, form: str, typed: dict[str, str]) -> None:
    await page.goto(f"{company.url}/tickets/{company.numbers['stalled/new/negotiation']}")
    await unfold(page)
    await send(page, form, typed)

    assert (
        await page.title() == "Error: Deals stand still in Negotiation · Ticket " + page.url.split("/")[4] + " · Andon"
    )
    assert await violations(page) == []


async def test_a_ticket_that_is_only_read_keeps_wcag(company: Company, page: Page) -> None:
    await page.goto(await company.read_address("aging/new/proposal"))
    assert await page.get_by_role("link", name="Sign in to work on it").is_visible()
    await unfold(page)
    for picture in await page.locator(".chart img").all():
        await picture.scroll_into_view_if_needed()
        # Letters of a picture are as large as its 274 units are drawn: of 9.5 at least 10.5.
        assert await picture.evaluate("one => one.decode().then(() => one.clientWidth)") > 274 * 10.5 / 9.5

    assert await violations(page) == []


async def draw_all(page: Page) -> None:
    """See every chart, and wait for its drawing."""
    for chart in await page.locator(".chart").all():
        await chart.scroll_into_view_if_needed()
        await chart.locator("svg").wait_for()


async def unfold(page: Page) -> None:
    """Unfold all details."""
    await page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")


async def send(page: Page, form: str, typed: dict[str, str]) -> None:
    """Send a form past the browser's own checks, as an old browser would."""
    for name, value in typed.items():
        await page.locator(f"form[action$='/{form}'] [name={name}]").fill(value)
    await page.locator(f"form[action$='/{form}']").evaluate("form => { form.noValidate = true; }")
    async with page.expect_navigation():
        await page.locator(f"form[action$='/{form}'] button").click()


async def test_the_empty_list_teaches_and_faults_of_ours_say_what_to_do(empty: tuple[str, str], page: Page) -> None:
    url, dsn = empty
    await page.goto(url)

    assert "No day has been measured yet" in await page.locator("main").inner_text()
    assert "Proposal: waiting too long, which is 5\u00a0deals or more" in await page.locator(".watched").inner_text()
    assert await violations(page) == []
    await page.goto(f"{url}/pipelines")
    assert await violations(page) == []

    connection = await asyncpg.connect(dsn)
    await connection.execute("ALTER TABLE tickets.measure RENAME TO away")
    answer = await page.goto(f"{url}/pipelines")
    await connection.execute("ALTER TABLE tickets.away RENAME TO measure")
    await connection.close()

    assert (answer.status if answer else 0) == 500
    assert "Try again" in await page.locator("main").inner_text()
    assert await violations(page) == []


async def test_mails_and_inbox_keep_wcag(inbox: str, page: Page) -> None:
    await page.goto(inbox)
    mails = [await link.get_attribute("href") for link in await page.locator("li a").all()]

    assert len(mails) == len(NoticeReason) + 1
    assert await violations(page) == []
    for mail in mails:
        await page.goto(f"{inbox}{mail}/html")
        assert await violations(page) == [], mail
    await page.goto(inbox + str(mails[0]))
    await unfold(page)
    assert await violations(page) == []
    await page.goto(f"{inbox}/mails/none")
    assert await violations(page) == []


async def test_the_link_of_a_mail_in_the_inbox_opens_a_ticket_that_can_be_worked(inbox: str, page: Page) -> None:
    await page.goto(f"{inbox}/mails/0")
    async with page.expect_popup() as opened:
        await page.frame_locator("iframe").get_by_text("Open the ticket").click()
    ticket = await opened.value

    await send(ticket, "close", {})

    assert "That did not work" in await ticket.locator("main").inner_text()


async def test_hostile_names_stay_text(company: Company, page: Page) -> None:
    number = company.numbers['wip-high/odd/a"b']
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    for path in ("/", f"/tickets/{number}", "/pipelines", "/tickets?pipeline=odd"):
        await page.goto(company.url + path)

        assert await page.evaluate("window.owned") is None, path
        assert await page.locator("[href^='javascript:' i], [onerror], main img, main script").count() == 0, path
    assert complaints == []
    await page.goto(f"{company.url}/tickets/{number}")
    assert "$x_1$ {{ 7 * 7 }}" in await page.locator("h1").inner_text()
    await page.goto(f"{company.url}/tickets/{number}/chart.svg")
    assert await page.evaluate("window.owned") is None


async def test_times_are_the_readers_and_exact_on_hover(company: Company, browser: Browser) -> None:
    path = f"{company.url}/tickets/{company.numbers['aging/new/proposal']}"
    told = {}
    for zone in ("Pacific/Auckland", "Europe/Berlin"):
        context = await browser.new_context(timezone_id=zone)
        page = await context.new_page()
        await page.goto(path)
        await page.get_by_text(f"All times are in the zone {zone}.").wait_for()
        first = page.locator(".lead time").last
        told[zone] = (await first.inner_text(), str(await first.get_attribute("title")))
        await context.close()
    without = await browser.new_context(java_script_enabled=False)
    page = await without.new_page()
    await page.goto(path)
    first = page.locator(".lead time").last
    plain = (await first.inner_text(), await first.get_attribute("title"))
    await without.close()

    assert told["Europe/Berlin"][0] == plain[0]
    assert told["Pacific/Auckland"][0] != plain[0]
    assert "GMT+1" in told["Pacific/Auckland"][1] or "NZ" in told["Pacific/Auckland"][1]
    assert str(plain[1]).endswith(("CET", "CEST"))


async def test_sentences_forms_and_charts_are_in_one_zone_the_readers(company: Company, browser: Browser) -> None:
    context = await browser.new_context(timezone_id="America/Los_Angeles")
    page = await context.new_page()
    await page.goto(f"{company.url}/tickets/{company.numbers['aging/new/proposal']}")
    await page.get_by_text("All times are in the zone America/Los_Angeles.").wait_for()

    assert "of that day in America/Los_Angeles" in await page.locator("form[action$='/snooze']").inner_text()
    assert "Europe/Berlin" not in await page.content()
    began = await page.locator(".lead time").last.inner_text()
    asked = await page.locator(".asks").inner_text()
    assert began.startswith("on ")
    assert "Something happened around " in asked
    await page.goto(f"{company.url}/tickets/{company.numbers['aging/new/proposal']}/chart.svg")
    assert "America/Los_Angeles" in await page.content()
    await context.close()


async def test_values_of_a_chart_show_on_hover_and_by_keyboard(company: Company, page: Page) -> None:
    await page.goto(f"{company.url}/tickets/{company.numbers['aging/new/proposal']}")
    chart, readout = page.locator(".chart").first, page.locator(".readout").first
    assert await readout.inner_text() == ""

    await chart.focus()
    await expect(readout).to_have_text("Newest count: 16 deals over the limit")
    await page.keyboard.press("Home")
    first = await readout.inner_text()
    await page.keyboard.press("ArrowRight")
    assert first != await readout.inner_text()
    assert first.endswith("deals over the limit")
    assert await page.locator(".chart .cursor").count() == 1
    await page.keyboard.press("Tab")
    assert await readout.inner_text() == ""
    await page.locator(".chart svg").last.hover()
    await expect(page.locator(".readout").last).to_contain_text("days")


async def test_a_ticket_of_a_pipeline_keeps_wcag(company: Company, page: Page) -> None:
    await page.goto(f"{company.url}/tickets/{company.numbers['shift/new//throughput']}")
    assert "Fewer deals are won or lost in New business" in await page.locator("h1").inner_text()

    await unfold(page)
    assert await violations(page) == []


async def test_a_new_baseline_is_asked_for_and_begun(company: Company, page: Page) -> None:
    await page.goto(f"{company.url}/charts/new/demo/arrivals")
    await page.get_by_label("What changed, for whoever reads this chart next").fill("The team has doubled.")
    await page.get_by_label("From which week on").select_option(index=15)
    await page.get_by_role("button", name="Show what it does").click()
    assert "Nothing has been done yet" in await page.locator("main").inner_text()
    assert await page.evaluate("document.activeElement.className") == "wrong"
    assert await violations(page) == []

    await page.get_by_role("button", name="Begin the new baseline").click()

    await page.get_by_text("A person: “The team has doubled.”").wait_for()


async def test_the_weeks_of_a_chart_show_by_keyboard(company: Company, page: Page) -> None:
    await page.goto(f"{company.url}/charts/new/-/throughput")
    chart, readout = page.locator(".chart").first, page.locator(".readout").first
    await chart.focus()

    newest = week_begin(WEEKS.name(43))
    await expect(readout).to_have_text(f"The week of {newest}: 20 deals (outside the limits)")
    await page.goto(f"{company.url}/tickets/{company.numbers['shift/new//throughput']}")
    await page.locator(".chart").first.focus()
    await expect(page.locator(".readout").first).to_have_text(f"The week of {newest}: 20 deals (last 4 weeks)")


async def test_numbers_dates_and_amounts_do_not_break(company: Company, page: Page) -> None:
    for path in ("/", f"/tickets/{company.numbers['aging/new/proposal']}", "/pipelines"):
        for width in (360, 768, 1280):
            await page.set_viewport_size({"width": width, "height": 800})
            await page.goto(company.url + path)
            broken = await page.evaluate(BROKEN)
            assert broken == [], (path, width)


async def test_paper_is_light_and_bears_no_buttons(company: Company, page: Page) -> None:
    await page.goto(f"{company.url}/tickets/{company.numbers['aging/new/proposal']}")
    await page.emulate_media(media="print", color_scheme="dark")

    assert await page.evaluate("getComputedStyle(document.body).color") == "rgb(29, 35, 39)"
    assert not await page.get_by_role("button", name="Acknowledge").is_visible()


async def test_the_charts_numbers_stand_in_a_table(company: Company, page: Page) -> None:
    await page.goto(f"{company.url}/tickets/{company.numbers['aging/new/proposal']}")
    await page.locator("summary", has_text="The numbers").first.click()
    rows = await page.locator(".numbers").first.locator("tbody tr").all_inner_texts()

    assert rows[0].split() == ["newest", "count", "16"]
    assert len(rows) > 80

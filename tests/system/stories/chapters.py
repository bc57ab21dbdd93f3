"""The four stories as people live through them at the pages: what they do, and what the pages say at each point.

Each is told up to an instant that it yields, and goes on once the log is played until then.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import TypeAlias

from playwright.async_api import Browser, Locator, expect

from shared.flow.statistics.effect import PredictionResult
from shared.flow.statistics.held_gain import Hold
from shared.flow.statistics.interim_looks import WINDOW
from shared.wording.studies import RESTORED as RESTORED_SENTENCE
from shared.wording.studies import RESULTS, hold_sentence
from tests.system.stories.records import TicketRecord
from tests.system.stories.replay import ReplayedCompany, replayed
from tests.system.stories.stories import DECAYED, IMPROVED, RESTORED, STORIES, UNCHANGED
from tests.system.stories.visitor import PATIENCE, TITLE, Look, StoryVisitor

Chapters: TypeAlias = AsyncIterator[datetime]
WORKED, NOT_WORKED, BACK = "The change worked", "The weeks do not show that the change worked", "Back where it was"
DROPPED_BECAUSE = "It cost more than it brought."


async def tell_all(browser: Browser, kafka: str, dsn: str, prefix: str, folder: Path, look: Look) -> None:
    """Play all stories on services of their own, each in a tab. `look`: called with the page at each named point."""
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(PATIENCE)
    async with replayed(kafka, dsn, prefix, folder) as company:
        visitors = [StoryVisitor(await context.new_page(), company.url, story, look) for story in STORIES]
        async with _pages_shown(visitors):
            await tell(company, [TELLERS[one.story.name](one, company) for one in visitors])
    await context.close()


@asynccontextmanager
async def _pages_shown(visitors: Iterable[StoryVisitor]) -> AsyncIterator[None]:
    """Add to an error what each page showed."""
    try:
        yield
    except Exception as error:
        for visitor in visitors:
            error.add_note(f"{visitor.story.name} at {visitor.page.url}:\n{await visitor.page.inner_text('body')}")
        raise


async def tell(company: ReplayedCompany, stories: Iterable[Chapters]) -> None:
    """Play the log, and tell each story whenever its next instant has come."""
    order = count()
    waiting = [(await anext(one), next(order), one) for one in stories]
    heapq.heapify(waiting)
    while waiting:
        until, _, story = heapq.heappop(waiting)
        await company.play(until)
        async for later in story:
            heapq.heappush(waiting, (later, next(order), story))
            break


async def gain_that_holds(visitor: StoryVisitor, company: ReplayedCompany) -> Chapters:
    """The change works as predicted; it is adopted in the meeting, and its gain holds."""
    story = visitor.story
    yield story.sealing_day
    record = await plan_and_start(visitor, company)
    await expect_on_board(visitor)
    yield story.over(7)
    await expect_study(visitor, record)
    yield story.over(8)
    await expect_verdict(visitor, record, WORKED)
    await visitor.visit("/meeting")
    await visitor.look("meeting")
    await visitor.press_within(meeting_item(visitor, "verdict"), "Adopt the change")
    await expect(part(visitor, "verdict").filter(has_text=story.region)).to_have_count(0)
    yield story.over(WINDOW)
    await visitor.open(record.number)
    await expect_effect(visitor, PredictionResult.HIT)
    await visitor.look("effect")
    yield story.over(story.weeks)
    await expect(visitor.tried).to_contain_text(hold_sentence(Hold.HELD, WINDOW), timeout=PATIENCE)
    await expect(visitor.state).to_have_text("closed")
    await expect_in_ledger(visitor, record, Hold.HELD)
    await visitor.look("held")
    await record.check_changes("adopted", "held")


async def change_without_effect(visitor: StoryVisitor, company: ReplayedCompany) -> Chapters:
    """The weeks do not show that the change worked; the meeting leads to the decision, and it is dropped."""
    story = visitor.story
    yield story.sealing_day
    record = await plan_and_start(visitor, company)
    yield story.over(WINDOW - 1)
    await expect_study(visitor, record)
    yield story.over(WINDOW)
    await expect_verdict(visitor, record, NOT_WORKED)
    await expect_effect(visitor, PredictionResult.OPEN)
    await visitor.visit("/meeting")
    await meeting_item(visitor, "verdict").get_by_role("link", name="Adapt or drop it").click()
    await visitor.decide("Drop it.", DROPPED_BECAUSE)
    await expect(visitor.tried).to_contain_text(f"The change was dropped. {DROPPED_BECAUSE}")
    await record.check_changes("dropped")


async def trouble_that_went_away(visitor: StoryVisitor, company: ReplayedCompany) -> Chapters:
    """A special cause is repaired before there are weeks enough to compare with: back where it was."""
    story = visitor.story
    yield story.sealing_day
    record = await plan_and_start(visitor, company)
    yield story.over(7)
    await expect_study(visitor, record)
    yield story.over(8)
    await expect_verdict(visitor, record, BACK)
    await expect(visitor.tried).to_contain_text(RESTORED_SENTENCE)
    await visitor.decide("Adopt it.", "")
    await expect(visitor.tried).to_contain_text("The change was adopted.")
    await record.check_changes("adopted")
    await visitor.page.get_by_role("link", name="Ledger").click()
    row = visitor.page.locator(f"#attempt-{record.number}-1")
    await expect(row).to_contain_text("back where it was. It was adopted.")


async def gain_that_is_lost(visitor: StoryVisitor, company: ReplayedCompany) -> Chapters:
    """The change works and is adopted; then the trouble comes back, and so does its ticket."""
    story = visitor.story
    yield story.sealing_day
    record = await plan_and_start(visitor, company)
    yield story.over(7)
    await expect_study(visitor, record)
    yield story.over(8)
    await expect_verdict(visitor, record, WORKED)
    await visitor.decide("Adopt it.", "It has become the usual way.")
    await expect(visitor.tried).to_contain_text("The change was adopted. It has become the usual way.")
    yield story.over(story.weeks)
    await expect(visitor.state).to_have_text("not yet seen", timeout=PATIENCE)
    await expect_in_ledger(visitor, record, Hold.DECAYED)
    before = visitor.page.get_by_role("listitem").filter(has_text=story.change)
    await expect(before).to_contain_text(hold_sentence(Hold.DECAYED, WINDOW))
    await record.check_changes("adopted", "decayed")
    assert await visitor.find("open") == record.number
    await visitor.look("back")


TELLERS: dict[str, Callable[[StoryVisitor, ReplayedCompany], Chapters]] = {
    IMPROVED.name: gain_that_holds,
    UNCHANGED.name: change_without_effect,
    RESTORED.name: trouble_that_went_away,
    DECAYED.name: gain_that_is_lost,
}


async def plan_and_start(visitor: StoryVisitor, company: ReplayedCompany) -> TicketRecord:
    """Find the ticket, take it on, plan and seal a change, and begin to carry it out."""
    number = await visitor.find()
    record = TicketRecord(company.connection, visitor.story, number)
    await expect(visitor.state).to_have_text("not yet seen")
    await visitor.look("opened")
    await visitor.acknowledge()
    await visitor.plan()
    await visitor.look("plan")
    assert await visitor.seal() == await record.check_sealed()
    await visitor.look("sealed")
    await visitor.start()
    await visitor.look("started")
    return record


async def expect_on_board(visitor: StoryVisitor) -> None:
    """The board of the region shows at its stage what is going to be tried."""
    page = visitor.page
    await page.get_by_role("link", name="Pipelines").click()
    await page.get_by_role("link", name=f"New business {visitor.story.region}").first.click()
    card = page.locator(".card").filter(has=page.get_by_role("link", name=TITLE))
    await expect(card.get_by_role("heading", name="Demo")).to_be_visible()
    await expect(card.locator(".tried")).to_contain_text(visitor.story.change)
    await visitor.look("board")
    await card.get_by_role("link", name=TITLE).click()


async def expect_study(visitor: StoryVisitor, record: TicketRecord) -> None:
    """The page says that the change was made, and nothing yet of what it did."""
    await expect(visitor.state).to_have_text("being verified", timeout=PATIENCE)
    await expect(visitor.tried).to_contain_text("The change was made on")
    await expect(visitor.tried).to_contain_text("not known yet")
    await visitor.open(record.number)
    await visitor.look("study")


async def expect_verdict(visitor: StoryVisitor, record: TicketRecord, sentence: str) -> None:
    """The page, open all the time, says what was found; the record has the same as the pure functions."""
    await expect(visitor.tried.locator(".verdict strong")).to_have_text(re.compile(f"{sentence}\\.$"), timeout=PATIENCE)
    await expect(visitor.state).to_have_text("closed")
    await record.check_verdict()
    await visitor.open(record.number)
    await visitor.look("verdict")


async def expect_effect(visitor: StoryVisitor, result: PredictionResult) -> None:
    """Prediction and effect stand side by side, with what became of the prediction."""
    found = visitor.tried.get_by_role("table", name="Prediction and effect")
    size = f"{int(100 * visitor.story.predicted)} %"
    words = f"The prediction of {size} held." if result is PredictionResult.HIT else RESULTS[result]
    await expect(found).to_contain_text(f"{size} shorter")
    await expect(found).to_contain_text(words, timeout=PATIENCE)


async def expect_in_ledger(visitor: StoryVisitor, record: TicketRecord, hold: Hold) -> None:
    """The ledger has the change with what became of its gain, and leads to the ticket."""
    await visitor.page.get_by_role("link", name="Ledger").click()
    row = visitor.page.locator(f"#attempt-{record.number}-1")
    await expect(row).to_contain_text(visitor.story.change)
    await expect(row).to_contain_text(hold_sentence(hold, WINDOW))
    await visitor.look("ledger")
    await row.get_by_role("link", name=TITLE).click()


def part(visitor: StoryVisitor, asked: str) -> Locator:
    """What of this story is in a part of the meeting."""
    section = visitor.page.locator(f"section[aria-labelledby=part-{asked}]")
    return section.locator(".item").filter(has_text=f"New business {visitor.story.region}")


def meeting_item(visitor: StoryVisitor, asked: str) -> Locator:
    """The ticket of this story in the meeting."""
    return part(visitor, asked).filter(has=visitor.page.get_by_role("link", name=TITLE))

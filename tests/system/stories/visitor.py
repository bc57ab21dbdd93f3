"""A person at the pages, in Chromium: clicks and types, and reads what the pages say."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeAlias

from playwright.async_api import Locator, Page, expect

from shared.wording.measures import NAMES
from tests.system.stories.stories import MEASURE, Story

Look: TypeAlias = Callable[[Page, str], Awaitable[None]]
TITLE = "Deals stay longer in Demo"
# How long services, in milliseconds, may take until a page shows what the log holds.
PATIENCE = 90_000


class StoryVisitor:
    """Works the ticket of one story. `look`: called with the page and a name at each point of the story."""

    def __init__(self, page: Page, url: str, story: Story, look: Look) -> None:
        self.page, self.story = page, story
        self._url, self._look = url, look

    async def look(self, name: str) -> None:
        await self._look(self.page, f"{self.story.name}-{name}")

    async def visit(self, path: str) -> None:
        answer = await self.page.goto(self._url + path)
        assert answer is not None
        assert answer.ok, f"{path}: {answer.status}"

    async def open(self, number: int) -> None:
        await self.visit(f"/tickets/{number}")

    async def find(self, state: str = "") -> int:
        """Choose region, kind of problem and state in the list, and open the ticket. Returns its number."""
        await self.visit("/")
        await self.look("list")
        form = self.page.locator("form.filters")
        await form.get_by_label("Pipeline").select_option(f"New business {self.story.region}")
        await form.get_by_label("Problem").select_option("shift")
        await form.get_by_label("State").select_option(state)
        await self.press("Show")
        await self.page.get_by_role("link", name=TITLE).first.click(timeout=PATIENCE)
        await expect(self.page.locator("h1")).to_have_text(TITLE)
        return int(self.page.url.rsplit("/", 1)[1])

    async def acknowledge(self) -> None:
        await self.press("Acknowledge")
        await expect(self.state).to_have_text("seen")

    async def plan(self) -> None:
        """Answer one question after the other, as the page asks them."""
        story, page = self.story, self.page
        await page.get_by_role("link", name="Plan a change").click()
        await self.type("#aim", "Customers get a demo as soon as before the summer")
        await self.go_on("aim")
        label = f"{NAMES[MEASURE.column]}: shorter is better"
        await page.get_by_role("group", name="One measure decides").get_by_label(label).first.check()
        await self.go_on("measure")
        await self.type("#change", story.change)
        await page.locator(f"[name=countermeasure][value={story.countermeasure}]").check()
        await self.go_on("change")
        await self.type("#task_1_what", story.change)
        await self.type("#task_1_who", "head of presales")
        await page.locator("#task_1_by").fill(str(story.change_date - timedelta(days=3)))
        await self.go_on("tasks")
        await page.locator("#change_date").fill(str(story.change_date))
        await self.go_on("when")
        await self.type("#predicted_size", str(int(100 * story.predicted)))
        await self.type("#predicted_why", story.why)
        await self.go_on("prediction")
        await page.get_by_label("No other measure can suffer from it").check()
        await self.go_on("balancing")

    async def seal(self) -> str:
        """Seal the plan. Returns the seal that the page shows."""
        await self.press("Seal")
        await expect(self.page.locator("h1")).to_contain_text("The plan:")
        return await self.page.locator("code.hash").inner_text()

    async def start(self) -> None:
        await self.page.get_by_role("link", name="Move the change date, or withdraw the plan").click()
        await expect(self.state).to_have_text("planned")
        await self.press("Start the change")
        await expect(self.state).to_have_text("being changed")

    async def decide(self, choice: str, because: str = "") -> None:
        """Decide what is done with the change."""
        await self.page.get_by_label(choice).check()
        await self.type("#decide-reason", because)
        await self.press("Decide")

    @property
    def state(self) -> Locator:
        return self.page.locator(".number .state")

    @property
    def tried(self) -> Locator:
        """What the ticket says of its plan and its study."""
        return self.page.locator("#plan")

    async def type(self, field: str, text: str) -> None:
        await self.page.locator(field).press_sequentially(text)

    async def press(self, name: str) -> None:
        await self.press_within(self.page.locator("main"), name)

    async def press_within(self, part: Locator, name: str) -> None:
        """Press a button that leads to a page."""
        async with self.page.expect_navigation():
            await part.get_by_role("button", name=re.compile(f"^{name}")).click()

    async def go_on(self, step: str) -> None:
        """Send the answer of a question."""
        async with self.page.expect_navigation():
            await self.page.locator(f"#step-{step}").get_by_role("button", name=re.compile("^Save and")).click()

"""What stages are called, and those that the policy does not know: on pages, in words, in messages."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
from aiokafka import ConsumerRecord
from starlette.applications import Starlette

from services.tickets.store import stages
from services.tickets.web.page_context import PageContext
from services.tickets.web.pages import TicketPages
from shared.contracts.stages import StageStatusData, StageStatusEvent
from shared.policy import StageTitles, parse
from shared.postgres.pool import Pool
from shared.runtime.clock import SystemClock
from tests.integration.tickets.records import TicketParts, nothing, record
from tests.support.problems import POLICY, event, problem

NAMELESS = parse(POLICY.replace("{id: proposal, name: Proposal}", "{id: proposal}"))
HINT = 'stage 7 (<Legal>) of pipeline new is not in the policy; add `- {id: "7"}` or name it `<Legal>`'


def seen(offset: int, stage: str, pipeline: str = "new", **said: Any) -> Any:
    data = StageStatusData(pipeline=pipeline, stage=stage, **({"watched": False} | said))
    now = datetime.now(UTC)
    value = StageStatusEvent(id=str(offset), source="andon/detector", subject=data.key, time=now, data=data).to_json()
    return ConsumerRecord("flow.stages", 0, offset, 0, 0, b"k", value, 0, len(value), 0, ())


async def titles(pool: Pool) -> StageTitles:
    return await stages.titles(pool, NAMELESS)


async def test_the_crms_name_stands_where_the_policy_gives_none(pool: Pool) -> None:
    parts = TicketParts(pool, NAMELESS)
    named = seen(0, "proposal", name="Angebot", watched=True)
    await parts.handle(named, seen(1, "legal", name="Recht", watched=True), record(event(problem()), 0))

    (told,) = await parts.messages()
    assert (told.data.title, told.data.stage_name) == ("Deals wait too long in Angebot", "Angebot")
    assert (await titles(pool)).title("new", "legal") == "Legal", "the policy's name counts first"


async def test_a_name_that_is_taken_back_leaves_the_id(pool: Pool) -> None:
    parts = TicketParts(pool, NAMELESS)
    await parts.handle(seen(0, "proposal", name="Angebot", watched=True))
    await parts.handle(seen(1, "proposal", watched=True))

    assert (await titles(pool)).title("new", "proposal") == "proposal"


async def test_the_page_shows_unknown_stages_with_counts_and_hints(pool: Pool) -> None:
    parts = TicketParts(pool, NAMELESS)
    rows = [seen(0, "7", name="<Legal>", deals=3, hint=HINT), seen(1, "x", "", deals=9), seen(2, "gone", deals=0)]
    await parts.handle(*rows, seen(3, "7", name="<Legal>", deals=4, hint=HINT))
    pages = TicketPages(PageContext(pool, NAMELESS, SystemClock()), parts.writer, nothing)
    app = Starlette(routes=pages.routes())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://andon.example") as client:
        page = (await client.get("/pipelines")).text

    _, _, unknown = page.partition("Stages that the policy does not know")
    assert unknown.index(">x<") < unknown.index("&lt;Legal&gt;"), "those with the most deals first"
    assert 'data-label="Deals now">4</td>' in unknown
    assert "or name it `&lt;Legal&gt;`" in unknown
    assert "not known" in unknown
    assert "gone" not in unknown

"""A back-fill page by page: unreadable records become dead letters, and an interrupted one reports the truth."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from services.detector.settings import DetectorSettings
from services.enricher.backfill import BackFill
from services.importer.load import LoadError, LoadProgress, LoadResult, Portion, publish_portions
from shared.connectors.base.api_client import CrmRejected, CrmUnavailable
from shared.connectors.base.crm_api import Page
from shared.connectors.base.facts import DealFact, Invalid
from shared.contracts.events import EventType
from shared.contracts.topics import EVENTS, dead
from shared.runtime.instants import micros

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
TOLD = DealFact(EventType.CREATED, "api/1/created", "1", LONG_AGO, {})
UNREAD = Invalid("createdAt: None is not a time", b"{}")
SHOWN = LoadProgress(lambda done: None, lambda done, total: None, lambda done, total: None)


class Walk:
    """A CRM whose pages are these; an error among them ends the walk."""

    kind = "hubspot"
    source = SimpleNamespace(name="crm")

    def __init__(self, *pages: Page | Exception) -> None:
        self._pages = pages

    async def all(self, since: datetime, cursor: str) -> AsyncIterator[Page]:
        for page in self._pages:
            if isinstance(page, Exception):
                raise page
            yield page


class FakeBackfillStore:
    """What a back-fill keeps: where it is, and the earliest time that it has published."""

    def __init__(self, earliest: datetime | None = None) -> None:
        self.earliest, self.cursor = earliest, ""

    async def fetchrow(self, query: str, *values: Any) -> dict[str, Any]:
        return {"cursor": self.cursor, "earliest": self.earliest}

    async def execute(self, query: str, source: str, cursor: Any, earliest: Any = None) -> None:
        if earliest is not None:
            self.earliest = earliest
        self.cursor = cursor


class InMemoryLoad:
    """Loads into a database and a Kafka that take everything, and records the portions."""

    def __init__(self) -> None:
        self.portions: list[Portion] = []

    async def __call__(
        self, settings: DetectorSettings, portions: AsyncIterable[Portion], progress: LoadProgress
    ) -> LoadResult:
        published = await publish_portions(self._recorded(portions), self._publish, self._hold, progress.published)
        return LoadResult(published.events, None)

    async def _recorded(self, portions: AsyncIterable[Portion]) -> AsyncIterator[Portion]:
        async for portion in portions:
            self.portions.append(portion)
            yield portion

    async def _hold(self) -> None: ...
    async def _publish(self, messages: Any) -> None: ...


@pytest.fixture
def load() -> InMemoryLoad:
    return InMemoryLoad()


async def run(filling: BackFill) -> LoadResult:
    return await filling.run(DetectorSettings(), SHOWN)


async def test_a_page_of_which_nothing_can_be_read_is_published_and_counted(load: InMemoryLoad) -> None:
    kept = FakeBackfillStore()
    filling = BackFill(kept, Walk(Page([UNREAD], 1, cursor="a"), Page([TOLD, UNREAD], 2), Page([], 3)), LONG_AGO, load)
    await run(filling)

    assert [[m.topic for m in one.messages] for one in load.portions] == [[dead(EVENTS)], [EVENTS, dead(EVENTS)]]
    assert (filling.deals, filling.events, filling.unreadable) == (6, 1, 2)


async def test_dead_letters_alone_speak_of_no_time_and_are_evaluated_when_it_continues(load: InMemoryLoad) -> None:
    began, kept = datetime.now(UTC), FakeBackfillStore()
    await run(BackFill(kept, Walk(Page([UNREAD], 1, cursor="a")), LONG_AGO, load))

    assert kept.earliest is not None
    assert began <= kept.earliest < began + timedelta(minutes=1)
    assert load.portions[0].earliest == micros(kept.earliest)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (CrmRejected(401, "GET /: no"), "docs/sources/hubspot.md"),
        (CrmRejected(403, "GET /: no"), "hubspot.md"),
        (CrmRejected(400, "GET /: no"), "400: GET /: no"),
        (CrmUnavailable("GET /: 503"), "run it again"),
    ],
)
async def test_an_error_says_that_evaluation_stays_held_only_where_it_does(
    load: InMemoryLoad, error: Exception, words: str
) -> None:
    def said(earliest: datetime | None, *pages: Page) -> Any:
        return run(BackFill(FakeBackfillStore(earliest), Walk(*pages, error), LONG_AGO, load))

    with pytest.raises(LoadError) as first:
        await said(None, Page([], 3))
    assert words in str(first.value)
    assert "Evaluation is held" not in str(first.value)
    for earliest, page in ((LONG_AGO, Page([], 3)), (None, Page([TOLD], 3))):
        with pytest.raises(LoadError) as later:
            await said(earliest, page)
        assert words in str(later.value)
        assert "Evaluation is held" in str(later.value)

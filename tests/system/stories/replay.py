"""All stories on real services: their logs go into Kafka week by week, and people use the pages in the log's time."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from itertools import chain, groupby
from pathlib import Path
from typing import TypeAlias

import asyncpg

from shared.contracts.events import DealEvent
from shared.contracts.topics import EVENTS
from shared.flow.statistics.weeks import Weeks
from shared.kafka.access import KafkaAccess
from shared.kafka.publisher import OutgoingMessage, Publisher
from shared.runtime.instants import micros
from tests.support.processes import ServiceProcess
from tests.support.waiting import eventually
from tests.system.stories.stories import STORIES, company_policy_text, story_policy

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
SERVICES = ("detector", "analyst", "tickets")
# How long the services may take to catch up with what was published.
CATCH_UP = 300
_WATERMARK = "SELECT watermark FROM flow.evaluation_state"
# How many weeks pages know, of the pipeline of which they know the fewest.
_WEEKS_SHOWN = """
SELECT coalesce(min(over), 0) FROM (SELECT max(week) + 1 AS over FROM tickets.weekly_point GROUP BY pipeline) AS known
"""


class ReplayedCompany:
    """Services that live through all stories at once, each in the pipeline of its region.

    `url`: of the pages. `connection`: to the database, for the views of schema `report`.
    """

    def __init__(self, kafka: str, prefix: str, url: str, connection: Connection) -> None:
        self.url, self.connection = url, connection
        self._events = sorted(
            chain.from_iterable(story.events_of_region for story in STORIES), key=lambda event: (event.time, event.id)
        )
        self._kafka, self._topic, self._done = kafka, prefix + EVENTS, 0
        self._weeks = Weeks(micros(self._events[0].time), story_policy().timezone)

    async def play(self, until: datetime) -> None:
        """Publish what happens until an instant, and wait until it is judged and pages know the weeks that are over."""
        end = bisect_left(self._events, until, lo=self._done, key=lambda event: event.time)
        events, self._done = self._events[self._done : end], end
        if not events:
            return
        publisher = Publisher(KafkaAccess(self._kafka), deadline_seconds=60)
        # Week by week: what comes once the next week is judged would be late, and change what was found.
        for _, week in groupby(events, lambda event: self._weeks.of(micros(event.time))):
            last = await self._publish(publisher, list(week))
            await eventually(self._watermark, last.__le__, CATCH_UP)
        await publisher.stop()
        await eventually(self._weeks_shown, self._weeks.over(last).__le__, CATCH_UP)

    async def _publish(self, publisher: Publisher, events: Sequence[DealEvent]) -> int:
        """Publish events; the instant of the last, as records have it, in microseconds."""
        for day in _days(events):
            await publisher.publish_all(
                [OutgoingMessage(self._topic, e.deal.encode(), e.to_json(), micros(e.time) // 1000) for e in day]
            )
        return micros(events[-1].time) // 1000 * 1000

    async def _watermark(self) -> int:
        return int(await self.connection.fetchval(_WATERMARK) or 0)

    async def _weeks_shown(self) -> int:
        return int(await self.connection.fetchval(_WEEKS_SHOWN))


def _days(events: Sequence[DealEvent]) -> Iterator[list[DealEvent]]:
    """Parts no longer than a day: a reader at the end of one partition takes its newest record for the present."""
    part: list[DealEvent] = []
    for event in events:
        if part and event.time - part[0].time > timedelta(days=1):
            yield part
            part = []
        part.append(event)
    if part:
        yield part


@asynccontextmanager
async def replayed(kafka: str, dsn: str, prefix: str, folder: Path) -> AsyncIterator[ReplayedCompany]:
    """Detector, analyst and tickets on an empty database, in the time of the log."""
    connection = await asyncpg.connect(dsn)
    try:
        with _running(kafka, dsn, prefix, folder) as services:
            yield ReplayedCompany(kafka, prefix, services["tickets"].url, connection)
    finally:
        await connection.close()


@contextmanager
def _running(kafka: str, dsn: str, prefix: str, folder: Path) -> Iterator[dict[str, ServiceProcess]]:
    policy = folder / "policy.yaml"
    policy.write_text(company_policy_text())
    environment = {
        "ANDON_KAFKA": kafka,
        "ANDON_POSTGRES": dsn,
        "ANDON_POLICY": str(policy),
        "ANDON_TOPIC_PREFIX": prefix,
        "ANDON_CLOCK": "log",
    }
    services = {name: ServiceProcess(name, environment, folder) for name in SERVICES}
    try:
        for service in services.values():
            service.start()
        for service in services.values():
            service.ready(CATCH_UP)
        yield services
    finally:
        for service in services.values():
            service.stop()

"""A story on real services: its log goes into Kafka week by week, and people use the pages in the time of the log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeAlias

import asyncpg
import httpx

from shared.contracts.events import DealEvent
from shared.contracts.topics import EVENTS
from shared.kafka.access import KafkaAccess
from shared.kafka.publisher import OutgoingMessage, Publisher
from shared.runtime.instants import micros
from tests.support.processes import ServiceProcess
from tests.support.waiting import eventually
from tests.system.stories.stories import MEASURE, Story, policy_text

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
SERVICES = ("detector", "analyst", "tickets")
# How long the services may take to catch up with what was published.
CATCH_UP = 300
_WATERMARK = "SELECT watermark FROM flow.evaluation_state"
_TICKET = "SELECT id, state, outcome FROM report.ticket WHERE key = $1 ORDER BY id"


class ReplayedStory:
    """Services that live through a story. `connection`: to their database, for the views of schema `report`."""

    def __init__(self, story: Story, kafka: str, prefix: str, pages: str, connection: Connection) -> None:
        self.story, self.pages, self.connection = story, pages, connection
        self._kafka, self._topic, self._done = kafka, prefix + EVENTS, 0

    async def play(self, until: datetime) -> None:
        """Publish what happens until an instant, and wait until it is judged."""
        events = [event for event in self.story.events[self._done :] if event.time < until]
        self._done += len(events)
        publisher = Publisher(KafkaAccess(self._kafka), deadline_seconds=60)
        for day in _days(events):
            await publisher.publish_all(
                [OutgoingMessage(self._topic, e.deal.encode(), e.to_json(), micros(e.time) // 1000) for e in day]
            )
        await publisher.stop()
        last = micros(events[-1].time) // 1000 * 1000
        await eventually(self._watermark, lambda reached: reached >= last, CATCH_UP)

    async def play_weeks(self, weeks: int) -> None:
        """Play until so many weeks after the change are over, and a day more."""
        await self.play(self.story.in_force + timedelta(weeks=weeks, days=1))

    async def tickets(self, key: str) -> list[tuple[int, str, str | None]]:
        """Number, state and outcome of the tickets of a problem."""
        return [tuple(row) for row in await self.connection.fetch(_TICKET, key)]

    async def ask(self, number: int, action: str, **form: str) -> None:
        """Send a form of the ticket's page, made from its newest version; again where the system changed it since."""
        async with httpx.AsyncClient(base_url=self.pages, timeout=CATCH_UP) as web:
            for _ in range(5):
                ticket = (await web.get(f"/api/v1/tickets/{number}")).json()
                answer = await web.post(f"/tickets/{number}/{action}", data={"version": str(ticket["seq"])} | form)
                if answer.status_code != 409:
                    break
        assert answer.status_code == 303, (action, answer.status_code, answer.text)

    async def _watermark(self) -> int:
        return int(await self.connection.fetchval(_WATERMARK) or 0)


def draft_of(story: Story) -> dict[str, str]:
    """The form of the plan, filled in."""
    return {
        "aim": "Customers get a demo as soon as before the summer",
        "measure": MEASURE.name,
        "change": story.change,
        "countermeasure": "capacity",
        "task_1_what": story.change,
        "task_1_who": "head of presales",
        "task_1_by": str(story.change_date - timedelta(days=3)),
        "predicted_size": str(int(100 * story.predicted)),
        "predicted_unit": "share",
        "predicted_why": story.why,
        "change_date": str(story.change_date),
        "new_entries_only": "",
        "balancing": "",
        "draft_version": "0",
    }


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
async def replayed(story: Story, kafka: str, dsn: str, prefix: str, folder: Path) -> AsyncIterator[ReplayedStory]:
    """Detector, analyst and tickets on an empty database, in the time of the log."""
    connection = await asyncpg.connect(dsn)
    try:
        with _running(kafka, dsn, prefix, folder) as services:
            yield ReplayedStory(story, kafka, prefix, services["tickets"].url, connection)
    finally:
        await connection.close()


@contextmanager
def _running(kafka: str, dsn: str, prefix: str, folder: Path) -> Iterator[dict[str, ServiceProcess]]:
    policy = folder / "policy.yaml"
    policy.write_text(policy_text())
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

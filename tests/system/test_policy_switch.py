"""A policy that is changed in the browser reaches running services at one instant, and a replay finds the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from shared.contracts.events import DealEvent
from shared.contracts.topics import EVENTS, POLICY
from shared.kafka.access import KafkaAccess
from shared.kafka.publisher import OutgoingMessage, Publisher
from shared.policy import parse
from tests.support.databases import as_service, drop_database, migrated_database
from tests.support.problems import POLICY as TEXT
from tests.support.processes import ServiceProcess
from tests.support.topics import values_of
from tests.support.waiting import eventually

KEY = "wip-high/new/demo"
SERVICES = ("detector", "detector", "analyst", "tickets", "notifier")


def with_most(count: int) -> str:
    return TEXT.replace("max: 25", f"max: {count}")


def event(number: int, kind: str, at: datetime, **data: Any) -> DealEvent:
    return DealEvent.model_validate(
        {
            "id": f"{number}-{kind}",
            "source": "crm",
            "type": f"andon.deal.{kind}",
            "subject": f"crm:{number}",
            "time": at.isoformat(),
            "data": {"pipeline": "new"} | data,
        }
    )


def history(now: datetime) -> list[DealEvent]:
    """Five deals that were in a stage together a month ago, and four that are there since today."""
    past = [event(n, "created", now - timedelta(days=30, hours=-n), stage="demo") for n in range(5)]
    past += [event(n, "lost", now - timedelta(days=29)) for n in range(5)]
    return past + [event(n, "created", now - timedelta(hours=10 - n), stage="demo") for n in range(5, 9)]


class SwitchingWorld:
    """Services as processes over one database, and what they found."""

    def __init__(self, kafka: str, dsn: str, prefix: str, folder: Path) -> None:
        self._kafka, self.dsn, self._prefix, self._folder = kafka, dsn, prefix, folder
        (folder / "policy.yaml").write_text(with_most(25))
        self.services: list[ServiceProcess] = []

    def start(self, *names: str) -> None:
        common = {
            "ANDON_KAFKA": self._kafka,
            "ANDON_POLICY": str(self._folder / "policy.yaml"),
            "ANDON_POLICY_MANAGED": "browser",
            "ANDON_TOPIC_PREFIX": self._prefix,
        }
        made = [
            ServiceProcess(name, common | {"ANDON_POSTGRES": as_service(self.dsn, name)}, self._folder)
            for name in names
        ]
        self.services += [one.start() for one in made]
        for one in made:
            one.ready(within=400)

    def stop(self) -> None:
        for one in self.services:
            one.stop()
        self.services.clear()

    async def publish(self, messages: list[OutgoingMessage]) -> None:
        publisher = Publisher(KafkaAccess(self._kafka), deadline_seconds=60)
        await publisher.publish_all(messages)
        await publisher.stop()

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(self.dsn)
        found = [tuple(row) for row in await connection.fetch(query)]
        await connection.close()
        return found

    async def problems(self) -> list[tuple[Any, ...]]:
        return await self.rows("SELECT key, opened_at, cleared_at, peak, historic FROM flow.problem ORDER BY 1, 2")

    async def in_force(self) -> int:
        return int((await self.rows("SELECT policy_version FROM flow.evaluation_state"))[0][0])

    async def renewed(self) -> list[int]:
        """How often each service changed over."""
        return [one.log.read_text().count("renewed") for one in self.services]

    async def save(self, base: int, text: str) -> None:
        url = next(one.url for one in self.services if one.service == "tickets")
        async with httpx.AsyncClient() as client:
            answer = await client.post(
                f"{url}/policy", data={"base": base, "text": text, "why": "As agreed"}, timeout=60
            )
        assert answer.status_code == 303, answer.text


@asynccontextmanager
async def answering(services: list[ServiceProcess]) -> AsyncIterator[list[str]]:
    """Asks every service again and again; the faults that it got."""
    faults = list[str]()

    async def ask(one: ServiceProcess) -> None:
        async with httpx.AsyncClient() as client:
            while True:
                try:
                    answer = await client.get(f"{one.url}/livez", timeout=30)
                    faults.extend([] if answer.status_code == 200 else [f"{one.service}: {answer.status_code}"])
                except httpx.HTTPError as error:
                    faults.append(f"{one.service}: {error!r}")
                await asyncio.sleep(0.05)

    tasks = [asyncio.create_task(ask(one)) for one in services]
    try:
        yield faults
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
async def world(kafka: str, dsn: str, prefix: str, tmp_path: Path) -> AsyncIterator[SwitchingWorld]:
    made = SwitchingWorld(kafka, dsn, prefix, tmp_path)
    yield made
    made.stop()


@pytest.mark.slow
async def test_a_changed_limit_judges_from_one_instant_on_in_all_services_and_in_a_replay(
    world: SwitchingWorld, kafka: str, prefix: str, postgres: str, tmp_path: Path
) -> None:
    events = history(datetime.now(UTC).replace(microsecond=0))
    await world.publish([OutgoingMessage(prefix + EVENTS, one.subject.encode(), one.to_json()) for one in events])
    world.start(*SERVICES)
    pids = [one.pid for one in world.services]
    await eventually(world.in_force, lambda number: number == 1)
    assert await world.problems() == []

    async with answering(world.services) as faults:
        await world.save(1, with_most(2))
        [found] = await eventually(world.problems, within=120)
        assert found[:3] == (KEY, events[12].time, None)
        await eventually(lambda: world.rows("SELECT id FROM tickets.ticket"))
        await world.save(2, with_most(3))
        await eventually(world.in_force, lambda number: number == 3, within=120)
        judged = await eventually(world.problems, lambda rows: [row[1] for row in rows] == [events[13].time])
        digest = parse(with_most(3)).digest
        await eventually(lambda: world.rows("SELECT policy FROM analysis.analysis_state"), lambda r: r == [(digest,)])
        await eventually(world.renewed, lambda counts: min(counts) >= 2)
    assert faults == []
    assert [one.pid for one in world.services] == pids
    assert not any(one.has_ended() for one in world.services)
    assert [row[0] for row in judged] == [KEY]
    await told_again(world, kafka, prefix)
    assert (await world.in_force(), await world.problems()) == (3, judged)
    world.stop()
    await replayed(kafka, prefix, postgres, tmp_path, judged)


async def told_again(world: SwitchingWorld, kafka: str, prefix: str) -> None:
    """Publish the versions once more, and kill a detector, which starts again; then wait until it has judged."""
    sent = list(dict.fromkeys(await values_of(kafka, prefix + POLICY)))
    assert len(sent) == 3
    await world.publish([OutgoingMessage(prefix + POLICY, b"policy", value) for value in sent])
    world.services[0].kill()
    world.services[0].start().ready(within=400)
    [(reached,)] = await world.rows("SELECT watermark FROM flow.evaluation_state")
    await eventually(
        lambda: world.rows("SELECT watermark FROM flow.evaluation_state"), lambda rows: rows[0][0] > reached + 10**6
    )


async def replayed(kafka: str, prefix: str, postgres: str, folder: Path, judged: list[tuple[Any, ...]]) -> None:
    """A new database, from the topics alone, holds the same problems."""
    async with AsyncExitStack() as stack:
        again = SwitchingWorld(kafka, await migrated_database(postgres), prefix, folder)
        stack.push_async_callback(drop_database, postgres, again.dsn)
        stack.callback(again.stop)
        again.start("detector")
        await eventually(again.in_force, lambda number: number == 3, within=120)
        assert await eventually(again.problems) == judged

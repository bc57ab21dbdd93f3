"""`make soak`: sends webhooks with HubSpot's retry rules while the broker and intake are killed repeatedly.

Asserts that every event got its 2xx and is on the topic exactly as sent, and that nothing else is there.
Source: HubSpot's guide "Webhooks API". Arrays of 1 to 100 events, at most 10 concurrent requests, a timeout of five
seconds; anything but a 2xx is retried with a higher `attemptNumber` and a new signature, up to ten times within 24
hours at random intervals. Here `day` is the length of those 24 hours in seconds, and retries never stop.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import itertools
import json
import random
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson
import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition
from rich.console import Console

from services.demo.kafka import Kafka
from services.simulator.dialects import DIALECTS
from shared.contracts.envelope import iso
from shared.contracts.topics import ALL_TOPICS, EVENTS, RECEIVED, dead
from shared.kafka.access import KafkaAccess
from shared.kafka.admin import create_topics
from tests.support.processes import ServiceProcess

SECRET, PUBLIC = "the-secret-of-the-soak", "https://hooks.example.org/v1/ingest/crm"
MAX_CONCURRENT, TIMEOUT, RETRIES, MAX_EVENTS = 10, 5.0, 10, 100
DEALS = 5000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
console = Console()


@dataclass(frozen=True)
class SoakPlan:
    """Minimum seconds and kills of a run, new arrays a second, and ranges of up and down times in seconds."""

    seconds: float
    kills: int = 1
    per_second: float = 4
    day: float = 60
    broker_up: tuple[float, float] = (8, 40)
    broker_down: tuple[float, float] = (0.2, 8)
    intake_up: tuple[float, float] = (30, 120)
    seed: int = 1


@dataclass
class Figures:
    """Counts and latencies of a run; `memory` in MB, `seconds` from request to 2xx."""

    events: int = 0
    arrays: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    most_attempts: int = 0
    beyond_ten: int = 0
    longest: float = 0.0
    broker_kills: int = 0
    intake_kills: int = 0
    records: int = 0
    doubled: int = 0
    memory: float = 0.0

    def __str__(self) -> str:
        answers = ", ".join(f"{name} {count:,}" for name, count in sorted(self.answers.items()))
        late = statistics.quantiles(self.seconds or [0, 0], n=100)
        return (
            f"{self.events:,} events in {self.arrays:,} arrays. Answers: {answers}; a 2xx after"
            f" {late[49] * 1000:.0f} ms (p50), {late[98] * 1000:.0f} ms (p99). Killed: the broker {self.broker_kills}"
            f" times, intake {self.intake_kills} times. An array was sent at most {self.most_attempts} times"
            f" ({self.beyond_ten} beyond HubSpot's limit), the slowest was accepted after {self.longest:.1f} s."
            f" On the topic: {self.records:,} records, {self.doubled:,} of them repeated, all as sent."
            f" Intake's memory: {self.memory:.0f} MB."
        )


class WebhookSender:
    """Delivers like HubSpot. Event `n` is a function of `n`, so none is kept."""

    def __init__(self, url: str, plan: SoakPlan, figures: Figures) -> None:
        self._url, self._plan, self._figures = url, plan, figures
        self._chance = random.Random(plan.seed)
        self._hubspot = DIALECTS["hubspot"](SECRET, PUBLIC)
        self._slots = asyncio.Semaphore(MAX_CONCURRENT)
        self.begun = int(time.time() * 1000) - 3_600_000
        self.accepted: set[bytes] = set()
        self.sent: set[bytes] = set()

    def event(self, number: int) -> dict[str, Any]:
        """Event `number` as HubSpot writes it."""
        return {
            "eventId": number,
            "subscriptionId": 5500102,
            "portalId": 48112233,
            "appId": 7654321,
            "attemptNumber": 0,
            "occurredAt": self.begun + number,
            "subscriptionType": "deal.propertyChange",
            "objectId": number % DEALS,
            "propertyName": "dealname",
            "propertyValue": f"Müller & Söhne {number}",
            "changeSource": "CRM_UI",
        }

    def canonical(self, number: int) -> dict[str, Any]:
        """The expected message on the topic, without its time of receipt."""
        deal, time = number % DEALS, iso(EPOCH + timedelta(milliseconds=self.begun + number))
        key = f"48112233/deal.propertyChange/{deal}/dealname/{number}/{self.begun + number}"
        return {
            "specversion": "1.0",
            "id": key,
            "source": "crm",
            "type": "andon.deal.changed",
            "subject": f"crm:{deal}",
            "time": time,
            "data": {"name": f"Müller & Söhne {number}"},
        }

    async def run(self, over: asyncio.Future[None]) -> None:
        """Send new arrays at a steady rate until `over`, and retry each until it is accepted."""
        limits = httpx.Limits(max_connections=MAX_CONCURRENT)
        async with httpx.AsyncClient(timeout=TIMEOUT, limits=limits) as client, asyncio.TaskGroup() as tasks:
            async for first, count in self._arrays(over):
                tasks.create_task(self._deliver(client, first, count))
        over.result()

    async def _arrays(self, over: asyncio.Future[None]) -> AsyncIterator[tuple[int, int]]:
        while not over.done():
            await asyncio.sleep(1 / self._plan.per_second)
            count = self._chance.randint(1, MAX_EVENTS)
            yield self._figures.events, count
            self._figures.events += count
            self._figures.arrays += 1

    async def _deliver(self, client: httpx.AsyncClient, first: int, count: int) -> None:
        events, began = [self.event(number) for number in range(first, first + count)], time.monotonic()
        for attempt in itertools.count():
            async with self._slots:
                outcome = await self._post(client, self._hubspot.body(events, attempt))
            self._figures.answers[outcome] += 1
            if outcome.startswith("2"):
                break
            assert not outcome.startswith("4"), f"intake rejected a valid request: {outcome}"
            await asyncio.sleep(self._chance.uniform(0, 2 * self._plan.day / RETRIES))
        self._figures.most_attempts = max(self._figures.most_attempts, attempt + 1)
        self._figures.beyond_ten += attempt > RETRIES
        self._figures.longest = max(self._figures.longest, time.monotonic() - began)

    async def _post(self, client: httpx.AsyncClient, body: bytes) -> str:
        webhook = self._hubspot.sign(body, datetime.now(UTC))
        digest, began = hashlib.sha256(body).digest(), time.perf_counter()
        self.sent.add(digest)
        headers = {"Content-Type": "application/json", **webhook.headers}
        try:
            async with asyncio.timeout(TIMEOUT):
                answer = await client.post(self._url, content=body, headers=headers)
        except TimeoutError:
            return "timeout"
        except httpx.TransportError as error:
            return "timeout" if isinstance(error, httpx.TimeoutException) else "no connection"
        if answer.is_success:
            self.accepted.add(digest)
            self._figures.seconds.append(time.perf_counter() - began)
        return str(answer.status_code)


class Faults:
    """Kills and restarts the broker and intake until the plan is fulfilled; both run at the end."""

    def __init__(self, broker: Kafka, intake: ServiceProcess, plan: SoakPlan, figures: Figures) -> None:
        self._broker, self._intake, self._plan, self._figures = broker, intake, plan, figures
        self._chance, self._end = random.Random(plan.seed + 1), 0.0

    async def run(self) -> None:
        """Run for the planned seconds and kills."""
        self._end = time.monotonic() + self._plan.seconds
        await asyncio.gather(self._brokers(), self._intakes())

    async def _brokers(self) -> None:
        while await self._wait_for_next(self._plan.broker_up, self._figures.broker_kills):
            await asyncio.to_thread(self._broker.kill)
            self._figures.broker_kills += 1
            await asyncio.sleep(self._chance.uniform(*self._plan.broker_down))
            await asyncio.to_thread(self._broker.start)

    async def _intakes(self) -> None:
        while await self._wait_for_next(self._plan.intake_up, self._figures.intake_kills):
            await asyncio.to_thread(self._intake.kill)
            self._figures.intake_kills += 1
            self._intake.start()

    async def _wait_for_next(self, between: tuple[float, float], kills: int) -> bool:
        """Sleep between two kills; False once time and kills are used up."""
        await asyncio.sleep(self._chance.uniform(*between))
        return time.monotonic() < self._end or kills < self._plan.kills


async def soak(folder: Path, plan: SoakPlan, show: Callable[[str], None] = lambda text: None) -> Figures:
    """One run; raises AssertionError if an event is lost, altered, or was never sent."""
    broker, figures = Kafka(folder / "kafka"), Figures()
    broker.start()
    await create_topics(KafkaAccess(broker.bootstrap))
    source = {"kind": "hubspot", "secrets": [SECRET], "public_url": PUBLIC}
    (folder / "sources.yaml").write_text(json.dumps({"sources": {"crm": source}}))
    environment = {"ANDON_KAFKA": broker.bootstrap, "ANDON_SOURCES": str(folder / "sources.yaml")}
    intake = ServiceProcess("intake", environment, folder).start().ready()
    sender = WebhookSender(f"{intake.url}/v1/ingest/crm", plan, figures)
    progress = asyncio.ensure_future(_show_progress(figures, show))
    try:
        await sender.run(asyncio.ensure_future(Faults(broker, intake, plan, figures).run()))
        figures.memory = psutil.Process(intake.pid).memory_info().rss / 2**20
        show("reading the topics")
        await _compare(broker.bootstrap, sender, figures)
    finally:
        progress.cancel()
        intake.stop()
        broker.stop()
    return figures


async def _show_progress(figures: Figures, show: Callable[[str], None]) -> None:
    while True:
        show(f"{figures.events:,} events, {dict(figures.answers)}, broker killed {figures.broker_kills} times")
        await asyncio.sleep(1)


async def _compare(kafka: str, sender: WebhookSender, figures: Figures) -> None:
    copies = bytearray(figures.events)
    async for record in _records(kafka, EVENTS):
        event = orjson.loads(record.value)
        event.pop("receivedat")
        number = int(event["id"].split("/")[4])
        assert event == sender.canonical(number), f"not as sent: {event}"
        assert record.key.decode() == event["subject"]
        copies[number] = min(255, copies[number] + 1)
        figures.records += 1
    missing = copies.count(0)
    assert not missing, f"{missing} events got a 2xx but are not on the topic; the first is {copies.index(0)}"
    figures.doubled = figures.records - figures.events
    stored = {hashlib.sha256(record.value).digest() async for record in _records(kafka, RECEIVED)}
    assert sender.accepted <= stored <= sender.sent, "every accepted request is stored as it was sent"
    assert [record async for record in _records(kafka, dead(EVENTS))] == []


async def _records(kafka: str, topic: str) -> AsyncIterator[Any]:
    """All records of a topic up to its current end."""
    count = next(t.partitions for t in ALL_TOPICS if t.name == topic)
    partitions = [TopicPartition(topic, number) for number in range(count)]
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        for partition in partitions:
            while await consumer.position(partition) < ends[partition]:
                for record in (await consumer.getmany(partition, timeout_ms=500)).get(partition, []):
                    yield record
    finally:
        await consumer.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--per-second", type=float, default=4, help="new arrays a second")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    chosen = parser.parse_args()
    console.print(f"soak of {chosen.minutes:g} minutes with seed {chosen.seed}")
    plan = SoakPlan(chosen.minutes * 60, chosen.per_second, seed=chosen.seed)
    with tempfile.TemporaryDirectory() as name, console.status("soak") as status:
        figures = asyncio.run(soak(Path(name), plan, status.update))
    console.print(f"Nothing lost, nothing doubled. {figures}")


if __name__ == "__main__":
    main()

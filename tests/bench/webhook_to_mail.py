"""Latency from webhook to mail under load: each probe opens a problem of its own."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from email import message_from_bytes
from itertools import pairwise
from pathlib import Path

import orjson
import psutil

from shared.contracts.topics import EVENTS, PROBLEMS, TICKETS
from shared.postgres.migrate import migrate_all
from tests.bench.figures import Figure, at_most
from tests.bench.intake import SECRET, URL, sources
from tests.bench.load import paced, post
from tests.support.processes import ServiceProcess
from tests.support.sink import Sink, sink
from tests.support.topics import records_of
from tests.support.webhooks import signed_v3

PROBES = 150
# Tickets draw a chart for each. More at once would wait for each other's.
PROBES_PER_SECOND = 2.5
# Of the pipeline of the probes.
OWNER = "o@x.example"
# Up to so many webhooks a second, a mail waits for nothing but its own way.
QUIET = 10


def policy_text() -> str:
    """One stage per probe with a limit of zero deals; all other load goes to a stage without rules."""
    return "version: 1\npipelines:\n" + pipeline_text()


def pipeline_text() -> str:
    """The pipeline of the probes, `p`."""
    stages = ", ".join(f"{{id: s{n}, name: Stage {n}}}" for n in range(PROBES))
    rules = "\n".join(f"      - {{kind: wip-high, stage: s{n}, max: 0}}" for n in range(PROBES))
    return (
        f"  p:\n    name: P\n    owner: {{name: Owner, mail: {OWNER}}}\n"
        f"    stages: [{stages}, {{id: busy}}]\n    rules:\n{rules}\n"
    )


def change(deal: int, name: str, value: str) -> bytes:
    return json.dumps(
        [
            {
                "eventId": deal,
                "portalId": 1,
                "occurredAt": int(time.time() * 1000),
                "subscriptionType": "deal.propertyChange",
                "objectId": deal,
                "propertyName": name,
                "propertyValue": value,
            }
        ]
    ).encode()


def request(number: int, every: int) -> bytes:
    """A probe every `every` requests; ordinary changes of other deals between them."""
    if number % every == 0 and number // every < PROBES:
        body = change(number // every, "dealstage", f"s{number // every}")
    else:
        name, value = ("dealstage", "busy") if number % 4 == 0 else ("amount", str(number))
        body = change(10_000 + number % 2000, name, value)
    return post("/v1/ingest/crm", signed_v3(body, SECRET, str(int(time.time() * 1000)), URL), body)


class Probes:
    """When each probe was posted, and when each mail came; seconds since the epoch. One of `every` requests is one."""

    def __init__(self, every: int, mails: Sink) -> None:
        self.every, self._mails = every, mails
        self.posted: dict[int, float] = {}
        self._received: list[float] = []
        mails.on_mail = lambda: self._received.append(time.time())

    def sent(self, number: int) -> None:
        """Record the time if request `number` is a probe."""
        if number % self.every == 0 and number // self.every < PROBES:
            self.posted[number // self.every] = time.time()

    async def all_mailed(self, within: float = 30) -> None:
        """Wait for the mails of all probes, at most `within` seconds."""
        deadline = time.monotonic() + within
        while len(self.received()) < len(self.posted) and time.monotonic() < deadline:
            await asyncio.sleep(0.1)

    def received(self) -> dict[int, float]:
        """When the mail of each probe came in."""
        found: dict[int, float] = {}
        for raw, at in zip(self._mails.raw, self._received, strict=True):
            mail = message_from_bytes(raw)
            if OWNER in str(mail["To"]):
                found[int(str(mail["Subject"]).partition("Stage ")[2].partition(" ")[0])] = at
        return found


async def written(kafka: str, topic: str) -> dict[int, float]:
    """When the first message about each probe was written to a topic."""
    found: dict[int, float] = {}
    for record in await records_of(kafka, topic):
        stage = str(orjson.loads(record.value)["data"].get("stage") or "")
        if stage[:1] == "s" and stage[1:].isdigit():
            at = record.timestamp / 1000
            found[int(stage[1:])] = min(at, found.get(int(stage[1:]), at))
    return found


async def legs(kafka: str, prefix: str, probes: Probes) -> list[Figure]:
    """How long each leg of the way takes, by the times that Kafka's records carry."""
    stations = {
        "webhook": probes.posted,
        **{topic: await written(kafka, prefix + topic) for topic in (EVENTS, PROBLEMS, TICKETS)},
        "mail": probes.received(),
    }
    figures = []
    for (start, began), (end, ended) in pairwise(stations.items()):
        taken = sorted(ended[probe] - began[probe] for probe in began.keys() & ended.keys())
        figures.append(Figure(f"{start} to {end} p50", quantile(taken, 0.5), "s"))
        figures.append(Figure(f"{start} to {end} p99", quantile(taken, 0.99), "s"))
    return figures


def quantile(ordered: Sequence[float], q: float) -> float:
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


async def measure(
    kafka: str, dsn: str, prefix: str, folder: Path, per_second: int, seconds: int, show: Callable[[str], None]
) -> list[Figure]:
    await migrate_all(dsn)
    total = per_second * seconds
    with sink() as mails:
        services = start_services(kafka, dsn, prefix, folder, mails.port, policy_text())
        show(f"webhook to mail: {per_second} webhooks a second for {seconds} s")
        every = max(total // PROBES, round(per_second / PROBES_PER_SECOND))
        probes = Probes(every, mails)
        outcome = await paced(services["intake"].port, lambda n: request(n, every), total, per_second, probes.sent)
        assert set(outcome.statuses) == {202}, outcome.statuses
        await probes.all_mailed()
        memory = {name: psutil.Process(s.pid).memory_info().rss / 2**20 for name, s in services.items()}
        for service in services.values():
            service.stop()
    mailed = probes.received()
    delays = sorted(at - probes.posted[probe] for probe, at in mailed.items())
    return [
        Figure("webhooks posted", total, ""),
        Figure("mails of probes", len(delays), f"of {len(probes.posted)}"),
        at_most("webhook to mail p50", quantile(delays, 0.5), "s", 0.15 if per_second > QUIET else 0.1),
        at_most("webhook to mail p99", quantile(delays, 0.99), "s", 0.4),
        *await legs(kafka, prefix, probes),
        *(at_most(f"memory of {n} under load", mb, "MB", 300 if n == "tickets" else 150) for n, mb in memory.items()),
    ]


def start_services(
    kafka: str, dsn: str, prefix: str, folder: Path, smtp_port: int, policy: str, **settings: str
) -> dict[str, ServiceProcess]:
    """The services from webhook to mail, ready."""
    (folder / "policy.yaml").write_text(policy)
    environment = {
        "ANDON_KAFKA": kafka,
        "ANDON_POSTGRES": dsn,
        "ANDON_TOPIC_PREFIX": prefix,
        "ANDON_POLICY": str(folder / "policy.yaml"),
        "ANDON_SOURCES": str(sources(folder)),
        "ANDON_SMTP_PORT": str(smtp_port),
        **settings,
    }
    services = {n: ServiceProcess(n, environment, folder) for n in ("intake", "detector", "tickets", "notifier")}
    for service in services.values():
        service.start()
    for service in services.values():
        service.ready()
    return services

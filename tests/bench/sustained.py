"""The whole line at a steady rate, from webhooks to mails: how far it lags behind after each tenth of the time.

Deals move in arrays of a hundred, as HubSpot sends them. Probes between them open problems, each with a mail.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import asyncpg
import orjson

from shared.postgres.migrate import migrate_all
from tests.bench import webhook_to_mail
from tests.bench.detector import events_read
from tests.bench.figures import Figure, at_least, at_most
from tests.bench.intake import SECRET, URL
from tests.bench.load import Outcome, paced, post
from tests.bench.usage import Meters, resident_memory
from tests.bench.webhook_to_mail import Probes, quantile, start_services
from tests.support.sink import sink
from tests.support.webhooks import signed_v3

ARRAY, PARTS, DEALS = 100, 10, 50_000
# Seconds by which what is applied may be behind what was posted.
MOST_LAG = 5.0
# Of the rate that is asked for: what could not be posted in time is missing here.
LEAST_RATE = 0.98
# No deal of a probe has such a number.
_FIRST_DEAL = 1_000_000
_STAGES = ("qualified", "demo", "proposal", "negotiation")
_RULES = """
      - {kind: wip-high, stage: qualified, max: 100000, hold: 1d}
      - {kind: aging, stage: proposal, limit: 21d, count: 100000, clear_hold: 1d}
      - {kind: stalled, stage: negotiation, limit: 14d, count: 100000, clear_hold: 1d}
"""
_DELAY = re.compile(r"^andon_detector_judgement_delay_seconds (\S+)$", re.MULTILINE)


class Lag(NamedTuple):
    """At one instant: seconds of events posted and not applied, and seconds of judgement time behind the clock."""

    read: float
    judged: float


async def measure(
    kafka: str, dsn: str, prefix: str, folder: Path, per_second: int, seconds: int, show: Callable[[str], None]
) -> list[Figure]:
    """Post `per_second` events a second for so many seconds."""
    await migrate_all(dsn)
    connection = await asyncpg.connect(dsn)
    with sink() as mails:
        services = start_services(kafka, dsn, prefix, folder, mails.port, policy_text())
        meters = Meters(connection, kafka, dsn)
        watched = {name: meters.watch(name, [service.pid])[0] for name, service in services.items()}
        per_request = per_second / ARRAY
        total = round(per_request * seconds)
        probes = Probes(max(total // webhook_to_mail.PROBES, round(per_request * 2)), mails)
        posting = _Posting(probes)
        before = await meters.read()
        flow = asyncio.create_task(
            paced(services["intake"].port, posting.request, total, per_request, posting.sent, connections=8)
        )
        lags = []
        for part in range(PARTS):
            show(f"sustained: {per_second:,} events a second, {part * 10} % of {seconds} s")
            await asyncio.sleep(seconds / PARTS)
            lags.append(Lag(await _lag(connection, posting.events, per_second), _delay(services["detector"].get)))
        outcome = await flow
        assert set(outcome.statuses) == {202}, outcome.statuses
        spent = (await meters.read()).since(before)
        await probes.all_mailed(60)
        memory = {name: resident_memory(process) for name, process in watched.items()}
        for service in services.values():
            service.stop()
    await connection.close()
    return [
        *_of_lag(lags, per_second, posting.events, outcome),
        *_of_mails(probes),
        *spent.per_event("sustained", posting.events),
        *(Figure(f"sustained, memory of {name}", mb, "MB") for name, mb in memory.items()),
    ]


def policy_text() -> str:
    """The pipeline of the probes, and one in which everything else moves, with rules that count deals."""
    stages = ", ".join(f"{{id: {name}, name: {name.title()}}}" for name in _STAGES)
    owner = "{name: Head of sales, mail: sales@andon.example}"
    load = f"  load:\n    name: Load\n    owner: {owner}\n    stages: [{stages}]\n    rules:{_RULES}"
    return webhook_to_mail.policy_text() + load


class _Posting:
    """Makes the requests, and counts the events of those that were sent."""

    def __init__(self, probes: Probes) -> None:
        self._probes = probes
        self.events = 0

    def request(self, number: int) -> bytes:
        if self._is_probe(number):
            return webhook_to_mail.request(number, self._probes.every)
        body = orjson.dumps([_move(n) for n in range(number * ARRAY, (number + 1) * ARRAY)])
        return post("/v1/ingest/crm", signed_v3(body, SECRET, str(int(time.time() * 1000)), URL), body)

    def sent(self, number: int) -> None:
        self._probes.sent(number)
        self.events += 1 if self._is_probe(number) else ARRAY

    def _is_probe(self, number: int) -> bool:
        return number % self._probes.every == 0 and number // self._probes.every < webhook_to_mail.PROBES


def _move(number: int) -> dict[str, object]:
    """Each deal enters the next stage whenever its turn comes."""
    deal, turn = number % DEALS, number // DEALS
    return {
        "eventId": _FIRST_DEAL + number,
        "portalId": 48112233,
        "subscriptionType": "deal.propertyChange",
        "objectId": _FIRST_DEAL + deal,
        "propertyName": "dealstage",
        "propertyValue": _STAGES[(deal + turn) % len(_STAGES)],
        "occurredAt": int(time.time() * 1000),
    }


async def _lag(connection: asyncpg.Connection, posted: int, per_second: int) -> float:
    """Seconds of events that were posted and are not applied."""
    return max(0, posted - await events_read(connection)) / per_second


def _delay(get: Callable[[str], str]) -> float:
    found = _DELAY.search(get("/metrics"))
    return float(found[1]) if found else float("nan")


def _of_lag(lags: Sequence[Lag], per_second: int, events: int, outcome: Outcome) -> list[Figure]:
    read, judged = tuple(lag.read for lag in lags), tuple(lag.judged for lag in lags)
    return [
        at_least("sustained, posted", events / outcome.seconds, "events/s", LEAST_RATE * per_second),
        Figure("sustained, lag of reading at each tenth, at most", max(read), "s", rounds=read),
        Figure("sustained, delay of judgement time at each tenth, at most", max(judged), "s", rounds=judged),
        at_most("sustained, lag of reading at the end", read[-1], "s", MOST_LAG),
    ]


def _of_mails(probes: Probes) -> list[Figure]:
    mailed = probes.received()
    delays = sorted(at - probes.posted[probe] for probe, at in mailed.items())
    figures = [Figure("sustained, mails of probes", len(delays), f"of {len(probes.posted)}")]
    if delays:
        figures.append(Figure("sustained, webhook to mail p50", quantile(delays, 0.5), "s"))
        figures.append(Figure("sustained, webhook to mail p99", quantile(delays, 0.99), "s"))
    return figures

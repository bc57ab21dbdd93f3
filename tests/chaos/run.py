"""`make chaos`: kills every process repeatedly while webhooks come in, and compares the result with a clean run.

Asserts that every accepted event is stored once, visits and problems equal those of the pure core, every problem has
exactly one ticket, and no mail is missing.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import tempfile
import time
from collections.abc import Awaitable, Callable, Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import orjson
from rich.console import Console

from services.detector import control
from services.detector.settings import DetectorSettings
from services.simulator import dialects, run
from services.simulator.dialects.hubspot import arrays
from services.simulator.post import Poster, post_all, poster
from shared.connectors.base.messages import to_messages
from shared.connectors.base.source import Request
from shared.connectors.config import parse
from shared.contracts.events import DealEvent
from shared.flow.events import event_of
from shared.flow.what_if import find
from shared.kafka.access import KafkaAccess
from shared.kafka.admin import create_topics
from shared.policy import load
from shared.postgres.migrate import migrate_all
from shared.runtime.instants import moment
from tests.chaos.disasters import Disaster, Disasters
from tests.chaos.world import SECRET, STAGES, World
from tests.support.sink import Sink, sink

console = Console()
PROBLEMS = "SELECT key, opened_at, cleared_at, peak FROM flow.problem ORDER BY key, opened_at"
VISITS = "SELECT deal, pipeline, stage, entered, left_at, known FROM flow.visit"
Hook = dict[str, Any]
# What befalls each wave of live webhooks, by which deals enter their stages and leave them in turn.
WAVES = (
    Disaster.FROZEN,
    Disaster.CLOCK,
    Disaster.NEW_TOPIC,
    Disaster.PARTITIONS,
    Disaster.SET_BACK,
    None,
)
NUMBER = re.compile(r"ticket-(\d+)-")
ROUND = ("opened", "cleared", "closed")


def histories(events: int, end: datetime) -> Iterator[Hook]:
    """`events` webhooks, from as many simulated companies as it takes."""
    count, seed = 0, 0
    while count < events:
        for hook in dialects.hubspot_events(run.history(seed, 180, end)):
            yield hook | {"objectId": hook["objectId"] + seed * 100_000_000_000}
            count += 1
            if count == events:
                return
        seed += 1


def live(stage: int, deal: int, where: str, number: int) -> list[Hook]:
    base = {"portalId": 1, "occurredAt": int(time.time() * 1000), "objectId": 9_000_000 + stage * 100 + deal}
    property_of = {"subscriptionType": "deal.propertyChange", "propertyName": "dealstage", "propertyValue": where}
    return [base | property_of | {"eventId": number}]


class Chaos:
    """One run: post a history under faults, then live webhooks under kills, then compare."""

    def __init__(self, world: World, mails: Sink, show: Callable[[str], None]) -> None:
        self._world, self._mails, self._show = world, mails, show
        self._disasters = Disasters(world, show)
        self._posted: list[Hook] = []
        self._derived: list[DealEvent] = []
        self._derived_from = 0

    async def run(self, events: int, kills: int, chosen: Collection[Disaster]) -> None:
        """`kills`: during the history; a wave has a quarter of them."""
        url = f"{self._world.services['intake'].url}/v1/ingest/crm"
        settings = DetectorSettings.from_environment(self._world.environment)
        await control.hold(settings)
        self._world.start()
        async with poster(url, SECRET, "http://x.example/crm") as to:
            await self._post_history(to, list(histories(events, datetime.now(UTC))), kills, Disaster.SET_BACK in chosen)
            await control.reevaluate(settings, 0, lambda done, total: None)
            for number, disaster in enumerate(WAVES):
                await self._wave(to, number, max(4, kills // 4), disaster if disaster in chosen else None)
        await self._until("every mail is sent", self._no_mail_waits)
        await self._compare(Disaster.SET_BACK in chosen)

    async def _post_history(self, to: Poster, history: list[Hook], kills: int, set_back: bool) -> None:
        """Under kills and outages; with `set_back`, Postgres then forgets the second half."""

        async def post(hooks: list[Hook]) -> None:
            self._posted += hooks
            await post_all(to, arrays(hooks), lambda done: None)

        async def settle() -> None:
            await self._until("all events are read", self._all_read)

        half = len(history) // 2
        faults = [self._world.kill_services(kills), self._world.outages()]
        await self._reviving(asyncio.gather(post(history[:half]), *faults))
        if set_back:
            await self._reviving(self._disasters.set_back(lambda: post(history[half:]), settle))
        else:
            await post(history[half:])
            await settle()

    async def _wave(self, to: Poster, number: int, kills: int, disaster: Disaster | None) -> None:
        """Bring four deals into each stage, or out of it, under kills and at most one disaster."""
        where, state = ("out", "closed") if number % 2 else ("x{stage}", "open")
        hooks = [
            hook
            for stage in range(STAGES)
            for deal in range(4)
            for hook in live(stage, deal, where.format(stage=stage), number)
        ]
        self._posted += hooks
        # A recreated topic gets everything again.
        documents = list(arrays(self._posted if disaster is Disaster.NEW_TOPIC else hooks))

        async def post() -> None:
            await asyncio.gather(post_all(to, documents, lambda done: None), self._world.kill_services(kills))

        async def settle() -> None:
            await self._until(f"wave {number}: every live ticket is {state}", lambda: self._tickets(state))

        if disaster is None:
            await self._reviving(post())
            await settle()
        else:
            await self._reviving(self._disasters.of[disaster](post, settle))

    async def _reviving(self, work: Awaitable[Any]) -> None:
        """Await `work`, and restart services that exit meanwhile."""
        task = asyncio.ensure_future(work)
        while not task.done():
            self._world.revive()
            await asyncio.wait([task], timeout=0.5)
        await task

    async def _until(self, what: str, ask: Callable[[], Awaitable[bool]], within: float = 240) -> None:
        self._show(f"waiting until {what}")
        deadline = time.monotonic() + within
        while True:
            self._world.revive()
            try:
                if await ask():
                    return
            except (OSError, asyncpg.PostgresError):
                await asyncio.sleep(0.5)
            assert time.monotonic() < deadline, f"not within {within:.0f} s: {what}"
            await asyncio.sleep(0.2)

    async def _fetch(self, query: str) -> list[Any]:
        connection = await asyncpg.connect(self._world.postgres.dsn)
        try:
            return list(await connection.fetch(query))
        finally:
            await connection.close()

    async def _all_read(self) -> bool:
        rows = await self._fetch("SELECT deal, id FROM flow.event")
        return {(row["deal"], row["id"]) for row in rows} >= {(e.subject, e.id) for e in self._events()}

    async def _tickets(self, state: str) -> bool:
        rows = await self._fetch(f"SELECT state FROM tickets.ticket WHERE pipeline = 'live' AND state = '{state}'")
        return len(rows) == STAGES

    async def _no_mail_waits(self) -> bool:
        (row,) = await self._fetch(
            "SELECT (SELECT count(*) FROM notices.mail WHERE state = 'waiting')"
            " + (SELECT count(*) FROM tickets.outbox) AS left"
        )
        return bool(row["left"] == 0)

    def _events(self) -> list[DealEvent]:
        """The events that intake derives from all posted webhooks."""
        text = f"sources: {{crm: {{kind: hubspot, secrets: [{SECRET}], public_url: 'http://x.example/crm'}}}}"
        source, now = parse(text)["crm"], datetime.now(UTC)
        for array in arrays(self._posted[self._derived_from :]):
            facts = source.translate(Request("POST", {}, "", orjson.dumps(array), now))
            self._derived += [
                DealEvent.model_validate_json(m.value) for m in to_messages("crm", facts, now, "").messages
            ]
        self._derived_from = len(self._posted)
        return self._derived

    async def _compare(self, may_forget: bool) -> None:
        """`may_forget`: Postgres was set back, so it may not know of mails that were sent."""
        self._show("comparing with a clean run")
        connection = await asyncpg.connect(self._world.postgres.dsn)
        async with connection.transaction(isolation="repeatable_read"):
            watermark = await connection.fetchval("SELECT watermark FROM flow.evaluation_state")
            problems = [tuple(row) for row in await connection.fetch(PROBLEMS)]
            visits = {tuple(row) for row in await connection.fetch(VISITS)}
        stored = await connection.fetchval("SELECT count(*) FROM flow.event")
        await connection.close()
        assert moment(watermark) <= datetime.now(UTC), "no clock moved judgement time beyond the present"
        events = self._events()
        clean = find([event_of(event) for event in events], load(self._world.policy), watermark)
        assert stored == len({(e.subject, e.id) for e in events}), "every accepted event is stored once"
        assert visits == {
            (deal, v.pipeline, v.stage, moment(v.entered), None if v.left is None else moment(v.left), v.known)
            for deal, v in clean.visits
        }, "visits are those of a clean run"
        wanted = [
            (key, moment(i.opened_at), None if i.cleared_at is None else moment(i.cleared_at), i.peak)
            for key, found in sorted(clean.problems.items())
            for i in found
        ]
        assert problems == wanted, "problems are those of a clean run"
        watched = {r["key"] for r in await self._fetch("SELECT DISTINCT key FROM flow.problem WHERE mode = 'monitor'")}
        await self._check_tickets({key for key, _, cleared, _ in wanted if cleared is None} - watched, may_forget)

    async def _check_tickets(self, lasting: set[str], may_forget: bool) -> None:
        tickets = await self._fetch("SELECT id, key, state, pipeline FROM tickets.ticket")
        open_keys = {row["key"] for row in tickets if row["state"] != "closed"}
        assert open_keys == lasting, f"open tickets: {sorted(open_keys)}, lasting problems: {sorted(lasting)}"
        history = await self._fetch(
            "SELECT ticket, array_agg(change ORDER BY seq) AS changes FROM tickets.change GROUP BY 1"
        )
        changes = {row["ticket"]: row["changes"] for row in history}
        of_live = [row["id"] for row in tickets if row["pipeline"] == "live"]
        assert len(of_live) == STAGES, "one ticket for each problem"
        rounds = [*ROUND, *["reopened", *ROUND[1:]] * (len(WAVES) // 2 - 1)]
        lives = [[change for change in changes[number] if change != "grew"] for number in of_live]
        assert all(life == rounds for life in lives), f"changes of the live tickets: {lives}"
        sent = {str(mail["Message-ID"]) for mail in self._mails.mails}
        notices = await self._fetch(
            "SELECT ticket, message_id, state FROM notices.notice JOIN notices.mail ON mail.id = notice.mail"
        )
        wanted = {row["message_id"] for row in notices if row["state"] == "sent"}
        assert wanted <= sent, f"notices without a mail: {sorted(wanted - sent)}"
        # Mails of a time that Postgres forgot cannot be taken back.
        assert may_forget or sent == wanted, f"mails without a notice: {sorted(sent - wanted)}"
        assert {row["ticket"] for row in notices} == {row["id"] for row in tickets}
        await self._check_subjects()

    async def _check_subjects(self) -> None:
        """Every mail about a live ticket names the ticket's stage: no two problems have shared a number."""
        rows = await self._fetch("SELECT id, problem ->> 'stage' AS stage FROM tickets.ticket WHERE pipeline = 'live'")
        stages = {str(row["id"]): f"Stage {row['stage'].removeprefix('x')}" for row in rows}
        about = [(NUMBER.search(str(mail["Message-ID"])), str(mail["Subject"])) for mail in self._mails.mails]
        found = {(number[1], subject) for number, subject in about if number and number[1] in stages}
        others = {(t, subject) for t, subject in found if not re.search(rf"{stages[t]}\b", subject)}
        assert found, "live tickets have mails"
        assert not others, f"mails under the number of another ticket: {sorted(others)}"


async def run_chaos(chosen: argparse.Namespace, folder: Path) -> dict[str, int]:
    with sink() as mails, console.status("chaos") as status:
        show = status.update if console.is_terminal else console.log
        world = World(folder, random.Random(chosen.seed), mails, show)
        try:
            await create_topics(KafkaAccess(world.kafka.bootstrap))
            await migrate_all(world.postgres.dsn)
            await Chaos(world, mails, show).run(chosen.events, chosen.kills, chosen.disasters)
        finally:
            world.stop()
            world.postgres.remove()
        return world.kills


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=20, help="how many service kills during the history")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--disasters", nargs="*", type=Disaster, default=list(Disaster), choices=list(Disaster))
    chosen = parser.parse_args()
    console.print(f"chaos with seed {chosen.seed}, {chosen.events} events")
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        kills = asyncio.run(run_chaos(chosen, Path(name)))
    killed = ", ".join(f"{name} {count}" for name, count in kills.items())
    console.print(f"Equal to a clean run after kills of {killed}. {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()

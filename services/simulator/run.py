"""Runs the simulated CRM: its history, and then live events; goes on where it stopped."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from services.simulator import dialects
from services.simulator.company import FIRST, NEW, PURPOSE, SECOND
from services.simulator.dialects import Dialect
from services.simulator.model import FIRST_DEAL, Happening, happenings
from services.simulator.post import Poster, arrays, post_all

# Live events have numbers of their own, above those of any history.
LIVE_EVENTS = 500_000_000
FAIR_DEALS = 40


class SimulationJournal(BaseModel):
    """How far the simulated CRM has got, kept in a file."""

    seed: int
    days: int
    end: datetime
    history: bool = False
    live: int = 0

    @staticmethod
    def open(path: Path | None, seed: int, days: int, end: datetime) -> SimulationJournal:
        if path is not None and path.exists():
            return SimulationJournal.model_validate_json(path.read_text())
        return SimulationJournal(seed=seed, days=days, end=end)

    def keep(self, path: Path | None) -> None:
        if path is not None:
            beside = path.with_suffix(".new")
            beside.write_text(self.model_dump_json())
            beside.replace(path)


def history(seed: int, days: int, end: datetime) -> Iterator[Happening]:
    """All that happens until `end`."""
    return takewhile(lambda one: one.time < end, happenings(seed, end, days))


async def post_history(to: Poster, journal: SimulationJournal, show: Callable[[int], None]) -> int:
    """The whole history, as webhook events; how many."""
    told = history(journal.seed, journal.days, journal.end)
    if to.dialect.kind == "hubspot":
        return await post_all(to, arrays(dialects.hubspot_events(told)), show)
    return await post_all(to, (document for one in told for document in to.dialect.say(one)), show)


def ahead(journal: SimulationJournal) -> Iterator[Happening]:
    """What comes after the history: the leads of a trade fair at once, then the ordinary life of the deals."""
    yield from _fair(journal)
    yield from (one for one in happenings(journal.seed, journal.end, journal.days) if one.time >= journal.end)


def _fair(journal: SimulationJournal) -> Iterator[Happening]:
    chance = random.Random(f"{journal.seed}/fair")
    for number in range(FAIR_DEALS):
        yield Happening(
            journal.end,
            FIRST_DEAL + 900_000_000 + number,
            True,
            {
                "amount": f"{chance.randrange(2_000, 20_000, 50)}.00",
                "pipeline": NEW.id,
                "dealstage": NEW.stages[0].id,
                "dealname": f"{chance.choice(FIRST)} {chance.choice(SECOND)} {chance.choice(PURPOSE)}",
            },
        )


async def live(
    to: Poster, journal: SimulationJournal, path: Path | None, per_minute: float, show: Callable[[Happening, int], None]
) -> None:
    """What comes after the history happens now, so many times a minute, until cancelled."""
    _recall(to.dialect, journal)
    for one in islice(ahead(journal), journal.live, None):
        now = replace(one, time=datetime.now(UTC) - timedelta(milliseconds=200))
        for document in _now(to.dialect, now, LIVE_EVENTS + 10 * journal.live):
            await to.post(document)
        journal.live += 1
        journal.keep(path)
        show(now, journal.live)
        await asyncio.sleep(0.5 if journal.live <= FAIR_DEALS else 60 / per_minute)


def _recall(dialect: Dialect, journal: SimulationJournal) -> None:
    """A CRM that tells whole deals knows them all, also after it was started anew."""
    if dialect.kind != "hubspot" and dialect.count == 0:
        for one in (*history(journal.seed, journal.days, journal.end), *islice(ahead(journal), journal.live)):
            deque(dialect.say(one), maxlen=0)


def _now(dialect: Dialect, happening: Happening, number: int) -> Iterator[Any]:
    return iter([dialects.hubspot(happening, number)]) if dialect.kind == "hubspot" else dialect.say(happening)

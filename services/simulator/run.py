"""Runs the simulated CRM: its history, then live events; resumes from a journal."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain, islice, takewhile
from pathlib import Path

from pydantic import BaseModel

from services.simulator.company import CURRENCY, NEW
from services.simulator.model import FIRST_DEAL, DealChange, deal_changes, deal_name
from services.simulator.post import Poster, post_all

TRADE_FAIR_DEALS = 40
FIRST_TRADE_FAIR_DEAL = FIRST_DEAL + 900_000_000


class SimulationJournal(BaseModel):
    """The position of the simulated CRM: whether its history is posted, and how many live events are."""

    seed: int
    days: int
    end: datetime
    history: bool = False
    live: int = 0

    @staticmethod
    def open(path: Path | None, seed: int, days: int, end: datetime) -> SimulationJournal:
        """The journal kept in `path`, or a new one."""
        if path is not None and path.exists():
            return SimulationJournal.model_validate_json(path.read_text())
        return SimulationJournal(seed=seed, days=days, end=end)

    def save(self, path: Path | None) -> None:
        """Replace the file in one step."""
        if path is not None:
            new = path.with_suffix(".new")
            new.write_text(self.model_dump_json())
            new.replace(path)


def history(seed: int, days: int, end: datetime) -> Iterator[DealChange]:
    """All changes before `end`."""
    return takewhile(lambda change: change.time < end, deal_changes(seed, end, days))


async def post_history(to: Poster, journal: SimulationJournal, show: Callable[[int], None]) -> int:
    """Post the whole history; how many events."""
    changes = history(journal.seed, journal.days, journal.end)
    return await post_all(to, to.dialect.history(changes), show)


def ahead(journal: SimulationJournal) -> Iterator[DealChange]:
    """The changes after the history: a burst of trade fair leads, then ordinary business."""
    yield from _trade_fair(journal)
    yield from (c for c in deal_changes(journal.seed, journal.end, journal.days) if c.time >= journal.end)


def _trade_fair(journal: SimulationJournal) -> Iterator[DealChange]:
    chance = random.Random(f"{journal.seed}/fair")
    for number in range(TRADE_FAIR_DEALS):
        yield DealChange(
            journal.end,
            FIRST_TRADE_FAIR_DEAL + number,
            True,
            {
                "amount": f"{chance.randrange(2_000, 20_000, 50)}.00",
                "deal_currency_code": CURRENCY,
                "pipeline": NEW.id,
                "dealstage": NEW.stages[0].id,
                "dealname": deal_name(chance),
            },
        )


async def live(
    to: Poster,
    journal: SimulationJournal,
    path: Path | None,
    per_minute: float,
    show: Callable[[DealChange, int], None],
) -> None:
    """Post the changes after the history, `per_minute` of them as if they happened now, until cancelled."""
    to.dialect.restore(chain(history(journal.seed, journal.days, journal.end), islice(ahead(journal), journal.live)))
    for change in islice(ahead(journal), journal.live, None):
        now = replace(change, time=datetime.now(UTC) - timedelta(milliseconds=200))
        for document in to.dialect.live(now, journal.live):
            await to.post(document)
        journal.live += 1
        journal.save(path)
        show(now, journal.live)
        await asyncio.sleep(0.5 if journal.live <= TRADE_FAIR_DEALS else 60 / per_minute)

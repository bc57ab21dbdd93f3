"""The shop's log, with another course of one stage from some day on: what else the company might have done.

Each branch is the same log up to that day. A deal whose stay becomes longer or shorter does all that follows so much
later or earlier.
"""

from __future__ import annotations

import gzip
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import cache
from itertools import chain, pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from shared.contracts.events import DealEvent
from tests.support.short_shop import SHOP

ZONE = ZoneInfo("Europe/Berlin")
SOURCE = "crm-eu"
_LEAVES = {"andon.deal.won", "andon.deal.lost", "andon.deal.merged", "andon.deal.deleted"}


class StagePace(NamedTuple):
    """From `since` on, stays in a stage take `factor` times as long, if they began in the time `entered`."""

    stage: str
    factor: float
    since: datetime
    entered: tuple[datetime, datetime]


def day(text: str) -> datetime:
    """The beginning of a day in the shop's zone."""
    return datetime.fromisoformat(text).replace(tzinfo=ZONE)


@cache
def shop_sales(since: datetime) -> tuple[tuple[DealEvent, ...], ...]:
    """The sales deals that the shop's log first knows at `since` or later: the events of each, in order."""
    with gzip.open(SHOP / "events.jsonl.gz", "rt") as lines:
        events = {event.id: event for line in lines if (event := DealEvent.model_validate_json(line)).source == SOURCE}
    deals: dict[str, list[DealEvent]] = defaultdict(list)
    for event in sorted(events.values(), key=lambda event: (event.time, event.id)):
        deals[event.subject].append(event)
    return tuple(tuple(deal) for deal in deals.values() if deal[0].time >= since)


def branch(since: datetime, until: datetime, paces: Sequence[StagePace]) -> list[DealEvent]:
    """The events up to `until`, in order of time, without those that were received late."""
    deals: Iterable[Sequence[DealEvent]] = shop_sales(since)
    for pace in paces:
        deals = [tuple(_repaced(deal, pace)) for deal in deals]
    return sorted((e for e in chain.from_iterable(deals) if e.time < until), key=lambda event: (event.time, event.id))


def _repaced(deal: Sequence[DealEvent], pace: StagePace) -> Iterator[DealEvent]:
    """The events of a deal, those after a stay at another pace moved."""
    delay, entered = timedelta(), _entered(deal[0], pace.stage, None)
    yield deal[0]
    for before, event in pairwise(deal):
        if entered is not None and pace.entered[0] <= entered < pace.entered[1]:
            slow = event.time + delay - max(before.time + delay, pace.since)
            delay += max(slow, timedelta()) * (pace.factor - 1)
        yield event.model_copy(update={"time": event.time + delay, "receivedat": None}) if delay else event
        entered = _entered(event, pace.stage, entered)


def _entered(event: DealEvent, stage: str, entered: datetime | None) -> datetime | None:
    """Since when the deal is in the stage after an event; None: it is elsewhere."""
    if event.type in _LEAVES:
        return None
    if event.data.stage is None:
        return entered
    if event.data.stage != stage:
        return None
    return entered or event.time

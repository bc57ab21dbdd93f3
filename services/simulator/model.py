"""Generates the changes of the company's deals. Pure: the same seed gives the same changes."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from services.simulator.company import (
    CURRENCY,
    DISRUPTIONS,
    FIRST_WORDS,
    PIPELINES,
    PURPOSES,
    SECOND_WORDS,
    Disruption,
    PipelineModel,
    StageModel,
)

ZONE = ZoneInfo("Europe/Berlin")
FIRST_DEAL = 21_840_000_000
# A deal that still moves after this many moves is lost.
MAX_MOVES = 12


@dataclass(frozen=True)
class DealChange:
    """A deal was created, or its properties changed (HubSpot's names, in its order)."""

    time: datetime
    deal: int
    created: bool = False
    properties: dict[str, Any] = field(default_factory=dict)


def deal_changes(seed: int, end: datetime, days: int) -> Iterator[DealChange]:
    """All changes from `days` before `end`, in order of time; the sequence continues past `end` forever."""
    streams = [_pipeline(random.Random(f"{seed}/{p.id}"), p, n, end, days) for n, p in enumerate(PIPELINES)]
    return heapq.merge(*streams, key=lambda change: (change.time, change.deal))


def deal_name(chance: random.Random) -> str:
    """`Amber Logistics rollout`"""
    return f"{chance.choice(FIRST_WORDS)} {chance.choice(SECOND_WORDS)} {chance.choice(PURPOSES)}"


def _pipeline(
    chance: random.Random, pipeline: PipelineModel, number: int, end: datetime, days: int
) -> Iterator[DealChange]:
    """Create deals day by day; a heap holds the later changes of each until their time."""
    pending: list[tuple[datetime, int, int, DealChange]] = []
    count = 0
    day = (end - timedelta(days=days)).astimezone(ZONE).date()
    while True:
        morning = datetime(day.year, day.month, day.day, tzinfo=ZONE)
        while pending and pending[0][0] < morning.astimezone(UTC):
            yield heapq.heappop(pending)[3]
        for _ in range(_arrivals(chance, pipeline, morning, end)):
            deal = FIRST_DEAL + 10 * count + number
            count += 1
            for order, change in enumerate(_deal(chance, pipeline, deal, _working_time(chance, morning), end)):
                heapq.heappush(pending, (change.time, deal, order, change))
        day += timedelta(days=1)


def _arrivals(chance: random.Random, pipeline: PipelineModel, day: datetime, end: datetime) -> int:
    """The number of new deals on a day: Poisson on working days, scaled by disruptions."""
    rate = pipeline.deals_per_day if day.weekday() < 5 else 0.0
    for disruption in DISRUPTIONS:
        if disruption.pipeline == pipeline.id and not disruption.stage and _is_active(disruption, day, end):
            rate *= disruption.arrival_factor
    level, count = math.exp(-rate), 0
    product = chance.random()
    while product > level:
        count += 1
        product *= chance.random()
    return count


def _deal(
    chance: random.Random, pipeline: PipelineModel, deal: int, begin: datetime, end: datetime
) -> Iterator[DealChange]:
    """One deal: created, moved through the stages with an occasional step back, then won or lost."""
    amount = round(pipeline.median_amount * math.exp(chance.gauss(0, 0.7)) / 50) * 50
    close = begin + timedelta(days=chance.randint(30, 90))
    yield DealChange(
        begin.astimezone(UTC),
        deal,
        True,
        {
            "amount": f"{max(500, amount)}.00",
            "deal_currency_code": CURRENCY,
            "closedate": _ms(close),
            "pipeline": pipeline.id,
            "dealname": deal_name(chance),
            "dealstage": pipeline.stages[0].id,
        },
    )
    yield from _moves(chance, pipeline, deal, begin, end)


def _moves(
    chance: random.Random, pipeline: PipelineModel, deal: int, begin: datetime, end: datetime
) -> Iterator[DealChange]:
    """The moves of a deal from its first stage to won or lost."""
    position, now, moves = 0, begin, 0
    while True:
        stage = pipeline.stages[position]
        now = _leave_time(chance, pipeline, stage, now, end)
        moves += 1
        draw = chance.random()
        if draw < stage.lost_share or moves > MAX_MOVES:
            yield DealChange(now.astimezone(UTC), deal, properties={"dealstage": pipeline.lost})
            return
        if draw < stage.lost_share + stage.back_share and position > 0:
            position -= 1
        elif position + 1 == len(pipeline.stages):
            yield DealChange(now.astimezone(UTC), deal, properties={"dealstage": pipeline.won})
            return
        else:
            position += 1
        yield DealChange(now.astimezone(UTC), deal, properties={"dealstage": pipeline.stages[position].id})


def _leave_time(
    chance: random.Random, pipeline: PipelineModel, stage: StageModel, entered: datetime, end: datetime
) -> datetime:
    """A lognormal stay, longer during a disruption, that ends in working hours."""
    stay = stage.median_days * math.exp(chance.gauss(0, stage.spread))
    for disruption in DISRUPTIONS:
        if disruption.pipeline == pipeline.id and disruption.stage == stage.id:
            leaves = entered + timedelta(days=stay)
            if _is_active(disruption, leaves, end) or _is_active(disruption, entered, end):
                stay *= disruption.stay_factor
    return _working_time(chance, entered + timedelta(days=stay), after=entered)


def _is_active(disruption: Disruption, moment: datetime, end: datetime) -> bool:
    days_before_end = (end - moment) / timedelta(days=1)
    return days_before_end <= disruption.start and (disruption.end == 0 or days_before_end > disruption.end)


def _working_time(chance: random.Random, near: datetime, after: datetime | None = None) -> datetime:
    """A time between 8:00 and 18:00 on the same or the next working day, later than `after`."""
    day = near.astimezone(ZONE)
    while day.weekday() > 4:
        day += timedelta(days=1)
    seconds = int(chance.triangular(8 * 3600, 18 * 3600, 11 * 3600))
    found = day.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(
        seconds=seconds, milliseconds=chance.randrange(1000)
    )
    if after is not None and found <= after:
        found = after + timedelta(minutes=5 + chance.randrange(120))
    return found


def _ms(moment: datetime) -> str:
    day = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return str(int(day.timestamp() * 1000))

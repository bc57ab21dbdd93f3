"""Turns the company into happenings: what became true of which deal when. Pure: the same seed gives the same."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from services.simulator.company import FIRST, PIPELINES, PURPOSE, SECOND, STORIES, PipelineModel, StageModel

ZONE = ZoneInfo("Europe/Berlin")
FIRST_DEAL = 21_840_000_000


@dataclass(frozen=True)
class Happening:
    """Something became true of a deal: it was created, or properties changed (the CRM's names, in its order)."""

    time: datetime
    deal: int
    created: bool = False
    properties: dict[str, Any] = field(default_factory=dict)


def happenings(seed: int, end: datetime, days: int) -> Iterator[Happening]:
    """All that happens from `days` before `end`, in order of time, and on past `end` without one."""
    streams = [_pipeline(random.Random(f"{seed}/{p.id}"), p, n, end, days) for n, p in enumerate(PIPELINES)]
    return heapq.merge(*streams, key=lambda one: (one.time, one.deal))


def _pipeline(
    chance: random.Random, pipeline: PipelineModel, number: int, end: datetime, days: int
) -> Iterator[Happening]:
    """Deals begin day by day; what lies ahead of each waits in a heap until its time has come."""
    ahead: list[tuple[datetime, int, int, Happening]] = []
    count = 0
    day = (end - timedelta(days=days)).astimezone(ZONE).date()
    while True:
        morning = datetime(day.year, day.month, day.day, tzinfo=ZONE)
        while ahead and ahead[0][0] < morning.astimezone(UTC):
            yield heapq.heappop(ahead)[3]
        for _ in range(_arrivals(chance, pipeline, morning, end)):
            deal = FIRST_DEAL + 10 * count + number
            count += 1
            for place, one in enumerate(_deal(chance, pipeline, deal, _working_time(chance, morning), end)):
                heapq.heappush(ahead, (one.time, deal, place, one))
        day += timedelta(days=1)


def _arrivals(chance: random.Random, pipeline: PipelineModel, day: datetime, end: datetime) -> int:
    """Poisson on working days, as far as stories do not change it."""
    rate = pipeline.per_day if day.weekday() < 5 else 0.0
    for story in STORIES:
        if story.pipeline == pipeline.id and not story.stage and _in(story.begin, story.end, day, end):
            rate *= story.arrivals
    level, count = math.exp(-rate), 0
    product = chance.random()
    while product > level:
        count += 1
        product *= chance.random()
    return count


def _deal(
    chance: random.Random, pipeline: PipelineModel, deal: int, begin: datetime, end: datetime
) -> Iterator[Happening]:
    """One deal's life: created, through the stages with a step back now and then, won or lost."""
    amount = round(pipeline.worth * math.exp(chance.gauss(0, 0.7)) / 50) * 50
    close = begin + timedelta(days=chance.randint(30, 90))
    yield Happening(
        begin.astimezone(UTC),
        deal,
        True,
        {
            "amount": f"{max(500, amount)}.00",
            "closedate": _ms(close),
            "pipeline": pipeline.id,
            "dealname": f"{chance.choice(FIRST)} {chance.choice(SECOND)} {chance.choice(PURPOSE)}",
            "dealstage": pipeline.stages[0].id,
        },
    )
    place, now, steps = 0, begin, 0
    while True:
        stage = pipeline.stages[place]
        now = _left(chance, pipeline, stage, now, end)
        steps += 1
        draw = chance.random()
        if draw < stage.lost or steps > 12:
            yield Happening(now.astimezone(UTC), deal, properties={"dealstage": pipeline.lost})
            return
        if draw < stage.lost + stage.back and place > 0:
            place -= 1
        elif place + 1 == len(pipeline.stages):
            yield Happening(now.astimezone(UTC), deal, properties={"dealstage": pipeline.won})
            return
        else:
            place += 1
        yield Happening(now.astimezone(UTC), deal, properties={"dealstage": pipeline.stages[place].id})


def _left(
    chance: random.Random, pipeline: PipelineModel, stage: StageModel, entered: datetime, end: datetime
) -> datetime:
    """A lognormal stay, longer while a story says so, ending in working hours."""
    stay = stage.median_days * math.exp(chance.gauss(0, stage.spread))
    for story in STORIES:
        if story.pipeline == pipeline.id and story.stage == stage.id:
            leaves = entered + timedelta(days=stay)
            if _in(story.begin, story.end, leaves, end) or _in(story.begin, story.end, entered, end):
                stay *= story.stay
    return _working_time(chance, entered + timedelta(days=stay), after=entered)


def _in(begin: float, end_of: float, moment: datetime, end: datetime) -> bool:
    before = (end - moment) / timedelta(days=1)
    # What has not ended at the end of the history goes on.
    return before <= begin and (end_of == 0 or before > end_of)


def _working_time(chance: random.Random, near: datetime, after: datetime | None = None) -> datetime:
    """A time of day between 8 and 18 on the next working day, later than `after`."""
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

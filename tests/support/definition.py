"""The definition of visits and problems, evaluated by brute force: written from the design, shares nothing with the
product. Times are whole seconds; every instant from 0 to the end is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from shared.contracts.events import DealEvent
from tests.support.histories import START

Count = Callable[[int], int]


@dataclass
class Life:
    """What is known of one deal: its stays in stage a, its buyer's touches, its plans as (said, planned)."""

    stays: list[tuple[int, int | None]] = field(default_factory=list)
    touches: list[int] = field(default_factory=list)
    plans: list[tuple[int, int | None]] = field(default_factory=list)


def second(moment: Any) -> int:
    return round((moment - START).total_seconds())


def lives(events: Sequence[DealEvent]) -> list[Life]:
    """Each deal's life by the rules of moves: the same stage again changes nothing, no stay of no length."""
    found = []
    for deal in sorted({event.subject for event in events}):
        life, stage, entered = Life(), None, 0
        ordered = sorted((e for e in events if e.subject == deal), key=lambda e: (e.time, e.type.rank, e.id))
        for event in ordered:
            now = second(event.time)
            if event.type == "andon.deal.touched" and event.data.buyer:
                life.touches.append(now)
            if "next_step_at" in event.data.model_fields_set:
                planned = event.data.next_step_at
                life.plans.append((now, None if planned is None else second(planned)))
            if event.data.stage is not None and event.data.stage != stage:
                if stage == "a" and entered < now:
                    life.stays.append((entered, now))
                since = event.data.entered_at if stage is None and event.type == "andon.deal.moved" else None
                stage, entered = event.data.stage, now if since is None else min(second(since), now)
        if stage == "a":
            life.stays.append((entered, None))
        found.append(life)
    return found


def _inside(stay: tuple[int, int | None], t: int) -> bool:
    return stay[0] <= t and (stay[1] is None or t < stay[1])


def wip(found: Sequence[Life]) -> Count:
    """Visits with `entered <= t < left`."""
    return lambda t: sum(_inside(stay, t) for life in found for stay in life.stays)


def over_age(found: Sequence[Life], limit: int) -> Count:
    """How many visits are over age: `entered + limit <= t < left`."""
    return lambda t: sum(_inside(stay, t) and stay[0] + limit <= t for life in found for stay in life.stays)


def stalled(found: Sequence[Life], limit: int) -> Count:
    """Visits whose last progress is `limit` ago, except while a planned next step known at t lies after t."""

    def one(life: Life, stay: tuple[int, int | None], t: int) -> bool:
        progress = max([stay[0], *(touch for touch in life.touches if stay[0] <= touch <= t)])
        planned = [step for said, step in life.plans if said <= t]
        ahead = bool(planned) and planned[-1] is not None and planned[-1] > t
        return _inside(stay, t) and progress + limit <= t and not ahead

    return lambda t: sum(one(life, stay, t) for life in found for stay in life.stays)


def intervals(
    count: Count, breached: Callable[[int], bool], hold: int, clear_hold: int, begin: int, until: int, least: bool
) -> list[tuple[int, int | None, int]]:
    """Opens at s + hold when the condition is true on the whole closed interval from s, clears likewise; with peaks."""
    found: list[tuple[int, int | None, int]] = []
    opened: int | None = None
    run, was = begin, False
    worst = min if least else max
    for t in range(begin, until + 1):
        now = breached(count(t))
        if now != was:
            run, was = t, now
        if opened is None and now and t - run >= hold:
            opened = t
        elif opened is not None and not now and t - run >= clear_hold:
            found.append((opened, t, worst(count(x) for x in range(opened, t))))
            opened = None
    if opened is not None:
        found.append((opened, None, worst(count(x) for x in range(opened, until + 1))))
    return found


def problems(events: Sequence[DealEvent], rules: Sequence[dict[str, Any]], until: int) -> dict[str, Any]:
    """All intervals of each rule: (opened, cleared, peak)."""
    life = lives(events)
    starts = [stay[0] for one in life for stay in one.stays]
    result = {}
    for rule in rules:
        kind = rule["kind"]
        limit, hold = int(rule.get("limit", "0s")[:-1]), int(rule.get("hold", "0s")[:-1])
        count = {"aging": over_age(life, limit), "stalled": stalled(life, limit)}.get(kind, wip(life))
        breached: Callable[[int], bool] = {
            "wip-high": lambda n, rule=rule: n > rule["max"],
            "wip-low": lambda n, rule=rule: n < rule["min"],
        }.get(kind, lambda n, rule=rule: n >= rule["count"])
        begin = min(starts, default=until + 1) if kind == "wip-low" else 0
        clear = int(rule["clear_hold"][:-1])
        result[f"{kind}/p/a"] = intervals(count, breached, hold, clear, begin, until, kind == "wip-low")
    return result


def is_working(zone: str, days: Sequence[str], hours: Sequence[str], instant: int) -> bool:
    """Whether the wall clock of the zone shows a working day and a time in the hours, at microseconds since 1970."""
    local = datetime.fromtimestamp(instant // 1_000_000, ZoneInfo(zone))
    shown = f"{local:%H:%M:%S}"
    spans = [span.split("-") for span in hours]
    return f"{local:%a}".lower() in days and any(begin <= shown < end for begin, end in spans)

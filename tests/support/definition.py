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
# The policy of `histories.two_pipelines`: its stages, and whether they are open.
OPEN = {"p": {"a": True, "b": True, "won": False}, "q": {"a": True, "c": True, "b": False}}


@dataclass
class Stay:
    """A stay in an open stage, `[entered, left)` in seconds."""

    pipeline: str
    stage: str
    entered: int
    known: bool
    left: int | None = None
    # Whether the deal was closed before.
    reopens: bool = False

    def lasts_at(self, t: int) -> bool:
        return self.entered <= t and (self.left is None or t < self.left)


@dataclass(frozen=True)
class End:
    """A deal was won or lost. `created`: the second in which it was created, None if it was not by then."""

    pipeline: str
    at: int
    won: bool
    created: int | None


@dataclass
class Life:
    """What is known of one deal: its stays, its buyer's touches, its plans as (announced, planned), its closings."""

    stays: list[Stay] = field(default_factory=list)
    touches: list[int] = field(default_factory=list)
    plans: list[tuple[int, int | None]] = field(default_factory=list)
    ends: list[End] = field(default_factory=list)
    created: int | None = None

    def close(self, pipeline: str, at: int, won: bool) -> None:
        created = self.created if self.created is not None and self.created <= at else None
        self.ends.append(End(pipeline, at, won, created))


@dataclass
class _Place:
    """Where a deal is, by its events: `is_in` its last stay, closed, or gone for a time or for good."""

    pipeline: str | None = None
    stage: tuple[str | None, str] | None = None
    is_in: bool = False
    is_closed: bool = False
    is_gone: bool = False
    is_merged: bool = False
    is_first: bool = True
    # An event has said where it is.
    is_placed: bool = False
    # When the deal last ceased to be closed.
    opened_at: int | None = None

    def open(self, now: int) -> None:
        if self.is_closed:
            self.is_closed, self.opened_at = False, now

    def closes(self, now: int) -> bool:
        """Whether a won or lost is a closing: not of a deal that is closed, or was until this instant."""
        return not self.is_closed and now != self.opened_at


def second(moment: Any) -> int:
    return round((moment - START).total_seconds())


def _named(pipeline: str | None, stage: str) -> tuple[str, str, bool]:
    """The stage that an event means: pipeline, stage, and whether it is open. What the policy lacks is open."""
    homes = [key for key, stages in OPEN.items() if stage in stages] if pipeline is None else [pipeline]
    home = homes[0] if len(homes) == 1 else ""
    return home, stage, OPEN.get(home, {}).get(stage, True)


def life_of(events: Sequence[DealEvent]) -> Life:
    """The life of one deal, one rule of section 3 after the other."""
    life, place = Life(), _Place()
    for event in sorted(events, key=lambda e: (e.time, e.type.rank, e.id)):
        kind, data, now = event.type.removeprefix("andon.deal."), event.data, second(event.time)
        if place.is_merged or (place.is_gone and kind != "reopened"):
            continue
        if data.merged_from and place.is_placed:
            continue
        if kind == "touched" and data.buyer:
            life.touches.append(now)
        if "next_step_at" in data.model_fields_set:
            life.plans.append((now, None if data.next_step_at is None else second(data.next_step_at)))
        if "pipeline" in data.model_fields_set:
            _pipeline(life, place, data, now)
        _STEPS.get(kind, _moved)(life, place, event, now)
    life.stays = [stay for stay in life.stays if stay.left is None or stay.entered < stay.left]
    return life


def _pipeline(life: Life, place: _Place, data: Any, now: int) -> None:
    """A pipeline is named: the present stay goes on in it, was in it all along, or stays where it is."""
    old, place.pipeline = place.pipeline, data.pipeline
    if old == place.pipeline or place.stage is None:
        return
    alone = data.stage in (None, place.stage[1])
    known = place.is_in and life.stays[-1].stage in OPEN.get(life.stays[-1].pipeline, {})
    pipeline, stage, is_open = _named(place.pipeline, place.stage[1])
    if place.is_in and (not known or (alone and old is None)):
        if is_open:
            life.stays[-1].pipeline, life.stays[-1].stage = pipeline, stage
            place.stage = place.pipeline, place.stage[1]
        else:
            # It was no stay but a closing. The last stage is that of the stay before.
            stay = life.stays.pop()
            if not stay.reopens:
                life.close(pipeline, stay.entered, stage == "won")
            place.is_in, place.is_closed = False, True
            before = [stay for stay in life.stays if stay.entered < (stay.left or now)]
            place.stage = (before[-1].pipeline or None, before[-1].stage) if before else None
    elif place.is_in and alone:
        _go(life, place, place.stage[1], now, now, True)
    elif alone:
        place.stage = place.pipeline, place.stage[1]


def _go(life: Life, place: _Place, stage: str, entered: int, now: int, known: bool) -> None:
    """A stage is named: the deal is in it from now on, unless it is there already; or it is closed."""
    pipeline, stage, is_open = _named(place.pipeline, stage)
    here = life.stays[-1] if place.is_in else None
    if is_open:
        if here is None or (here.pipeline, here.stage) != (pipeline, stage):
            _leave(life, place, now)
            life.stays.append(Stay(pipeline, stage, entered, known, reopens=place.is_closed))
        place.stage, place.is_in = (place.pipeline, stage), True
        place.open(now)
    else:
        if place.closes(now):
            life.close(pipeline, now, stage == "won")
        _leave(life, place, now)
        place.is_closed = True


def _leave(life: Life, place: _Place, now: int) -> None:
    if place.is_in:
        life.stays[-1].left, place.is_in = now, False


def _moved(life: Life, place: _Place, event: DealEvent, now: int) -> None:
    """Created, moved, or another event that may name a stage."""
    known = event.type == "andon.deal.created" or not place.is_first or event.data.merged_from is not None
    if event.type == "andon.deal.created":
        place.is_first = False
        life.created = now if life.created is None else life.created
    if event.data.stage is not None:
        since = event.data.entered_at if not known else None
        entered = now if since is None else min(now, second(since))
        place.is_first, place.is_placed = False, True
        _go(life, place, event.data.stage, entered, now, known or since is not None)


def _reopened(life: Life, place: _Place, event: DealEvent, now: int) -> None:
    was_gone, place.is_gone = place.is_gone, False
    if event.data.stage is not None:
        place.is_first, place.is_placed = False, True
        _go(life, place, event.data.stage, now, now, True)
    elif place.is_closed != was_gone and place.stage is not None:
        pipeline, stage, is_open = _named(*place.stage)
        place.is_in, place.is_closed = is_open, place.is_closed or not is_open
        if is_open:
            place.open(now)
            life.stays.append(Stay(pipeline, stage, now, True, reopens=not was_gone))
    elif not was_gone:
        place.open(now)


def _ended(life: Life, place: _Place, event: DealEvent, now: int) -> None:
    if event.type in ("andon.deal.won", "andon.deal.lost"):
        if place.closes(now):
            life.close(_whereabouts(life, place, event.data.stage), now, event.type == "andon.deal.won")
        _leave(life, place, now)
        place.is_closed, place.is_first, place.is_placed = True, False, True
    else:
        _leave(life, place, now)
        place.is_gone, place.is_merged = True, event.type == "andon.deal.merged"
    if event.data.stage is not None:
        pipeline, stage, is_open = _named(place.pipeline, event.data.stage)
        if is_open and stage in OPEN.get(pipeline, {}):
            place.stage = place.pipeline, stage


def _whereabouts(life: Life, place: _Place, stage: str | None) -> str:
    """The pipeline in which a deal ends: that of its stay, else of the stage that is named, else the one told last."""
    if place.is_in:
        return life.stays[-1].pipeline
    return (place.pipeline or "") if stage is None else _named(place.pipeline, stage)[0]


_STEPS = {"won": _ended, "lost": _ended, "merged": _ended, "deleted": _ended, "reopened": _reopened}


def lives(events: Sequence[DealEvent]) -> dict[str, Life]:
    """The life of each deal."""
    return {deal: life_of([e for e in events if e.subject == deal]) for deal in sorted({e.subject for e in events})}


Stays = list[tuple[Life, Stay]]


def wip(found: Stays) -> Count:
    """Visits with `entered <= t < left`."""
    return lambda t: sum(stay.lasts_at(t) for _, stay in found)


def over_age(found: Stays, limit: int) -> Count:
    """How many visits are over age: `entered + limit <= t < left`."""
    return lambda t: sum(stay.lasts_at(t) and stay.entered + limit <= t for _, stay in found)


def stalled(found: Stays, limit: int) -> Count:
    """Visits whose last progress is `limit` ago, except while a planned next step known at t lies after t."""

    def one(life: Life, stay: Stay, t: int) -> bool:
        progress = max([stay.entered, *(touch for touch in life.touches if stay.entered <= touch <= t)])
        planned = [step for since, step in life.plans if since <= t]
        ahead = bool(planned) and planned[-1] is not None and planned[-1] > t
        return stay.lasts_at(t) and progress + limit <= t and not ahead

    return lambda t: sum(one(life, stay, t) for life, stay in found)


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


def problems(events: Sequence[DealEvent], rules: Sequence[dict[str, Any]], until: int, pipeline: str) -> dict[str, Any]:
    """All intervals of each rule on stage a of a pipeline: (opened, cleared, peak)."""
    all_stays = [(life, stay) for life in lives(events).values() for stay in life.stays]
    found = [(life, stay) for life, stay in all_stays if (stay.pipeline, stay.stage) == (pipeline, "a")]
    result = {}
    for rule in rules:
        kind = rule["kind"]
        limit, hold = int(rule.get("limit", "0s")[:-1]), int(rule.get("hold", "0s")[:-1])
        count = {"aging": over_age(found, limit), "stalled": stalled(found, limit)}.get(kind, wip(found))
        breached: Callable[[int], bool] = {
            "wip-high": lambda n, rule=rule: n > rule["max"],
            "wip-low": lambda n, rule=rule: n < rule["min"],
        }.get(kind, lambda n, rule=rule: n >= rule["count"])
        begin = min((stay.entered for _, stay in found), default=until + 1) if kind == "wip-low" else 0
        clear = int(rule.get("clear_hold", rule.get("hold", "0s"))[:-1])
        result[f"{kind}/{pipeline}/a"] = intervals(count, breached, hold, clear, begin, until, kind == "wip-low")
    return result


def is_working(zone: str, days: Sequence[str], hours: Sequence[str], instant: int) -> bool:
    """Whether the wall clock of the zone shows a working day and a time in the hours, at microseconds since 1970."""
    local = datetime.fromtimestamp(instant // 1_000_000, ZoneInfo(zone))
    shown = f"{local:%H:%M:%S}"
    spans = [span.split("-") for span in hours]
    return f"{local:%a}".lower() in days and any(begin <= shown < end for begin, end in spans)

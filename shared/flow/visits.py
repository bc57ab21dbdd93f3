"""A deal's events become visits. The state of a deal is a function of the set of its events.

Times are integer microseconds since 1970 in UTC. Events are taken in the order of their keys, (time, rank, id); a state
that has taken some can go on with later ones, which gives what taking all of them anew would give.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import orjson

from shared.contracts.envelope import compact
from shared.contracts.events import EventType
from shared.policy import StageOutcome

CREATED, CHANGED, TOUCHED, REOPENED, MOVED, WON, LOST, MERGED, DELETED = (kind.rank for kind in EventType)
UNKNOWN_PIPELINE = ""


class Key(NamedTuple):
    """The place of an event in its deal's history."""

    time: int
    rank: int
    id: str


class Event(NamedTuple):
    """One event of one deal; `said` holds the fields of its data that were said, times as microseconds."""

    deal: str
    key: Key
    said: dict[str, Any]


@dataclass(slots=True)
class Visit:
    """A stay in one open stage, `[entered, left)`; `left` is None while it lasts.

    `progress`: instants, after entering, at which the buyer took part. `steps`: (known since, planned next step).
    `known` is False when nobody told when the deal had entered.
    """

    pipeline: str
    stage: str
    entered: int
    known: bool
    left: int | None = None
    progress: list[int] = field(default_factory=list)
    steps: list[tuple[int, int | None]] = field(default_factory=list)

    @property
    def progressed(self) -> int:
        """The last progress; entering the stage is the first."""
        return self.progress[-1] if self.progress else self.entered


class ResolvedStage(NamedTuple):
    """Where a stage is at home: in the policy's ids, or in the CRM's where the policy does not know it."""

    pipeline: str
    stage: str
    outcome: StageOutcome


class StageLookup(Protocol):
    """What the fold must know of the policy and of the stage map."""

    def home(self, deal: str, pipeline: str | None, stage: str) -> ResolvedStage:
        """The home of a stage of the deal's CRM; `pipeline` is None where nobody told it.

        A stage that nobody knows is open. Its pipeline is UNKNOWN_PIPELINE where it was not told.
        """


DESCRIBED = ("name", "amount", "currency", "url", "expected_close")


@dataclass(slots=True)
class DealState:
    """What is known of a deal after the events taken so far. `finished` collects the visits that ended meanwhile."""

    last: Key | None = None
    created: bool = False
    staged: bool = False
    closed: bool = False
    gone: bool = False
    pipeline: str | None = None
    place: tuple[str, str] | None = None
    step: int | None = None
    current: Visit | None = None
    described: dict[str, Any] = field(default_factory=dict)
    finished: list[Visit] = field(default_factory=list)
    # What was told before the first stage was: a visit that began earlier takes it up.
    touches: list[int] = field(default_factory=list)
    plans: list[tuple[int, int | None]] = field(default_factory=list)

    def take(self, events: Iterable[Event], stages: StageLookup) -> None:
        """Take events that are in the order of their keys and later than all taken before."""
        for event in events:
            self.last = event.key
            if not self.gone:
                self._take(event, stages)

    def _take(self, event: Event, stages: StageLookup) -> None:
        time, rank, _ = event.key
        said = event.said
        self._describe(event, stages)
        if rank == CREATED:
            self.created = True
        if rank in (CREATED, MOVED):
            self._move(event, stages)
        elif rank == REOPENED:
            self._reopen(event, stages)
        elif rank == TOUCHED:
            if said.get("buyer") is True:
                self._touch(time)
        elif rank in (WON, LOST):
            self._close(time)
        elif rank in (MERGED, DELETED):
            self._leave(time)
            self.gone = True

    def _describe(self, event: Event, stages: StageLookup) -> None:
        said = event.said
        for name in DESCRIBED:
            if name in said:
                self.described[name] = said[name]
        if said.get("pipeline"):
            self.pipeline = said["pipeline"]
            if self.current is not None and self.current.pipeline == UNKNOWN_PIPELINE:
                self._settle(self.current, stages.home(event.deal, self.pipeline, self.current.stage))
        if "next_step_at" in said:
            self.step = said["next_step_at"]
            if self.current is not None:
                self.current.steps.append((event.key.time, self.step))
            elif not self.staged:
                self.plans.append((event.key.time, self.step))

    def _touch(self, time: int) -> None:
        if self.current is not None and time > self.current.entered:
            self.current.progress.append(time)
        elif not self.staged:
            self.touches.append(time)

    def _settle(self, visit: Visit, home: ResolvedStage) -> None:
        """The pipeline of the present visit is told at last: it may be a stage that holds no work."""
        if home.outcome is StageOutcome.OPEN:
            visit.pipeline, visit.stage, _ = home
            self.place = home.pipeline, home.stage
        else:
            self.place, self.current, self.closed = None, None, True

    def _move(self, event: Event, stages: StageLookup, exact: bool = False) -> None:
        stage, told, time = event.said.get("stage"), event.said.get("entered_at"), event.key.time
        if not stage:
            return
        pipeline, stage, outcome = stages.home(event.deal, self.pipeline, stage)
        first, self.staged = not self.staged, True
        if outcome is not StageOutcome.OPEN:
            self._close(time)
            return
        if self.current is not None and (self.current.pipeline, self.current.stage) == (pipeline, stage):
            return
        self._leave(time)
        middle = first and not self.created and not exact
        entered = min(told, time) if middle and told is not None else time
        self._enter(pipeline, stage, entered, known=not middle or told is not None)

    def _reopen(self, event: Event, stages: StageLookup) -> None:
        if event.said.get("stage"):
            self._move(event, stages, exact=True)
        elif self.closed:
            self.closed = False
            if self.place is not None:
                self._enter(*self.place, event.key.time, known=True)

    def _enter(self, pipeline: str, stage: str, time: int, known: bool) -> None:
        self.closed = False
        self.place = (pipeline, stage)
        plans, touches, self.plans, self.touches = self.plans, self.touches, [], []
        planned = next((step for said, step in reversed(plans) if said <= time), None) if plans else self.step
        steps = [(time, planned)] if planned is not None else []
        later = [plan for plan in plans if plan[0] > time]
        self.current = Visit(pipeline, stage, time, known, None, [t for t in touches if t > time], steps + later)

    def _close(self, time: int) -> None:
        self._leave(time)
        self.closed = True

    def _leave(self, time: int) -> None:
        """The stay ends; one of no length is no visit."""
        visit, self.current = self.current, None
        if visit is not None and time > visit.entered:
            visit.left = time
            if visit.progress:
                visit.progress = [p for p in visit.progress if p < time]
            self.finished.append(visit)

    def pack(self) -> bytes:
        """The state as bytes; finished visits are kept elsewhere."""
        visit = self.current
        now = visit and [visit.pipeline, visit.stage, visit.entered, visit.known, visit.progress, visit.steps]
        flags = self.created | self.staged << 1 | self.closed << 2 | self.gone << 3
        last = self.last and [*self.last]
        kept: list[Any] = [last, flags, self.pipeline, self.place, self.step, now, self.described]
        if self.touches or self.plans:
            kept += [self.touches, self.plans]
        return compact(kept)

    @staticmethod
    def unpack(raw: bytes) -> DealState:
        """The state that `pack` wrote."""
        last, flags, pipeline, place, step, now, described, *early = orjson.loads(raw)
        touches, plans = early or ([], [])
        visit = None
        if now:
            visit = Visit(now[0], now[1], now[2], now[3], None, now[4], [(a, b) for a, b in now[5]])
        return DealState(
            last=last and Key(*last),
            created=bool(flags & 1),
            staged=bool(flags & 2),
            closed=bool(flags & 4),
            gone=bool(flags & 8),
            pipeline=pipeline,
            place=place and tuple(place),
            step=step,
            current=visit,
            described=described,
            touches=touches,
            plans=[(a, b) for a, b in plans],
        )


def unique(events: Iterable[Event]) -> list[Event]:
    """Each event once, in order. Of two that share an id, the same one is kept whatever the order they came in."""
    kept: dict[str, Event] = {}
    for event in events:
        other = kept.get(event.key.id)
        if other is None or precedence(event) < precedence(other):
            kept[event.key.id] = event
    return sorted(kept.values(), key=lambda event: event.key)


def precedence(event: Event) -> tuple[int, Key, bytes]:
    """Of events that share an id the one with the least is kept: that of the latest translation."""
    return -event.said.get("translation", 0), event.key, orjson.dumps(event.said, option=orjson.OPT_SORT_KEYS)


def visits(events: Iterable[Event], stages: StageLookup) -> list[Visit]:
    """All visits of one deal, in order of entering; the last may be open."""
    deal = DealState()
    deal.take(unique(events), stages)
    return deal.finished + ([deal.current] if deal.current is not None else [])

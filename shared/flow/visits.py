"""Folds a deal's events into visits. The state of a deal is a function of the set of its events.

Times are microseconds since 1970 in UTC. Events are applied in the order of their keys, (time, rank, id). A state that
has applied some events can go on with later ones; the result equals that of applying all events to a new state.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from shared.contracts.events import EventType
from shared.flow.handover import Handover, handover_of
from shared.flow.stage_lookup import ResolvedStage, StageLookup
from shared.policy import StageOutcome

CREATED, CHANGED, TOUCHED, REOPENED, MOVED, WON, LOST, MERGED, DELETED = (kind.rank for kind in EventType)
_ENDS = frozenset({WON, LOST, MERGED, DELETED})
# A stage as events name it: (pipeline, stage). The pipeline is None where no event named one.
NamedStage = tuple[str | None, str]


class EventKey(NamedTuple):
    """The position of an event in its deal's history."""

    time: int
    rank: int
    id: str


class Event(NamedTuple):
    """One event of one deal. `data` holds only the fields that the event sets, times in microseconds."""

    deal: str
    key: EventKey
    data: dict[str, Any]


# Compiled, a constructor of one's own takes a tenth of the time of a dataclass's, which stays Python.
@dataclass(slots=True, init=False)
class Visit:
    """A stay in one open stage, `[entered, left)`; `left` is None while it lasts.

    `progress`: instants, after entering, at which the buyer took part. `steps`: (known since, planned next step).
    `known`: False where the instant of entering is a guess, because the deal was first seen in the middle of its life.
    `recorded`: the time of the event that made the visit what it is; 0 where nothing says that it was later than
    entering.
    """

    pipeline: str
    stage: str
    entered: int
    known: bool
    left: int | None
    progress: list[int]
    steps: list[tuple[int, int | None]]
    recorded: int

    def __init__(
        self,
        pipeline: str,
        stage: str,
        entered: int,
        known: bool,
        left: int | None = None,
        progress: list[int] | None = None,
        steps: list[tuple[int, int | None]] | None = None,
        recorded: int = 0,
    ) -> None:
        self.pipeline, self.stage, self.entered, self.known, self.left = pipeline, stage, entered, known, left
        self.progress = [] if progress is None else progress
        self.steps = [] if steps is None else steps
        self.recorded = recorded

    @property
    def since(self) -> int:
        """The event at this instant made the visit what it is."""
        return max(self.entered, self.recorded)

    @property
    def progressed(self) -> int:
        """The last progress; entering the stage is the first."""
        return self.progress[-1] if self.progress else self.entered


class Closing(NamedTuple):
    """A deal was won or lost. Another won or lost while it is closed is no closing; after a reopening it is.

    A reopening of no length, at the instant at which the deal closes again, is none: as with visits.

    `pipeline`: where the deal was. `created`: when the deal was created; None where it is not known to be before.
    """

    pipeline: str
    time: int
    won: bool
    created: int | None


class WithdrawnVisit(NamedTuple):
    """A visit that an event at `at` turned into one of another pipeline, or into none: it was believed until then."""

    visit: Visit
    at: int


ATTRIBUTES = ("name", "amount", "currency", "url", "expected_close")
_UPDATES = frozenset({*ATTRIBUTES, "next_step_at"})  # Few events have any of these.


@dataclass(slots=True, init=False)
class DealState:
    """A deal after the events applied so far.

    `finished`, `withdrawn` and `closings` collect, while they were applied, the visits that ended, those that events
    took back, and the closings. `pipeline`: as events named it last. `stage`: where the deal is, or would be again
    after a reopening, and `before`: the stage of its last visit; both as events named them, (pipeline, stage).
    `staged`: where the deal entered its next stage is known, because an event has placed or closed it. `gone`: deleted
    or merged. `reopened`: the deal was closed before its current visit began. `reopened_at`: when it last ceased to be
    closed. `handover`: its place went to a new deal, by a merge among the events applied since the state was unpacked.
    """

    last: EventKey | None
    created: int | None
    staged: bool
    closed: bool
    gone: bool
    merged: bool
    reopened: bool
    reopened_at: int | None
    pipeline: str | None
    stage: NamedStage | None
    before: NamedStage | None
    step: int | None
    current: Visit | None
    attributes: dict[str, Any]
    # Touches and plans from before the first stage was known: a visit that began earlier takes them over.
    touches: list[int]
    plans: list[tuple[int, int | None]]
    finished: list[Visit]
    closings: list[Closing]
    withdrawn: list[WithdrawnVisit]
    handover: Handover | None

    def __init__(
        self,
        last: EventKey | None = None,
        created: int | None = None,
        flags: int = 0,
        reopened_at: int | None = None,
        pipeline: str | None = None,
        stage: NamedStage | None = None,
        before: NamedStage | None = None,
        step: int | None = None,
        current: Visit | None = None,
        attributes: dict[str, Any] | None = None,
    ) -> None:
        """`flags`: as `packed_states` writes them."""
        self.last, self.created, self.reopened_at = last, created, reopened_at
        self.staged, self.closed, self.gone = flags & 1 != 0, flags & 2 != 0, flags & 4 != 0
        self.merged, self.reopened = flags & 8 != 0, flags & 16 != 0
        self.pipeline, self.stage, self.before, self.step, self.current = pipeline, stage, before, step, current
        self.attributes = {} if attributes is None else attributes
        self.touches, self.plans = [], []
        self.finished, self.closings, self.withdrawn = [], [], []
        self.handover = None

    @property
    def visits(self) -> list[Visit]:
        """The finished visits, then the current one."""
        return self.finished + ([self.current] if self.current is not None else [])

    def apply(self, events: Iterable[Event], stages: StageLookup) -> None:
        """Apply events that are in the order of their keys and later than all applied before."""
        for event in events:
            self.take(event, stages)

    def take(self, event: Event, stages: StageLookup) -> None:
        """Apply one event."""
        _, key, data = event
        time, rank, _ = key
        self.last = key
        # What happens to a deal that is gone does not count. Only a deleted one can be reopened.
        if self.gone and (rank != REOPENED or self.merged):
            return
        # The place of a merged deal is taken only by a new one, whose own events have not placed it yet.
        if self.staged and "merged_from" in data:
            return
        if not _UPDATES.isdisjoint(data):
            self._update(time, data)
        if "pipeline" in data and (data["pipeline"] or None) != self.pipeline:
            self._set_pipeline(event, stages)
        if rank == CREATED and self.created is None:
            self.created = time
        if rank in _ENDS:
            self._end(event, stages)
        elif rank == REOPENED:
            self._reopen(event, stages)
        elif data.get("stage"):
            self._move(event, stages)
        if rank == TOUCHED and data.get("buyer") is True:
            self._touch(time)

    def _update(self, time: int, data: dict[str, Any]) -> None:
        for name in ATTRIBUTES:
            if name in data:
                self.attributes[name] = data[name]
        if "next_step_at" in data:
            self.step = data["next_step_at"]
            if self.current is not None:
                self.current.steps.append((time, self.step))
            elif not self.staged:
                self.plans.append((time, self.step))

    def _touch(self, time: int) -> None:
        if self.current is not None and time > self.current.entered:
            self.current.progress.append(time)
        elif not self.staged:
            self.touches.append(time)

    def _set_pipeline(self, event: Event, stages: StageLookup) -> None:
        """An event names another pipeline: what that means for the current visit, before any stage that it names too.

        A visit to a stage of the old pipeline ends, and one in the new pipeline begins. A stage that the old pipeline
        does not have was one of the new pipeline all along, as was one named without any pipeline.
        """
        stage, old = event.data.get("stage"), self.pipeline
        self.pipeline = event.data["pipeline"] or None
        if self.stage is None:
            return
        alone = not stage or stage == self.stage[1]
        if self.current is None:
            if alone:
                self.stage = self.pipeline, self.stage[1]
            return
        known = stages.knows(self.current.pipeline, self.current.stage)
        if not known or (alone and old is None):
            self._reassign(self.current, stages.resolve(event.deal, self.pipeline, self.stage[1]), event.key.time)
        elif alone:
            self._enter_stage(event, stages, self.stage[1])

    def _reassign(self, visit: Visit, resolved: ResolvedStage, time: int) -> None:
        """The current visit belongs to another pipeline from its beginning. Its stage may turn out to be closed."""
        before = replace(visit, progress=list(visit.progress), steps=list(visit.steps))
        self.withdrawn.append(WithdrawnVisit(before, time))
        if resolved.outcome is StageOutcome.OPEN:
            visit.pipeline, visit.stage, _ = resolved
            visit.recorded = time
            self.stage = self.stage and (self.pipeline, self.stage[1])
        else:
            if not self.reopened:
                self._add_closing(resolved.pipeline, visit.entered, resolved.outcome is StageOutcome.WON)
            self.stage, self.current, self.closed = self.before, None, True

    def _move(self, event: Event, stages: StageLookup, exact: bool = False) -> None:
        """An event names the stage. `exact`: the entry is known although the deal was not seen before."""
        since, time = event.data.get("entered_at"), event.key.time
        midlife = not (self.staged or exact or "merged_from" in event.data) and self.created is None
        self.staged = True
        entered = min(since, time) if midlife and since is not None else time
        self._enter_stage(event, stages, event.data["stage"], entered, known=not midlife or since is not None)

    def _enter_stage(
        self, event: Event, stages: StageLookup, stage: str, entered: int | None = None, known: bool = True
    ) -> None:
        """Enter a stage of the present pipeline, or close the deal there; nothing where the deal is in it already."""
        resolved = stages.resolve(event.deal, self.pipeline, stage)
        if resolved.outcome is not StageOutcome.OPEN:
            self._close(event.key.time, resolved.pipeline, resolved.outcome is StageOutcome.WON)
            return
        current = self.current
        if current is None or current.stage != resolved.stage or current.pipeline != resolved.pipeline:
            if current is not None:
                self._leave(event.key.time)
            self._enter(resolved, event.key.time, event.key.time if entered is None else entered, known)
        self.stage = self.pipeline, stage

    def _reopen(self, event: Event, stages: StageLookup) -> None:
        """Back to where the event says, else to the last stage. A deal that was closed when deleted stays closed."""
        gone, self.gone = self.gone, False
        if event.data.get("stage"):
            self._move(event, stages, exact=True)
        elif self.stage is not None and self.closed is not gone:
            self._resume(event, stages, *self.stage)
        elif not gone:
            self._open(event.key.time)

    def _resume(self, event: Event, stages: StageLookup, pipeline: str | None, stage: str) -> None:
        resolved = stages.resolve(event.deal, pipeline, stage)
        if resolved.outcome is StageOutcome.OPEN:
            self._enter(resolved, event.key.time, event.key.time, known=True)
        else:
            self.closed = True

    def _enter(self, resolved: ResolvedStage, recorded: int, time: int, known: bool) -> None:
        self.reopened = self.closed
        if self.closed:
            self._open(recorded)
        pipeline, stage, _ = resolved
        steps: list[tuple[int, int | None]] = [(time, self.step)] if self.step is not None else []
        self.current = Visit(pipeline, stage, time, known, None, [], steps, recorded)
        if self.plans or self.touches:
            self._take_over(self.current)

    def _take_over(self, visit: Visit) -> None:
        """The first visit takes over touches and plans from before its stage was known."""
        plans, touches, self.plans, self.touches = self.plans, self.touches, [], []
        visit.progress = [touch for touch in touches if touch > visit.entered]
        if plans:
            planned = next((step for since, step in reversed(plans) if since <= visit.entered), None)
            visit.steps = [(visit.entered, planned)] if planned is not None else []
            visit.steps += [plan for plan in plans if plan[0] > visit.entered]

    def _open(self, time: int) -> None:
        if self.closed:
            self.closed, self.reopened_at = False, time

    def _end(self, event: Event, stages: StageLookup) -> None:
        """Won, lost, deleted or merged. Where the event names a stage, the deal ended there."""
        stage, rank = event.data.get("stage"), event.key.rank
        if rank in (WON, LOST):
            self._close(event.key.time, self._closing_pipeline(event, stages), rank == WON)
        else:
            self._leave(event.key.time)
            self.gone, self.merged = True, rank == MERGED
        closed = self.closed
        if stage:
            resolved = stages.resolve(event.deal, self.pipeline, stage)
            closed = closed or resolved.outcome is not StageOutcome.OPEN
            if resolved.outcome is StageOutcome.OPEN and stages.knows(*resolved[:2]):
                self.stage = self.pipeline, stage
        if rank == MERGED and self.stage is not None and not closed:
            self.handover = handover_of(event.deal, event.key.time, event.data, self.stage)

    def _closing_pipeline(self, event: Event, stages: StageLookup) -> str:
        """Where a won or lost deal was: in the pipeline of its visit, of the stage that is named, or that was told."""
        if self.current is not None:
            return self.current.pipeline
        stage = event.data.get("stage")
        named = event.deal, self.pipeline
        return stages.resolve(*named, stage).pipeline if stage else stages.pipeline_of(*named)

    def _add_closing(self, pipeline: str, time: int, won: bool) -> None:
        is_created = self.created is not None and self.created <= time
        self.closings.append(Closing(pipeline, time, won, self.created if is_created else None))

    def _close(self, time: int, pipeline: str, won: bool) -> None:
        if not self.closed and time != self.reopened_at:
            self._add_closing(pipeline, time, won)
        self._leave(time)
        self.closed = self.staged = True
        self.plans, self.touches = [], []

    def _leave(self, time: int) -> None:
        """End the current visit; one of no length is no visit."""
        visit, self.current = self.current, None
        if visit is not None and time > visit.entered:
            visit.left = time
            if visit.progress:
                visit.progress = [p for p in visit.progress if p < time]
            self.finished.append(visit)
            self.before = self.stage

"""One pass over one series: evaluates its rules from a checkpoint on; gives new checkpoints and daily samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from shared.flow.deltas import PackedDeltas
from shared.flow.intervals import Interval, RuleState, Transition, advance, due, intervals
from shared.flow.rules import Rule
from shared.runtime.instants import micros, moment

BEGINNING = -(2**62)
SECOND = 1_000_000
# How close together checkpoints are kept, up to which age: (step, age). Going back a little must cost little.
GRID = ((10 * SECOND, 120 * SECOND), (300 * SECOND, 7200 * SECOND), (3600 * SECOND, 2 * 86_400 * SECOND))
COARSEST = 21_600 * SECOND


@dataclass(frozen=True)
class Checkpoint:
    """Everything up to and including `at` is evaluated. The count then, and the state of each rule by its key."""

    at: int
    count: int = 0
    states: dict[str, RuleState] = field(default_factory=dict)

    def pack(self) -> dict[str, Any]:
        return {"count": self.count, "rules": {key: state.pack() for key, state in self.states.items()}}

    @staticmethod
    def unpack(at: int, raw: dict[str, Any]) -> Checkpoint:
        return Checkpoint(at, raw["count"], {key: RuleState.unpack(state) for key, state in raw["rules"].items()})


@dataclass
class Pass:
    """The result of one pass over a series. `samples` are (end of a day, count then)."""

    checkpoints: list[Checkpoint] = field(default_factory=list)
    transitions: dict[str, list[Transition]] = field(default_factory=dict)
    samples: list[tuple[int, int]] = field(default_factory=list)

    @property
    def last(self) -> Checkpoint:
        return self.checkpoints[-1]

    def intervals(self, key: str) -> list[Interval]:
        """The intervals of one rule that cleared in this pass, or are open after it."""
        return intervals(self.last.states[key], self.transitions.get(key, ()))


def run(
    rules: Sequence[Rule], start: Checkpoint, deltas: PackedDeltas, until: int, zone: ZoneInfo, since: int | None = None
) -> Pass:
    """Evaluate from `start` to `until`. `deltas` are the changes after `start.at`, up to `until`.

    A pass from the beginning samples the days since the first change, or from `since` on where that is earlier: the
    count was 0 on the days between.
    """
    result, here = Pass(), start
    begin = _begin(start, deltas, since)
    days = set() if begin is None else set(day_ends(begin, until, zone))
    stops = _stops(max(start.at, 0) if begin is None else begin, until, days)
    for stop, part in zip(stops, deltas.cut(stops), strict=True):
        here = _advance(rules, here, part, stop, result.transitions)
        if stop in days:
            result.samples.append((stop, here.count))
        if stop not in days or stop == until:
            result.checkpoints.append(here)
    return result


def _begin(start: Checkpoint, deltas: PackedDeltas, since: int | None) -> int | None:
    """The instant after which days are sampled; None for none."""
    if start.at != BEGINNING:
        return max(start.at, 0)
    return min([*([deltas.first_at] if deltas else []), *([since] if since is not None else [])], default=None)


def _advance(
    rules: Sequence[Rule], here: Checkpoint, deltas: PackedDeltas, stop: int, transitions: dict[str, list[Transition]]
) -> Checkpoint:
    states = {}
    for rule in rules:
        states[rule.key], new = advance(rule, here.states.get(rule.key, RuleState()), deltas, stop)
        transitions.setdefault(rule.key, []).extend(new)
    return Checkpoint(stop, here.count + deltas.total, states)


def _stops(begin: int, until: int, days: Iterable[int]) -> list[int]:
    return sorted({*checkpoint_grid(begin, until), *days, until})


def checkpoint_grid(begin: int, until: int) -> Iterator[int]:
    """Instants in (begin, until) at which a checkpoint is worth keeping: the closer to `until`, the denser."""
    for step, reach in (*GRID, (COARSEST, 8 * 86_400 * SECOND)):
        first = max(begin, until - reach)
        yield from range((first // step + 1) * step, until, step)


def worth_keeping(at: int, until: int) -> bool:
    """Whether a checkpoint is on the grid as seen from `until`."""
    age = until - at
    for step, reach in GRID:
        if age <= reach:
            return at % step == 0
    return at % COARSEST == 0


def day_ends(begin: int, until: int, zone: ZoneInfo) -> Iterator[int]:
    """The midnights of `zone` in (begin, until]."""
    day = moment(begin).astimezone(zone).date()
    while True:
        day += timedelta(days=1)
        end = micros(_midnight(day, zone))
        if end > until:
            return
        if end > begin:
            yield end


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def next_due(rules: Sequence[Rule], here: Checkpoint, following: int | None, zone: ZoneInfo) -> int:
    """When to evaluate this series again: at its next boundary, when a hold ends, or at the end of the day."""
    tomorrow = next(day_ends(here.at, here.at + 3 * 86_400 * SECOND, zone))
    holds = [instant for rule in rules if (instant := due(rule, here.states[rule.key])) is not None]
    return min([tomorrow, *holds, *([following] if following is not None else [])])

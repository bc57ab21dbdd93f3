"""One pass of judging over one series: from a checkpoint to an instant, with new checkpoints and daily samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from shared.flow.deltas import count_upto, instant_of, unpacked
from shared.flow.intervals import Interval, RuleState, Transition, advance, due, intervals
from shared.flow.rules import Rule
from shared.runtime.instants import micros, moment

BEGINNING = -(2**62)
SECOND = 1_000_000
# Checkpoints are kept so close together, up to such an age: going back a little must cost little.
GRID = ((10 * SECOND, 120 * SECOND), (300 * SECOND, 7200 * SECOND), (3600 * SECOND, 2 * 86_400 * SECOND))
COARSEST = 21_600 * SECOND


@dataclass(frozen=True)
class Checkpoint:
    """Everything up to and including `at` is judged: the count then, and the state of each rule by its key."""

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
    """What one pass over a series gave. `samples` are (end of the day, count)."""

    checkpoints: list[Checkpoint] = field(default_factory=list)
    changes: dict[str, list[Transition]] = field(default_factory=dict)
    samples: list[tuple[int, int]] = field(default_factory=list)

    @property
    def last(self) -> Checkpoint:
        return self.checkpoints[-1]

    def intervals(self, key: str) -> list[Interval]:
        """The intervals of one rule that this pass saw the end of, or that are open after it."""
        return intervals(self.last.states[key], self.changes.get(key, ()))


def run(rules: Sequence[Rule], start: Checkpoint, found: Sequence[int], until: int, zone: ZoneInfo) -> Pass:
    """Judge from `start` to `until`; `found` are the packed boundaries after `start.at`, in order."""
    result, here = Pass(), start
    begin = instant_of(found[0]) if start.at == BEGINNING and found else max(start.at, 0)
    days = set(day_ends(begin, until, zone)) if start.at != BEGINNING or found else set()
    taken = 0
    for stop in _stops(begin, until, days):
        upto = count_upto(found, stop)
        here = _judge(rules, here, found[taken:upto], stop, result.changes)
        taken = upto
        if stop in days:
            result.samples.append((stop, here.count))
        if stop not in days or stop == until:
            result.checkpoints.append(here)
    return result


def _judge(
    rules: Sequence[Rule], here: Checkpoint, part: Sequence[int], stop: int, told: dict[str, list[Transition]]
) -> Checkpoint:
    states = {}
    for rule in rules:
        states[rule.key], changes = advance(rule, here.states.get(rule.key, RuleState()), unpacked(part), stop)
        told.setdefault(rule.key, []).extend(changes)
    return Checkpoint(stop, here.count + sum(delta for _, delta in unpacked(part)), states)


def _stops(begin: int, until: int, days: Iterable[int]) -> list[int]:
    return sorted({*checkpoint_grid(begin, until), *days, until})


def checkpoint_grid(begin: int, until: int) -> Iterator[int]:
    """Instants in (begin, until) at which a checkpoint is worth keeping: the closer to `until`, the more."""
    for step, reach in (*GRID, (COARSEST, 8 * 86_400 * SECOND)):
        first = max(begin, until - reach)
        yield from range((first // step + 1) * step, until, step)


def worth_keeping(at: int, until: int) -> bool:
    """Whether a checkpoint lies on the grid as it is seen from `until`; the newest is always kept."""
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
    """When this series must be looked at again: its next boundary, a hold that runs out, or the end of the day."""
    tomorrow = next(day_ends(here.at, here.at + 3 * 86_400 * SECOND, zone))
    holds = [instant for rule in rules if (instant := due(rule, here.states[rule.key])) is not None]
    return min([tomorrow, *holds, *([following] if following is not None else [])])

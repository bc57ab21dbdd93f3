"""Learned limits and counts: what a stage's own past says is old, and how many old visits chance alone brings together.

At the start of each ISO week, from what events before it have told; in force until the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any, NamedTuple

from shared.contracts.envelope import iso
from shared.flow.calendars import AgeClock
from shared.flow.statistics.crossings import DAY, Crossings, crossings
from shared.flow.statistics.known_stays import KnownStays
from shared.flow.statistics.survival import LIMIT_SHARE, MIN_FINISHED, Survival
from shared.flow.statistics.weeks import Weeks
from shared.flow.visits import Visit, WithdrawnVisit
from shared.runtime.instants import moment

# Limits are learned from the visits entered in this time.
LIMIT_WINDOW = 180 * DAY
# Counts are learned from this time, and from no log shorter than the other.
COUNT_WINDOW, SHORTEST_WINDOW = 365 * DAY, 180 * DAY


class NotLearned(StrEnum):
    """Why a week has no limit and count."""

    LOG_TOO_SHORT = "log-too-short"
    NOT_ENOUGH_DATA = "not-enough-data"
    NO_LIMIT = "no-limit"


class LearnedLimit(NamedTuple):
    """The least time in stage, in microseconds of the stage's clock, that at most 15 % of visits exceed.

    `finished`, `open`: how many visits it rests on. `limit` is None where they are too few, or more exceed every time.
    """

    finished: int
    open: int
    limit: int | None


class StageHistory(NamedTuple):
    """All visits of one stage, and its clock. `withdrawn`: those that were believed for a while."""

    visits: Sequence[Visit]
    withdrawn: Sequence[WithdrawnVisit]
    clock: AgeClock


@dataclass(frozen=True, slots=True)
class LearnedVersion:
    """What is in force from `since` until the next version. `limit`, `count` and `crossings` are None where `why`.

    `crossings`: of the number of visits over age `limit`, over the past year. `count`: the number that opens a problem.
    """

    since: int
    why: NotLearned | None
    learned: LearnedLimit | None = None
    crossings: Crossings | None = None
    count: int | None = None

    @property
    def limit(self) -> int | None:
        return None if self.why or self.learned is None else self.learned.limit

    @property
    def clears_at(self) -> int | None:
        """The count at which all is as usual again."""
        return None if self.crossings is None else self.crossings.model.clears_at

    def fields(self) -> dict[str, Any]:
        """As it is printed."""
        found: dict[str, Any] = {"from": iso(moment(self.since)), "limit_s": None, "count": self.count}
        if self.learned is not None:
            found |= {"finished": self.learned.finished, "open": self.learned.open}
        if self.limit is None or self.crossings is None:
            return found | {"why": self.why}
        model = self.crossings.model
        return found | {
            "limit_s": self.limit / 1_000_000,
            "usual": float(model.mean),
            "clears_at_count": model.clears_at,
            "variance": model.variance,
            "reached": self.crossings.reached,
            "busy_rate": model.busy_rate,
            "window_days": model.window_days,
        }


def window_of(first_event: int, instant: int) -> int | None:
    """The length of the window that counts are learned from; None where the log is too short."""
    window = min(COUNT_WINDOW, instant - first_event)
    return window if window >= SHORTEST_WINDOW else None


def relearning_instants(weeks: Weeks, as_of: int) -> list[int]:
    """The starts of ISO weeks from the first event of the log up to `as_of`."""
    starts = (weeks.start(week) for week in range(weeks.of(as_of) + 1))
    return [start for start in starts if weeks.first_event <= start <= as_of]


def learn(history: StageHistory, first_event: int, instants: Sequence[int], budget: Fraction) -> list[LearnedVersion]:
    """A version for each of the instants, which are in order. `budget`: openings in 91 days by chance alone."""
    oldest = min(instants, default=0) - COUNT_WINDOW
    visits = (visit for visit in history.visits if visit.left is None or visit.left > oldest)
    stays = KnownStays(visits, history.withdrawn, history.clock, LIMIT_WINDOW, instants)
    return [_version(stays, first_event, instant, budget) for instant in instants]


def learned_limit(visits: Iterable[Visit], clock: AgeClock, instant: int) -> LearnedLimit:
    """The limit as of an instant: `visits` are known with what happened at it."""
    return _limit(*recent_stays(visits, clock, instant))


def recent_stays(visits: Iterable[Visit], clock: AgeClock, instant: int) -> tuple[list[int], list[int]]:
    """Of the visits that limits are learned from: sorted times in stage, and sorted ages of the open ones."""
    recent = [visit for visit in visits if visit.known and instant - LIMIT_WINDOW <= visit.entered <= instant]
    finished = sorted(clock.age(visit.entered, visit.left) for visit in recent if visit.left is not None)
    return finished, sorted(clock.age(visit.entered, instant) for visit in recent if visit.left is None)


def _limit(finished: Sequence[int], ages: Sequence[int]) -> LearnedLimit:
    enough = len(finished) >= MIN_FINISHED
    return LearnedLimit(len(finished), len(ages), Survival(finished, ages).quantile(LIMIT_SHARE) if enough else None)


def _version(stays: KnownStays, first_event: int, instant: int, budget: Fraction) -> LearnedVersion:
    window = window_of(first_event, instant)
    if window is None:
        return LearnedVersion(instant, NotLearned.LOG_TOO_SHORT)
    stays.forward(instant)
    learned = _limit(stays.finished, stays.ages(instant))
    if learned.limit is None:
        few = learned.finished < MIN_FINISHED
        return LearnedVersion(instant, NotLearned.NOT_ENOUGH_DATA if few else NotLearned.NO_LIMIT, learned)
    starts, ends = stays.over(learned.limit, instant - window, instant)
    seen = crossings(starts, ends, instant - window, instant)
    return LearnedVersion(instant, None, learned, seen, seen.model.least_number(budget))

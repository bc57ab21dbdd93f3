"""Which weeks lie before a change and which after it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from services.tickets.domain.seal import SealedPlan
from shared.flow.statistics.interim_looks import look_weeks
from shared.flow.statistics.weeks import Weeks
from shared.runtime.instants import micros


@dataclass(frozen=True)
class ChangeWeeks:
    """Weeks around a change at the instant `at`, microseconds since 1970.

    Before it: the weeks from week 1 on that ended by then. After it: the weeks from the first that begins then or
    later, counted from 1. The week that holds the instant is in neither.
    """

    weeks: Weeks
    at: int

    @property
    def first(self) -> int:
        """The first week after the change."""
        week = self.weeks.of(self.at)
        return week if self.weeks.start(week) == self.at else week + 1

    @property
    def end_before(self) -> int:
        """The first week that had not ended by the change; 1 where none had."""
        return max(self.weeks.of(self.at), 1)

    def start_of(self, number: int) -> int:
        """The instant at which a week after the change begins, by its number from 1."""
        return self.weeks.start(self.first + number - 1)

    def end_of(self, number: int) -> int:
        """The instant at which a week after the change is over; of 0: at which the first one begins."""
        return self.weeks.end(self.first + number - 1)

    def index_of(self, name: str) -> int:
        """The index of a week, by its ISO name, among those before the change; below 0 or too high for others."""
        return self.weeks.number(name) - 1

    def names(self, indices: tuple[int, ...]) -> tuple[str, ...]:
        """The ISO names of weeks before the change."""
        return tuple(self.weeks.name(index + 1) for index in indices)

    def looks(self, window: int) -> tuple[date, ...]:
        """The days on which the weeks of each look are over."""
        return tuple(self.weeks.first_day(self.first + week) for week in look_weeks(window))


def change_instant(change_date: date, settling: int, zone: str) -> int:
    """The midnight with which the change date begins, moved on by the weeks of settling."""
    day = change_date + timedelta(weeks=settling)
    return micros(datetime.combine(day, time(), ZoneInfo(zone)))


def weeks_around(sealed: SealedPlan, weeks: Weeks) -> ChangeWeeks:
    """The weeks around the change of a sealed plan. `weeks`: those of the log, in the policy's zone."""
    return ChangeWeeks(weeks, judged_from(sealed))


def looks_of(sealed: SealedPlan) -> tuple[date, ...]:
    """The days on which the weeks of each look are over."""
    at = judged_from(sealed)
    return ChangeWeeks(Weeks(at, sealed.ground.zone), at).looks(sealed.ground.window)


def judged_from(sealed: SealedPlan) -> int:
    """The instant from which the change of a sealed plan is judged, in microseconds."""
    return change_instant(sealed.plan.change_date, sealed.ground.settling, sealed.ground.zone)

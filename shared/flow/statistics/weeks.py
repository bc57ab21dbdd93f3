"""ISO weeks in a policy's zone, counted from the week of the log's first event."""

from __future__ import annotations

from bisect import bisect_right
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from shared.runtime.instants import micros, moment

_WEEK = timedelta(days=7)


class Weeks:
    """Week i is `[start(i), start(i + 1))`, from Monday 00:00 to Monday 00:00 in the zone.

    Week 0 holds the first event of the whole log. It is partial, and never a point of a chart.
    Instants are microseconds since 1970 in UTC; weeks may lie before week 0 or in the future.
    """

    def __init__(self, first_event: int, zone: str) -> None:
        self.first_event, self.zone = first_event, ZoneInfo(zone)
        day = moment(first_event).astimezone(self.zone).date()
        self._monday = day - timedelta(days=day.weekday())
        self._starts: list[int] = []

    def start(self, week: int) -> int:
        """The first instant of the week."""
        if week < 0:
            return self._start_of(week)
        while len(self._starts) <= week:
            self._starts.append(self._start_of(len(self._starts)))
        return self._starts[week]

    def end(self, week: int) -> int:
        """The first instant after the week."""
        return self.start(week + 1)

    def of(self, instant: int) -> int:
        """The week that holds the instant."""
        day = moment(instant).astimezone(self.zone).date()
        week = (day - self._monday).days // 7
        # A zone may skip or repeat midnight: the wall clock's date alone may be a week off.
        while self.start(week) > instant:
            week -= 1
        while self.end(week) <= instant:
            week += 1
        return week

    def over(self, instant: int) -> int:
        """The first week that is not over at the instant. Weeks 0 to over - 1 are."""
        self.start(max(self.of(instant), 0))
        return bisect_right(self._starts, instant) - 1

    def name(self, week: int) -> str:
        """The ISO name, such as 2012-W09."""
        year, number, _ = self.monday(week).isocalendar()
        return f"{year}-W{number:02}"

    def number(self, name: str) -> int:
        """The week of an ISO name. Raises ValueError where there is no such week."""
        year, _, number = name.partition("-W")
        return (date.fromisocalendar(int(year), int(number), 1) - self._monday).days // 7

    def monday(self, week: int) -> date:
        """The date on which the week begins."""
        return self._monday + week * _WEEK

    def _start_of(self, week: int) -> int:
        return micros(datetime.combine(self.monday(week), time(), self.zone))

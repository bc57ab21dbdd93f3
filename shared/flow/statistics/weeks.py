"""Periods in a policy's zone, ISO weeks or days, counted from the one of the log's first event."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import ClassVar
from zoneinfo import ZoneInfo

from shared.runtime.instants import micros, moment


class Periods:
    """Period i is `[start(i), start(i + 1))`, from midnight to midnight in the zone.

    Period 0 holds the first event of the whole log. Instants are microseconds since 1970 in UTC; periods may lie before
    period 0 or in the future.
    """

    days: ClassVar[int]

    def __init__(self, first_event: int, zone: str) -> None:
        self.first_event, self.zone = first_event, ZoneInfo(zone)
        day = moment(first_event).astimezone(self.zone).date()
        self._first_day = day - timedelta(days=day.weekday() % self.days)
        # Threads may share it: what one computes is what another would.
        self._starts: dict[int, int] = {}

    def start(self, period: int) -> int:
        """The first instant of the period."""
        found = self._starts.get(period)
        if found is None:
            found = self._starts[period] = self._start_of(period)
        return found

    def end(self, period: int) -> int:
        """The first instant after the period."""
        return self.start(period + 1)

    def of(self, instant: int) -> int:
        """The period that holds the instant."""
        day = moment(instant).astimezone(self.zone).date()
        period = (day - self._first_day).days // self.days
        # A zone may skip or repeat midnight: the wall clock's date alone may be a period off.
        while self.start(period) > instant:
            period -= 1
        while self.end(period) <= instant:
            period += 1
        return period

    def over(self, instant: int) -> int:
        """The first period that is not over at the instant. Periods 0 to over - 1 are."""
        return max(self.of(instant), -1)

    def first_day(self, period: int) -> date:
        """The date on which the period begins."""
        return self._first_day + timedelta(days=period * self.days)

    def name(self, period: int) -> str:
        """Its name where measures are printed."""
        return self.first_day(period).isoformat()

    def _start_of(self, period: int) -> int:
        return micros(datetime.combine(self.first_day(period), time(), self.zone))


class Days(Periods):
    """Days by their dates."""

    days = 1


class Weeks(Periods):
    """ISO weeks, from Monday to Monday. Week 0 is partial, and never a point of a chart."""

    days = 7

    def name(self, period: int) -> str:
        """The ISO name, such as 2012-W09."""
        year, number, _ = self.first_day(period).isocalendar()
        return f"{year}-W{number:02}"

    def number(self, name: str) -> int:
        """The week of an ISO name. Raises ValueError where there is no such week."""
        year, _, number = name.partition("-W")
        return (date.fromisocalendar(int(year), int(number), 1) - self._first_day).days // self.days

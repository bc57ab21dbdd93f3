"""Silence of a source as its definition reads, quarter of an hour by quarter of an hour, in doubles."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from shared.runtime.instants import micros, moment

# Every zone's hours begin at a whole quarter of UTC.
QUARTER = 900 * 1_000_000
Cell = tuple[int, int]


class NaiveTable(NamedTuple):
    rates: dict[Cell, float]
    need: float


class NaiveSource:
    """Receipts in order, all of them at `as_of` or before."""

    def __init__(self, receipts: Sequence[int], zone: str, holidays: Collection[date], budget: float, as_of: int):
        self.receipts, self.zone, self.holidays = receipts, ZoneInfo(zone), set(holidays)
        self.budget, self.as_of = budget, as_of

    def local(self, instant: int) -> datetime:
        return moment(instant).astimezone(self.zone)

    def monday(self, instant: int) -> date:
        day = self.local(instant).date()
        return day - timedelta(days=day.weekday())

    def start(self, monday: date) -> int:
        return micros(datetime(monday.year, monday.month, monday.day, tzinfo=self.zone))

    def expected(self, rates: dict[Cell, float], since: int, until: int) -> float:
        return sum(rate * (end - start) for start, end, rate in self.pieces(rates, since, until)) / (4 * QUARTER)

    def pieces(self, rates: dict[Cell, float], since: int, until: int) -> list[tuple[int, int, float]]:
        found = []
        while since < until:
            end = min((since // QUARTER + 1) * QUARTER, until)
            at = self.local(since)
            rate = 0.0 if at.date() in self.holidays else rates[at.weekday(), at.hour]
            found.append((since, end, rate))
            since = end
        return found

    def table(self, monday: date) -> NaiveTable | None:
        if monday - timedelta(weeks=8) <= self.monday(self.receipts[0]):
            return None
        days = [monday + timedelta(days=number) for number in range(-56, 0)]
        works = [day for day in days if day not in self.holidays]
        known = [t for t in self.receipts if self.start(days[0]) <= t < self.start(monday)]
        local = [at for at in map(self.local, known) if at.date() not in self.holidays]
        n, c = Counter((at.date(), at.hour) for at in local), Counter(day.weekday() for day in works)
        free = sum(max(c[d] - 1, 0) for d in range(7))
        if not local or free == 0:
            return None
        cells = [(d, h) for d in range(7) for h in range(24)]
        rates = {
            (d, h): sum(n[day, h] for day in works if day.weekday() == d) / c[d] if c[d] else 0.0 for d, h in cells
        }
        need = self._need(works, n, c, rates, free, len(local), days[0])
        gaps = sorted(self.expected(rates, *pair) for pair in pairwise(known))
        return NaiveTable(rates, max(need, 1.25 * (gaps[-2] if len(known) >= 3 else 0)))

    def _need(
        self,
        works: Sequence[date],
        n: Counter[tuple[date, int]],
        c: Counter[int],
        rates: dict[Cell, float],
        free: int,
        count: int,
        first: date,
    ) -> float:
        weekly, mean = count / 8, count / (24 * sum(c.values()))
        e = {(day, h): n[day, h] - rates[day.weekday(), h] for day in works for h in range(24)}
        by_day, by_week = Counter[date](), Counter[int]()
        for (day, _), residual in e.items():
            by_day[day] += residual  # type: ignore[assignment]
            by_week[(day - first).days // 7] += residual  # type: ignore[assignment]
        bursts = max(1, sum(x * x for x in e.values()) / (24 * free) / mean)
        daily = sum(x * x for x in by_day.values()) / free / (24 * mean)
        of_weeks = sum(x * x for x in by_week.values()) / 7 / weekly
        loads = [sum(rates[d, h] for h in range(24)) for d in range(7)]
        size = sum(c[d] * loads[d] ** 2 for d in range(7)) / sum(c[d] * loads[d] for d in range(7))
        s2 = max(0, (daily - bursts) / size, (of_weeks - bursts) / weekly)
        n0 = math.log(13 * weekly / self.budget) / (8 * math.log(9 / 8))
        return bursts * n0 if s2 <= 1e-9 else bursts * (math.exp(s2 * n0) - 1) / s2

    def intervals(self) -> list[tuple[int, int | None, int]]:
        found, tables = [], {m: self.table(m) for m in {self.monday(receipt) for receipt in self.receipts}}
        for since, until in zip(self.receipts, [*self.receipts[1:], None], strict=True):
            table = tables[self.monday(since)]
            end = self.as_of if until is None else until
            opened = table and self._opened(table, since, end)
            if table and opened and (opened < end or (until is None and opened == end)):
                found.append((opened, until, math.floor(self.expected(table.rates, since, end) + 1e-9)))
        return found

    def _opened(self, table: NaiveTable, since: int, until: int) -> int | None:
        seen = 0.0
        for start, end, rate in self.pieces(table.rates, since, until + 1_000_000):
            more = rate * (end - start) / (4 * QUARTER)
            if more and seen + more >= table.need - 1e-9:
                at = start / 1e6 + max(table.need - seen, 0) / rate * 3600
                return math.ceil(at - 1e-6) * 1_000_000
            seen += more
        return None

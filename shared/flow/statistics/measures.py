"""The weekly measures of stages and pipelines: a pure function of what deals did, exact.

An instant belongs to the week that holds it. The state at a week's end is the one just before it: what happens at the
end itself belongs to the next week. Weeks may also be days: whatever `Periods` are given.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import accumulate
from typing import NamedTuple
from zoneinfo import ZoneInfo

from shared.flow.calendars import AgeClock, AgeClocks
from shared.flow.statistics.close_dates import CloseChange, close_changes, close_weeks
from shared.flow.statistics.columns import Chart, Column, Value
from shared.flow.statistics.weeks import Periods
from shared.flow.visits import Closing, DealState, Event, Visit
from shared.policy import Policy, StageOutcome

# The version of the definitions below.
DEFINITION = 1


class DealFacts(NamedTuple):
    """What the measures need of a deal: its visits in the order of entering, closings, told close dates in order."""

    visits: Sequence[Visit]
    closings: Sequence[Closing]
    closes: Sequence[CloseChange]


def facts_of(state: DealState, history: Iterable[Event], zone: ZoneInfo) -> DealFacts:
    """The facts of a deal: its state after its whole history, and that history, each event once and in order."""
    return DealFacts(state.visits, state.closings, close_changes(history, zone))


class WeeklyMeasures(NamedTuple):
    """Every chart of the policy, with its value in each week that is over; week 0 first. None: no value."""

    weeks: Periods
    values: Mapping[Chart, list[Value | None]]


def weekly_measures(deals: Iterable[DealFacts], policy: Policy, weeks: Periods, as_of: int) -> WeeklyMeasures:
    """The measures of all weeks that are over at `as_of`, of facts with times up to it.

    Costs a step for each visit, closing and told date, and one for each week and stage.
    """
    tallies = MeasureTallies(policy, weeks, weeks.over(as_of))
    for deal in deals:
        tallies.add(deal)
    return tallies.measures()


def definition_of(policy: Policy) -> str:
    """A digest of everything in the policy that the measures depend on."""
    clocks = AgeClocks(policy)
    stages = [
        (name, stage.id, stage.outcome.value, clocks.of(name, stage.id).name)
        for name, pipeline in policy.pipelines.items()
        for stage in pipeline.stages
    ]
    return hashlib.sha256(repr((DEFINITION, policy.timezone, stages)).encode()).hexdigest()[:16]


class MeasureTallies:
    """What is counted so far in weeks 0 to `over` - 1, by stage and pipeline of the policy; others have no measures.

    Week 0 need not be that of the log's first event: then deals must come with what they did before it.
    """

    def __init__(self, policy: Policy, weeks: Periods, over: int) -> None:
        self._weeks = weeks
        self._starts = starts = [weeks.start(week) for week in range(over + 1)]
        clocks = AgeClocks(policy)
        self._pipelines = {key: _PipelineTally(len(starts) - 1) for key in policy.pipelines}
        self._stages = {
            (key, stage.id): _StageTally(number, clocks.of(key, stage.id), starts)
            for key, pipeline in policy.pipelines.items()
            for number, stage in enumerate(pipeline.stages)
            if stage.outcome is StageOutcome.OPEN
        }

    def add(self, deal: DealFacts) -> None:
        """Count a deal, or a part of one: its visits with the told dates, its closings."""
        open_weeks = self._add_visits(deal.visits)
        for closing in deal.closings:
            if (tally := self._pipelines.get(closing.pipeline)) is not None:
                tally.add_closing(closing, self._week(closing.time))
        if deal.closes:
            self._add_closes(deal.closes, open_weeks)

    def measures(self) -> WeeklyMeasures:
        """The measures of what was added."""
        found: dict[Chart, list[Value | None]] = {}
        for (pipeline, stage), tally in self._stages.items():
            found |= {Chart(pipeline, stage, column): values for column, values in tally.values().items()}
        for pipeline, closings in self._pipelines.items():
            found |= {Chart(pipeline, "", column): values for column, values in closings.values().items()}
        return WeeklyMeasures(self._weeks, found)

    def _week(self, instant: int) -> int:
        """The week that holds the instant: -1 before week 0, and the number of weeks where it is not over."""
        return bisect_right(self._starts, instant) - 1

    def _add_visits(self, visits: Sequence[Visit]) -> list[tuple[str, int, int]]:
        """Count the visits; gives at the ends of which weeks, `[first, last)`, the deal is open in which pipeline."""
        stages, starts = self._stages, self._starts
        farthest, open_weeks = dict[str, int](), []
        for visit in visits:
            pipeline = visit.pipeline
            if (tally := stages.get((pipeline, visit.stage))) is None:
                continue
            before = farthest.get(pipeline, -1)
            if tally.number > before:
                farthest[pipeline] = tally.number
            entered = bisect_right(starts, visit.entered) - 1
            left = (len(starts) if visit.left is None else bisect_right(starts, visit.left)) - 1
            tally.add(visit, entered, left, tally.number < before)
            if entered < left and left > 0:
                open_weeks.append((pipeline, entered if entered > 0 else 0, left))
        return open_weeks

    def _add_closes(self, closes: Sequence[CloseChange], open_weeks: list[tuple[str, int, int]]) -> None:
        told = [one for one in close_weeks(closes, self._week) if one.week < len(self._starts) - 1]
        ends = [*(one.week for one in told), len(self._starts) - 1][1:]
        for (week, date, pushed), end in zip(told, ends, strict=True):
            if date is None:
                continue
            for pipeline, first, last in open_weeks:
                if first < end and week < last:
                    is_pushed = pushed and first <= week
                    self._pipelines[pipeline].add_close(max(first, week), min(last, end), is_pushed)


class _StageTally:
    """One stage. `number`: its place in the order of the pipeline's stages.

    Ages at the ends of weeks come from two running sums: how many deals are in the stage, and the sum of the ages, on a
    common scale, at which they entered.
    """

    def __init__(self, number: int, clock: AgeClock, starts: list[int]) -> None:
        weeks = len(starts) - 1
        # The difference of two readings is an age.
        self.number, self._reading, self._starts = number, clock.reading(starts[0]), starts
        self._arrivals, self._departures, self._rework = [0] * weeks, [0] * weeks, [0] * weeks
        self._open, self._entered = [0] * (weeks + 1), [0] * (weeks + 1)
        self._times: list[list[int]] = [[] for _ in range(weeks)]

    def add(self, visit: Visit, entered: int, left: int, is_rework: bool) -> None:
        """Count a visit that is entered and left in these weeks; -1 is before the first, and the last is not over."""
        weeks = len(self._arrivals)
        if entered >= weeks or left < 0:
            return
        since = self._reading(visit.entered)
        if entered >= 0:
            self._arrivals[entered] += 1
            self._rework[entered] += is_rework
        first = entered if entered > 0 else 0
        self._open[first] += 1
        self._entered[first] += since
        self._open[left] -= 1
        self._entered[left] -= since
        if left < weeks and visit.left is not None:
            self._departures[left] += 1
            if visit.known:
                self._times[left].append(self._reading(visit.left) - since)

    def values(self) -> dict[Column, list[Value | None]]:
        wip = list(accumulate(self._open))[:-1]
        times = [sorted(one) for one in self._times]
        return {
            Column.ARRIVALS: [*self._arrivals],
            Column.DEPARTURES: [*self._departures],
            Column.WIP_END: [*wip],
            Column.TIME_IN_STAGE_MEDIAN: [median(one) for one in times],
            Column.TIME_IN_STAGE_P85: [p85(one) for one in times],
            Column.REWORK: [*self._rework],
            Column.REWORK_RATE: [share(*pair) for pair in zip(self._rework, self._arrivals, strict=True)],
            Column.OPEN_AGE_MEAN: self._mean_ages(wip),
        }

    def _mean_ages(self, wip: list[int]) -> list[Value | None]:
        ends, entered = self._starts[1:], accumulate(self._entered)
        return [
            Fraction(count * self._reading(end) - total, count) if count else 0
            for count, end, total in zip(wip, ends, entered, strict=False)
        ]


class _PipelineTally:
    """One pipeline."""

    def __init__(self, weeks: int) -> None:
        self._won, self._lost = [0] * weeks, [0] * weeks
        self._lead_times: list[list[int]] = [[] for _ in range(weeks)]
        self._with_close, self._pushed = [0] * (weeks + 1), [0] * weeks

    def add_closing(self, closing: Closing, week: int) -> None:
        if not 0 <= week < len(self._won):
            return
        counted = self._won if closing.won else self._lost
        counted[week] += 1
        if closing.created is not None:
            self._lead_times[week].append(closing.time - closing.created)

    def add_close(self, first: int, last: int, pushed: bool) -> None:
        """Count a deal that is open with a close date at the ends of weeks `[first, last)`, and pushed in the first."""
        self._with_close[first] += 1
        self._with_close[last] -= 1
        if pushed:
            self._pushed[first] += 1

    def values(self) -> dict[Column, list[Value | None]]:
        throughput = [won + lost for won, lost in zip(self._won, self._lost, strict=True)]
        times = [sorted(one) for one in self._lead_times]
        with_close = list(accumulate(self._with_close))[:-1]
        return {
            Column.THROUGHPUT: [*throughput],
            Column.WON: [*self._won],
            Column.LOST: [*self._lost],
            Column.WIN_RATE: [share(*pair) for pair in zip(self._won, throughput, strict=True)],
            Column.LEAD_TIME_MEDIAN: [median(one) for one in times],
            Column.LEAD_TIME_P85: [p85(one) for one in times],
            Column.PUSHED: [*self._pushed],
            Column.OPEN_WITH_CLOSE: [*with_close],
            Column.PUSHED_SHARE: [share(*pair) for pair in zip(self._pushed, with_close, strict=True)],
        }


def median(ordered: Sequence[int]) -> int | None:
    """Twice the median of ordered values: the sum of the two in the middle. None without values."""
    return ordered[len(ordered) // 2] + ordered[(len(ordered) - 1) // 2] if ordered else None


def p85(ordered: Sequence[int]) -> int | None:
    """Twenty times the 85th percentile of ordered values, linear between ranks. None without values."""
    if not ordered:
        return None
    rank, rest = divmod(17 * (len(ordered) - 1), 20)
    above = ordered[min(rank + 1, len(ordered) - 1)]
    return 20 * ordered[rank] + rest * (above - ordered[rank])


def share(part: int, whole: int) -> Fraction | None:
    """A share of a whole; None where there is none."""
    return Fraction(part, whole) if whole else None

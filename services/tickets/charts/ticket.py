"""What a ticket's charts show: chosen from the points, intervals and evidence that the service keeps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from services.tickets.charts.measure import FLOW_COLUMNS, bottleneck_flow, side_by_side, week_chart
from services.tickets.charts.signals import chart_signals
from services.tickets.charts.spec import Drawing, LineChart, WeekGroups
from services.tickets.latest_count import rule_series, series
from services.tickets.store import daily_points, problems, weekly_points
from services.tickets.store.daily_points import Point
from shared import wording
from shared.contracts.measures import Column, Measure
from shared.contracts.problems import ProblemData
from shared.flow.statistics.columns import Chart
from shared.policy import Policy, StageTitles
from shared.postgres.pool import Executor
from shared.stream import relocks
from shared.wording.kind import DealOrder
from shared.wording.problem_text import limit_of, text_of
from shared.wording.quantities import CALENDAR_DAY, ages

MIN_DAYS = 90
DAYS_BEFORE, DAYS_AFTER = 28, 14


def span(problem: ProblemData, now: datetime) -> tuple[datetime, datetime]:
    """The range to draw: the weeks before the problem and all of it, at most until now."""
    until = min(now, problem.cleared_at + timedelta(days=DAYS_AFTER)) if problem.cleared_at else now
    return min(problem.opened_at - timedelta(days=DAYS_BEFORE), until - timedelta(days=MIN_DAYS)), until


def with_newest(points: Sequence[Point], problem: ProblemData, until: datetime) -> list[Point]:
    """The daily points and, while the problem lasts, the count of its message where that is newer."""
    if not is_newer(problem, points[-1][0] if points else None, until):
        return list(points)
    return [*points, (problem.counted_at, float(problem.count))]


def is_newer(problem: ProblemData, last: datetime | None, until: datetime) -> bool:
    """Whether the count of a lasting problem is of after the last daily point; None: there is none.

    `until`: in whole minutes, as pages tell the time.
    """
    at = problem.counted_at.replace(second=0, microsecond=0)
    return problem.cleared_at is None and at <= until and (last is None or at > last)


async def count_chart(
    executor: Executor, problem: ProblemData, policy: Policy, titles: StageTitles, now: datetime
) -> LineChart | None:
    """The number that the rule counts, day by day, with its threshold and what is usual. None for an unknown kind."""
    spec, wanted = wording.of(problem.kind).chart, rule_series(problem)
    if spec is None or wanted is None:
        return None
    since, until = span(problem, now)
    points = (await daily_points.points(executor, [wanted], since, until))[wanted]
    return LineChart(
        text_of(problem, policy, titles).finding,
        spec.unit,
        {spec.unit: with_newest(points, problem, until)},
        since,
        until,
        policy.timezone,
        {f"{spec.threshold_name} {problem.threshold}": float(problem.threshold)},
        problem.usual,
        await problems.intervals(executor, problem.key, since, until),
    )


async def weeks_chart(
    executor: Executor, problem: ProblemData, policy: Policy, titles: StageTitles
) -> WeekGroups | None:
    """The weeks that opened a problem on a measure, beside its baseline.

    None for problems on counts, and where the policy no longer has the pipeline.
    """
    if problem.signal is None or problem.pipeline not in policy.pipelines:
        return None
    chart = Chart(problem.pipeline, problem.stage or "", problem.signal.measure)
    known = await weekly_points.load(executor, problem.pipeline, [chart], policy.timezone)
    if known is None:
        return None
    return side_by_side(problem.signal, known, chart, policy, text_of(problem, policy, titles).finding)


async def flow_chart(
    executor: Executor, problem: ProblemData, policy: Policy, titles: StageTitles, now: datetime
) -> LineChart | None:
    """What came into a bottleneck and what left it. None where the policy no longer has the stage."""
    if policy.stage(problem.pipeline, problem.stage or "") is None:
        return None
    charts = [Chart(problem.pipeline, problem.stage or "", column) for column in FLOW_COLUMNS]
    known = await weekly_points.load(executor, problem.pipeline, charts, policy.timezone)
    if known is None:
        return None
    return bottleneck_flow(known, problem, text_of(problem, policy, titles).finding, policy.timezone, now)


async def stays_chart(
    executor: Executor, problem: ProblemData, policy: Policy, titles: StageTitles
) -> LineChart | None:
    """How long deals stayed in the stage of a cord, week by week, with what is usual. None before the first week."""
    if policy.stage(problem.pipeline, problem.stage or "") is None:
        return None
    chart = Chart(problem.pipeline, problem.stage or "", Column.TIME_IN_STAGE_MEDIAN)
    known = await weekly_points.load(executor, problem.pipeline, [chart], policy.timezone)
    if known is None:
        return None
    signals = chart_signals(chart, known, await relocks.load(executor, [chart.name]), policy)
    finding = text_of(problem, policy, titles).finding
    return week_chart(signals, policy, finding, policy.timezone) if signals.points else None


async def main_chart(
    executor: Executor, problem: ProblemData, policy: Policy, titles: StageTitles, now: datetime
) -> Drawing | None:
    """The chart that shows what the problem is about: the weeks of its measure, its flow, or its count by day."""
    if problem.signal is not None:
        return await weeks_chart(executor, problem, policy, titles)
    if problem.cord is not None:
        return await stays_chart(executor, problem, policy, titles)
    if problem.bottleneck is not None:
        return await flow_chart(executor, problem, policy, titles, now)
    return await count_chart(executor, problem, policy, titles, now)


async def mail_chart(
    executor: Executor, problem: ProblemData, policy: Policy, titles: StageTitles, now: datetime
) -> Drawing | None:
    """The main chart for a mail, until the problem was over or detected where that is ahead of our clock."""
    until = max(problem.cleared_at or problem.detected_at, now)
    return await main_chart(executor, problem, policy, titles, until)


async def age_chart(
    executor: Executor, problem: ProblemData, policy: Policy, titles: StageTitles, now: datetime
) -> LineChart | None:
    """Oldest and median age by day, in days of the stage's clock, with the deals of the evidence as dots.

    None for problems that are about no single deal.
    """
    if problem.signal is not None or policy.stage(problem.pipeline, problem.stage or "") is None:
        return None
    since, until = span(problem, now)
    day = policy.day_seconds(problem.pipeline, problem.stage or "")
    wanted = [series(problem, measure) for measure in (Measure.AGE_OLDEST, Measure.AGE_MEDIAN, Measure.WIP)]
    oldest, median, wip = (await daily_points.points(executor, wanted, since, until)).values()
    lines = {"oldest deal": _in_days(oldest, day), "median": _in_days(median, day)}
    stage = text_of(problem, policy, titles).stage
    return LineChart(
        ages_title(problem, lines["oldest deal"], lines["median"], wip, stage, day),
        "days" if day == CALENDAR_DAY else "working days",
        lines,
        since,
        until,
        policy.timezone,
        _age_limit(problem, policy, day),
        dots=_dots(problem, day),
    )


def _in_days(points: Sequence[Point], day: int) -> list[Point]:
    return [(at, value / day) for at, value in points]


def _age_limit(problem: ProblemData, policy: Policy, day: int) -> dict[str, float]:
    """The rule's limit as a line, in days, where it is one on ages."""
    spec = wording.of(problem.kind).chart
    if not problem.limit_seconds or spec is None or not spec.has_age_limit:
        return {}
    return {f"limit {limit_of(problem, policy)}": problem.limit_seconds / day}


def _dots(problem: ProblemData, day: int) -> list[Point]:
    """The deals of the evidence, by their ages in days."""
    shown = problem.evidence
    deals = {deal.deal: deal for deal in shown.deals} if shown else {}
    return [(problem.counted_at, deal.age_seconds / day) for deal in deals.values()]


def ages_title(
    problem: ProblemData, oldest: Sequence[Point], median: Sequence[Point], wip: Sequence[Point], stage: str, day: int
) -> str:
    """The title of the chart of ages, from the ends of days: `oldest` and `median` in days, `wip` in deals."""
    if problem.cleared_at is not None:
        return f"How long deals were in {stage}"
    kind = wording.of(problem.kind)
    ends = [points[-1][0] for points in (oldest, wip) if points]
    is_newer = problem.evidence is not None and (not ends or problem.counted_at > max(ends))
    dots = [age for _, age in _dots(problem, day)] if is_newer else []
    counts_all = kind.chart is not None and kind.chart.counts_all
    if not dots and ((is_newer and counts_all) or (wip and wip[-1][1] == 0)):
        return f"No deal is in {stage} now"
    # Deals without progress need not be the oldest of their stage.
    has_oldest = dots and kind.deal_order is DealOrder.LONGEST_IN_STAGE
    known = dots if has_oldest else [*dots, *(age for _, age in oldest[-1:])]
    if not known:
        return f"How long deals were in {stage}"
    return ages(max(known) * day, median[-1][1] * day if median else None, stage, day)

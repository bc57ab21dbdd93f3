"""What a ticket's charts show: chosen from the points, intervals and evidence that the service keeps."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from services.tickets.charts import render as charts
from services.tickets.charts.render import Chart, Point
from services.tickets.latest_count import MEASURE, counted, judged, series, told_at
from services.tickets.store import tickets as store
from shared.contracts.measures import Measure
from shared.contracts.problems import ProblemData
from shared.policy import Policy
from shared.wording.problem_text import ages, tell
from shared.wording.problem_text import limit as limit_words

COUNTED = {
    "aging": "deals over the limit",
    "wip-high": "deals in work",
    "wip-low": "deals in work",
    "stalled": "deals standing still",
}
DAYS = 90


def span(problem: ProblemData, now: datetime) -> tuple[datetime, datetime]:
    """The time that is drawn: the weeks before the problem and all of it, at most until now."""
    until = min(now, problem.cleared_at + timedelta(days=14)) if problem.cleared_at else now
    return min(problem.opened_at - timedelta(days=28), until - timedelta(days=DAYS)), until


def with_newest(points: Sequence[Point], problem: ProblemData, until: datetime) -> list[Point]:
    """The days and, while the problem lasts, the count that was told after them."""
    at = told_at(problem)
    if problem.cleared_at is not None or until < at or (points and at <= points[-1][0]):
        return list(points)
    return [*points, (at, float(problem.count))]


async def count_chart(connection: Any, problem: ProblemData, policy: Policy, now: datetime) -> Chart:
    """The number that is judged, day by day, with its limit and what is usual."""
    since, until = span(problem, now)
    (points,) = (await store.points(connection, judged(problem), since, until)).values()
    name = {"wip-high": "limit", "wip-low": "least"}.get(problem.kind, "problem from")
    limits = {f"{name} {problem.threshold}": float(problem.threshold)}
    line, finding = with_newest(points, problem, until), tell(counted(problem, points).problem, policy).finding
    return Chart(
        finding,
        COUNTED[problem.kind],
        {COUNTED[problem.kind]: line},
        since,
        until,
        policy.timezone,
        limits,
        problem.usual,
        await store.intervals(connection, problem.key, since, until),
    )


async def age_chart(connection: Any, problem: ProblemData, policy: Policy, now: datetime) -> Chart:
    """Oldest and median age by day, in days of the stage's clock, with the deals that were told last as dots."""
    since, until = span(problem, now)
    day = policy.day_seconds(problem.pipeline, problem.stage or "")
    wanted = [series(problem, measure) for measure in (Measure.AGE_OLDEST, Measure.AGE_MEDIAN, Measure.WIP)]
    oldest, median, held = (await store.points(connection, wanted, since, until)).values()
    lines = {
        name: [(at, value / day) for at, value in line] for name, line in (("oldest deal", oldest), ("median", median))
    }
    limits = {}
    if problem.limit_seconds and problem.kind == "aging":
        limits[f"limit {limit_words(problem, policy)}"] = problem.limit_seconds / day
    title = ages_title(problem, lines["oldest deal"], lines["median"], held, tell(problem, policy).stage, day)
    return Chart(
        title,
        "days" if day == 86_400 else "working days",
        lines,
        since,
        until,
        policy.timezone,
        limits,
        dots=_dots(problem, day),
    )


def _dots(problem: ProblemData, day: int) -> list[Point]:
    """The deals of the evidence, by their ages in days."""
    shown = problem.evidence
    deals = {deal.deal: deal for deal in (*shown.worst, *shown.sample)} if shown else {}
    return [(told_at(problem), deal.age_seconds / day) for deal in deals.values()]


def ages_title(
    problem: ProblemData, oldest: Sequence[Point], median: Sequence[Point], held: Sequence[Point], stage: str, day: int
) -> str:
    """`oldest` and `median` in days, `held`: deals in the stage, all at the ends of days."""
    if problem.cleared_at is not None:
        return f"How long deals were in {stage}"
    ends = [line[-1][0] for line in (oldest, held) if line]
    told_after = problem.evidence is not None and (not ends or told_at(problem) > max(ends))
    dots = [age for _, age in _dots(problem, day)] if told_after else []
    whole = MEASURE[problem.kind] is Measure.WIP
    if not dots and ((told_after and whole) or (held and held[-1][1] == 0)):
        return f"No deal is in {stage} now"
    # Deals that stand still need not be the oldest of their stage.
    known = dots if dots and problem.kind != "stalled" else [*dots, *(age for _, age in oldest[-1:])]
    if not known:
        return f"How long deals were in {stage}"
    return ages(max(known) * day, median[-1][1] * day if median else None, stage, day)


async def png_of(connection: Any, problem: ProblemData, policy: Policy, now: datetime) -> bytes:
    """The count chart for a mail, which says what was told; drawn in a thread, so that nothing else waits for it."""
    chart = replace(await count_chart(connection, problem, policy, now), title=tell(problem, policy).finding)
    return await asyncio.to_thread(charts.png, chart)

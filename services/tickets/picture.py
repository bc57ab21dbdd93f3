"""What a ticket's charts show: chosen from the points, intervals and evidence that the service keeps."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from services.tickets import charts, store
from services.tickets.charts import Chart, Point
from services.tickets.store import Series
from services.tickets.words import ages, tell
from services.tickets.words import limit as limit_words
from shared.contracts.measures import Measure
from shared.contracts.problems import ProblemData
from shared.policy import Policy

MEASURE = {
    "aging": Measure.OVER_AGE, "wip-high": Measure.WIP, "wip-low": Measure.WIP, "stalled": Measure.STALLED,
}  # fmt: skip
COUNTED = {
    "aging": "deals over the limit", "wip-high": "deals in work", "wip-low": "deals in work",
    "stalled": "deals standing still",
}  # fmt: skip
DAYS = 90


def span(problem: ProblemData, now: datetime) -> tuple[datetime, datetime]:
    """The time that is drawn: the weeks before the problem and all of it, at most until now."""
    until = min(now, problem.cleared_at + timedelta(days=14)) if problem.cleared_at else now
    return min(problem.opened_at - timedelta(days=28), until - timedelta(days=DAYS)), until


def series(problem: ProblemData, measure: Measure) -> Series:
    return problem.pipeline, problem.stage or "", measure.value


def with_newest(points: Sequence[Point], problem: ProblemData, until: datetime) -> list[Point]:
    """The days and, while the problem lasts, the count that was told last."""
    shown = problem.evidence
    if problem.cleared_at is not None or shown is None or until < shown.at:
        return list(points)
    return [*points, (max(shown.at, points[-1][0]) if points else shown.at, float(problem.count))]


async def count_chart(connection: Any, problem: ProblemData, policy: Policy, now: datetime) -> Chart:
    """The number that is judged, day by day, with its limit and what is usual."""
    since, until = span(problem, now)
    judged = series(problem, MEASURE[problem.kind])
    found = await store.points(connection, [judged], since, until)
    name = {"wip-high": "limit", "wip-low": "least"}.get(problem.kind, "problem from")
    limits = {f"{name} {problem.threshold}": float(problem.threshold)}
    line = with_newest(found[judged], problem, until)
    return Chart(
        tell(problem, policy).finding, COUNTED[problem.kind], {COUNTED[problem.kind]: line}, since, until,
        policy.timezone, limits, problem.usual, await store.intervals(connection, problem.key, since, until),
    )  # fmt: skip


async def age_chart(connection: Any, problem: ProblemData, policy: Policy, now: datetime) -> Chart:
    """Oldest and median age by day, in days of the stage's clock, with today's deals as dots."""
    since, until = span(problem, now)
    day = policy.day_seconds(problem.pipeline, problem.stage or "")
    wanted = [series(problem, measure) for measure in (Measure.AGE_OLDEST, Measure.AGE_MEDIAN)]
    oldest, median = (await store.points(connection, wanted, since, until)).values()
    lines = {
        name: [(at, value / day) for at, value in line] for name, line in (("oldest deal", oldest), ("median", median))
    }
    limits = {}
    if problem.limit_seconds and problem.kind == "aging":
        limits[f"limit {limit_words(problem, policy)}"] = problem.limit_seconds / day
    shown = problem.evidence
    deals = {deal.deal: deal for deal in (*shown.worst, *shown.sample)} if shown else {}
    dots = [(shown.at, deal.age_seconds / day) for deal in deals.values()] if shown else []
    return Chart(
        _ages_title(problem, [*dots, *lines["oldest deal"][-1:]], lines["median"], tell(problem, policy).stage, day),
        "days" if day == 86_400 else "working days", lines, since, until, policy.timezone, limits, dots=dots,
    )  # fmt: skip


def _ages_title(problem: ProblemData, newest: Sequence[Point], median: Sequence[Point], stage: str, day: int) -> str:
    """`newest` and `median` in days."""
    if problem.cleared_at is not None or not newest:
        return f"How long deals were in {stage}"
    oldest = max(age for _, age in newest) * day
    return ages(oldest, median[-1][1] * day if median else None, stage, day)


async def png_of(connection: Any, problem: ProblemData, policy: Policy, now: datetime) -> bytes:
    """The count chart for a mail; drawn in a thread, so that nothing else waits for it."""
    return await asyncio.to_thread(charts.png, await count_chart(connection, problem, policy, now))

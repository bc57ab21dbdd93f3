"""What a ticket's charts show: chosen from the points, intervals and evidence that the service keeps."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

from services.tickets import charts, store
from services.tickets.charts import Chart
from services.tickets.words import limit as limit_words
from services.tickets.words import number, tell
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


async def count_chart(connection: Any, problem: ProblemData, policy: Policy, now: datetime) -> Chart:
    """The number that is judged, day by day, with its limit and what is usual."""
    since, until = span(problem, now)
    measure = MEASURE[problem.kind].value
    found = await store.points(connection, problem.pipeline, problem.stage or "", [measure], since, until)
    name = {"wip-high": "limit", "wip-low": "least"}.get(problem.kind, "problem from")
    limits = {f"{name} {problem.threshold}": float(problem.threshold)}
    if problem.usual is not None:
        limits[f"usual {number(problem.usual)}"] = problem.usual
    line = list(found[measure])
    if problem.cleared_at is None and problem.evidence is not None and until >= problem.evidence.at:
        line.append((max(problem.evidence.at, line[-1][0]) if line else problem.evidence.at, float(problem.count)))
    return Chart(
        tell(problem, policy).finding, COUNTED[problem.kind], {COUNTED[problem.kind]: line}, since, until,
        policy.timezone, limits, await store.intervals(connection, problem.key, since, until),
    )  # fmt: skip


async def age_chart(connection: Any, problem: ProblemData, policy: Policy, now: datetime) -> Chart:
    """Oldest and median age by day, in days of the stage's clock, with today's deals as dots."""
    since, until = span(problem, now)
    day = policy.day_seconds(problem.pipeline, problem.stage or "")
    measures = [Measure.AGE_OLDEST.value, Measure.AGE_MEDIAN.value]
    found = await store.points(connection, problem.pipeline, problem.stage or "", measures, since, until)
    lines = {
        name: [(at, value / day) for at, value in found[measure]]
        for name, measure in zip(("oldest deal", "median"), measures, strict=True)
    }
    limits = {}
    if problem.limit_seconds and problem.kind == "aging":
        limits[f"limit {limit_words(problem, policy)}"] = problem.limit_seconds / day
    shown = problem.evidence
    deals = {deal.deal: deal for deal in (*shown.worst, *shown.sample)} if shown else {}
    dots = [(shown.at, deal.age_seconds / day) for deal in deals.values()] if shown else []
    words = tell(problem, policy)
    return Chart(
        f"How long deals have been in {words.stage}", "days" if day == 86_400 else "working days", lines, since, until,
        policy.timezone, limits, (), dots,
    )  # fmt: skip


async def png_of(connection: Any, problem: ProblemData, policy: Policy, now: datetime) -> bytes:
    """The count chart for a mail; drawn in a thread, so that nothing else waits for it."""
    return await asyncio.to_thread(charts.png, await count_chart(connection, problem, policy, now))

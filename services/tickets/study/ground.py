"""Reads what a plan is compared with: the weeks of its measures, what they can show, and what is sealed of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction

from services.tickets.domain.plan import Plan
from services.tickets.domain.seal import SealedGround
from services.tickets.domain.ticket import Ticket
from services.tickets.store import revised_points
from services.tickets.store.revised_points import LogCharts
from services.tickets.study.change_weeks import ChangeWeeks, change_instant
from services.tickets.study.confounding import ChangeSpan, overlapping
from services.tickets.study.known_weeks import ALL_KNOWN, RevisedChart
from services.tickets.study.measures import is_higher_better
from services.tickets.study.planning import MeasureOutlook, PlanOutline, outlook
from services.tickets.study.settling import settling_weeks, week_seconds
from services.tickets.study.trouble import TroubleWeeks, sealed_opening, trouble_weeks
from shared.contracts.measures import Column
from shared.flow.statistics.columns import Chart
from shared.flow.statistics.interim_looks import WINDOW
from shared.flow.statistics.weeks import Weeks
from shared.policy import Policy
from shared.postgres.pool import Connection, Executor
from shared.runtime.instants import micros
from shared.stream import relocks, stages_now

# Weekly medians of time in stage that stand for what is not learned yet.
_RECENT = 13


@dataclass(frozen=True)
class PlanGround:
    """All that is known of a plan before its change. `balancing`: None without such a measure.

    `looks`: the days on which the weeks of each look are over. `confounded_with`: tickets with an overlapping change.
    """

    measure: MeasureOutlook
    balancing: MeasureOutlook | None
    trouble: TroubleWeeks
    settling: int
    looks: tuple[date, ...]
    confounded_with: tuple[int, ...]


async def prepare(connection: Connection, ticket: Ticket, plan: Plan, policy: Policy, now: datetime) -> SealedGround:
    """What is sealed with a plan. Where it cannot be tested, `measure.untestable` says why."""
    ground = await ground_of_plan(connection, ticket, PlanOutline.of(plan), policy, now)
    least = (ground.measure.smallest or {}).get(WINDOW)
    return SealedGround(
        policy.timezone,
        ground.trouble.trigger,
        ground.trouble.opened,
        ground.measure.weeks,
        ground.balancing.weeks if ground.balancing else None,
        least,
        ground.settling,
        WINDOW,
        sealed_opening(ticket.problem, policy),
    )


async def ground_of_plan(
    executor: Executor, ticket: Ticket, outline: PlanOutline, policy: Policy, now: datetime
) -> PlanGround:
    """What a plan, sealed or still a draft, would be compared with, and what that can show."""
    settling = await _settling(executor, ticket, policy) if outline.new_entries_only else 0
    at = change_instant(outline.change_date, settling, policy.timezone)
    charts = [outline.measure, *([outline.balancing] if outline.balancing else [])]
    log = await revised_points.load(executor, charts, policy.timezone)
    log = log or LogCharts(Weeks(micros(now), policy.timezone), {})
    around = ChangeWeeks(log.weeks, at)
    trouble = trouble_weeks(ticket.problem, log.weeks)

    async def of(chart: Chart, trouble: TroubleWeeks) -> MeasureOutlook:
        found = log.charts.get(chart) or RevisedChart.of(chart.column, {}, {})
        since = await last_relock(executor, chart, around)
        higher = is_higher_better(chart, ticket.problem.kind)
        return outlook(found, around, trouble, since, outline, higher_is_better=higher)

    begins = change_instant(outline.change_date, 0, policy.timezone)
    span = ChangeSpan.of(ticket, outline.measure, begins, around.end_of(WINDOW))
    # The cause of the trouble is no cause of what the balancing measure does.
    common = TroubleWeeks(trouble.trigger, None)
    return PlanGround(
        await of(outline.measure, trouble),
        await of(outline.balancing, common) if outline.balancing else None,
        trouble,
        settling,
        around.looks(WINDOW),
        await overlapping(executor, span),
    )


async def last_relock(executor: Executor, chart: Chart, around: ChangeWeeks) -> str | None:
    """The first week since the last relock before a change, by ISO name; None where there was none."""
    known = await relocks.load(executor, [chart.name])
    begun = [one.from_week for one in known if one.from_week and around.weeks.number(one.from_week) < around.end_before]
    return max(begun, key=around.weeks.number, default=None)


async def _settling(executor: Executor, ticket: Ticket, policy: Policy) -> int:
    """The weeks until a change for new deals only shows in those that leave the ticket's stage."""
    pipeline, stage = ticket.problem.pipeline, ticket.problem.stage
    if stage is None or policy.stage(pipeline, stage) is None:
        return 0
    now = (await stages_now.of_stages(executor, [(pipeline, stage)])).stages.get((pipeline, stage))
    chart = Chart(pipeline, stage, Column.TIME_IN_STAGE_MEDIAN)
    log = await revised_points.load(executor, [chart], policy.timezone)
    values = log.charts[chart].at(ALL_KNOWN) if log else []
    medians = [Fraction(value) for value in values if value is not None][-_RECENT:]
    return settling_weeks(now.stays if now else None, medians, week_seconds(policy, pipeline, stage))

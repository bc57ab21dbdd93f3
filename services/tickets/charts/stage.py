"""What the charts of a stage show: its open deals by age, its work, and its ages by day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.tickets.charts.spec import Drawing, LineChart, StayDrawing
from services.tickets.store.daily_points import Point
from shared import wording
from shared.contracts.measures import Measure
from shared.contracts.now import MAX_OPEN, NowData
from shared.flow.calendars import AgeClocks
from shared.policy import Policy
from shared.policy.model import AgingRule
from shared.runtime.instants import micros
from shared.wording.quantities import CALENDAR_DAY, age, deals, number


@dataclass(frozen=True)
class StageFacts:
    """A stage with its daily points, by measure, how it stands `until` now, and when its open deals entered."""

    pipeline: str
    stage: str
    title: str
    points: Mapping[Measure, Sequence[Point]]
    now: NowData | None
    open_since: Sequence[datetime]
    since: datetime
    until: datetime
    zone: str


def stage_charts(facts: StageFacts, policy: Policy, clocks: AgeClocks) -> list[Drawing]:
    """The charts that have something to show."""
    charts = (_open_deals(facts, policy, clocks), _work(facts, policy), _ages(facts, policy), _stays(facts, policy))
    return [chart for chart in charts if chart is not None]


def _open_deals(facts: StageFacts, policy: Policy, clocks: AgeClocks) -> LineChart | None:
    """Each open deal by when it entered and its age now, with the limit."""
    if not facts.open_since:
        return None
    clock, at = clocks.of(facts.pipeline, facts.stage), micros(facts.until)
    day = clock.day_seconds
    # What entered since the whole minute that it is has no age yet.
    dots = [(entered, max(0, clock.age(micros(entered), at)) / 1_000_000 / day) for entered in facts.open_since]
    oldest = age(max(value for _, value in dots) * day, day)
    return LineChart(
        f"{_open(len(dots), facts.now)}, the oldest for {oldest}",
        _unit(day),
        {},
        min(facts.open_since),
        facts.until,
        facts.zone,
        _age_limits(facts, policy, day),
        dots=dots,
    )


def _open(shown: int, now: NowData | None) -> str:
    """`12 open deals`, `The 500 oldest of 1,200 open deals`"""
    if now is not None and now.wip > shown >= MAX_OPEN:
        return f"The {shown} oldest of {now.wip:,} open deals"
    return "1 open deal" if shown == 1 else f"{shown} open deals"


def _work(facts: StageFacts, policy: Policy) -> LineChart | None:
    """Deals in work by day, with the limits of the policy."""
    points = list(facts.points[Measure.WIP])
    if facts.now is not None:
        points.append((facts.until, float(facts.now.wip)))
    if not points:
        return None
    rules = [rule for rule in policy.pipelines[facts.pipeline].count_rules if rule.stage == facts.stage]
    found = [limit for rule in rules if (limit := wording.of(rule.kind).wip_limit(rule)) is not None]
    limits = {f"limit {limit}": float(limit) for limit in found}
    count = deals(int(points[-1][1]))
    title = f"{facts.title} holds {count}"
    return LineChart(title, "deals in work", {"deals in work": points}, facts.since, facts.until, facts.zone, limits)


def _ages(facts: StageFacts, policy: Policy) -> LineChart | None:
    """The oldest and the median age at the end of each day."""
    day = policy.day_seconds(facts.pipeline, facts.stage)
    measures = {"oldest deal": Measure.AGE_OLDEST, "median": Measure.AGE_MEDIAN}
    lines = {name: [(at, value / day) for at, value in facts.points[one]] for name, one in measures.items()}
    if not any(lines.values()):
        return None
    title = f"How long open deals have been in {facts.title}, at the end of each day"
    limits = _age_limits(facts, policy, day)
    return LineChart(title, _unit(day), lines, facts.since, facts.until, facts.zone, limits)


def _stays(facts: StageFacts, policy: Policy) -> StayDrawing | None:
    """How long deals stay, with what is learned of it and the limits of the policy."""
    found = facts.now.stays if facts.now is not None else None
    if found is None:
        return None
    day = policy.day_seconds(facts.pipeline, facts.stage)
    title, limits = f"How long deals stay in {facts.title}: {deals(found.finished)} in half a year", dict[str, float]()
    if found.limit_seconds is not None:
        title = f"85 of 100 deals stay in {facts.title} for at most {age(found.limit_seconds, day)}"
        limits[f"85 of 100 within {number(found.limit_seconds / day)}"] = found.limit_seconds / day
    steps = [(time / day, share) for time, share in found.steps]
    limits |= _age_limits(facts, policy, day)
    return StayDrawing(title, "% of deals", _unit(day), "deals that stay longer", steps, limits)


def _age_limits(facts: StageFacts, policy: Policy, day: int) -> dict[str, float]:
    name = "day" if day == CALENDAR_DAY else "working day"
    return {
        f"limit {rule.limit.words(name)}": rule.limit.micros(day) / 1_000_000 / day
        for rule in policy.pipelines[facts.pipeline].count_rules
        if isinstance(rule, AgingRule) and rule.stage == facts.stage
    }


def _unit(day: int) -> str:
    return "days" if day == CALENDAR_DAY else "working days"

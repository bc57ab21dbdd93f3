"""What the board of a pipeline shows: each open stage as it is now, its last week, its limits, its tickets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from services.tickets.charts.sparkline import sparkline
from services.tickets.domain.seal import SealedPlan
from services.tickets.store.daily_points import DailyValues, Series
from services.tickets.store.tickets import TicketName
from services.tickets.store.weekly_points import LastWeek
from services.tickets.web.stage_rows import oldest, stage_address
from services.tickets.web.view_models import named_ticket
from shared import wording
from shared.contracts.measures import Column, Measure
from shared.contracts.now import NowData, RuleNow
from shared.contracts.problems import Mode
from shared.flow.calendars import AgeClocks
from shared.flow.statistics.columns import Chart
from shared.policy import Policy, StageTitles
from shared.policy.model import AgingLearnedRule, CountRule
from shared.stream.stages_now import StagesNow
from shared.wording.problem_text import watched
from shared.wording.quantities import deals, rounded

STAGE_COLUMNS = (Column.ARRIVALS, Column.DEPARTURES)
CLOSED_COLUMNS = (Column.THROUGHPUT, Column.WON, Column.LOST)


@dataclass(frozen=True)
class BoardLimit:
    """One rule of a stage as it stands now.

    `count`: `12 of 34 deals, 35 %`; empty where nothing is known, or where the card shows it anyway. `since`: since
    when the stage is beyond the limit, where that is known. `note`: `off`, `opens no tickets`.
    """

    label: str
    watched: str
    count: str
    is_beyond: bool
    since: datetime | None
    note: str


@dataclass(frozen=True)
class BoardTicket:
    """An open ticket. `tried`: what is being changed, where a plan is sealed; `since`: the day of that change."""

    number: int
    title: str
    state: str
    opened_at: datetime
    tried: str | None
    since: date | None


@dataclass(frozen=True)
class BoardStage:
    """One open stage. `wip`, `arrived`, `left`: None where nothing is known yet."""

    title: str
    address: str
    wip: int | None
    oldest: str
    arrived: int | None
    left: int | None
    spark: str
    limits: Sequence[BoardLimit]
    tickets: Sequence[BoardTicket]

    @property
    def is_beyond(self) -> bool:
        """Whether it is beyond a limit that opens tickets."""
        return any(one.is_beyond for one in self.limits)


@dataclass(frozen=True)
class BoardClosed:
    """What was closed in the last week."""

    closed: int
    won: int | None
    lost: int | None


@dataclass(frozen=True)
class BoardFacts:
    """What the database has for the board of a pipeline."""

    pipeline: str
    titles: StageTitles
    standing: StagesNow
    days: Mapping[Series, DailyValues]
    week: LastWeek | None
    tickets: Sequence[BoardTicket]
    # Their stages, by number; none: of the whole pipeline.
    places: Mapping[int, str | None]

    def count(self, stage: str, column: Column) -> int | None:
        """A number of deals of the last week."""
        value = self.week.values.get(Chart(self.pipeline, stage, column)) if self.week else None
        return None if value is None else int(value)


def board_stages(facts: BoardFacts, policy: Policy, clocks: AgeClocks) -> list[BoardStage]:
    """The open stages of the pipeline, in their order."""
    return [_stage(facts, stage, policy, clocks) for stage in policy.pipelines[facts.pipeline].open_stages]


def _stage(facts: BoardFacts, stage: str, policy: Policy, clocks: AgeClocks) -> BoardStage:
    now = facts.standing.stages.get((facts.pipeline, stage))
    return BoardStage(
        facts.titles.title(facts.pipeline, stage),
        stage_address(facts.pipeline, stage),
        now.wip if now else None,
        oldest(now, facts.standing, clocks),
        facts.count(stage, Column.ARRIVALS),
        facts.count(stage, Column.DEPARTURES),
        _spark(facts, stage, now, policy),
        _limits(now, facts.pipeline, stage, policy),
        tickets_of(facts, stage),
    )


def _spark(facts: BoardFacts, stage: str, now: NowData | None, policy: Policy) -> str:
    """Deals in work by day, until now, with the largest number that the policy allows."""
    line = list(facts.days[facts.pipeline, stage, Measure.WIP.value].values)
    if now is not None and facts.standing.at is not None:
        line.append(float(now.wip))
    rules = [rule for rule in policy.pipelines[facts.pipeline].count_rules if rule.stage == stage]
    most = next((limit for rule in rules if (limit := wording.of(rule.kind).wip_limit(rule)) is not None), None)
    return sparkline(line, None if most is None else float(most))


def _limits(now: NowData | None, pipeline: str, stage: str, policy: Policy) -> list[BoardLimit]:
    found = policy.pipelines[pipeline]
    rules: list[CountRule | AgingLearnedRule] = [rule for rule in found.count_rules if rule.stage == stage]
    if stage in found.learned_rules:
        rules.append(found.learned_rules[stage])
    states = {rule.kind: rule for rule in now.rules} if now else {}
    return [_limit(rule, states.get(rule.kind), now.wip if now else 0, pipeline, policy) for rule in rules]


def _limit(
    rule: CountRule | AgingLearnedRule, state: RuleNow | None, wip: int, pipeline: str, policy: Policy
) -> BoardLimit:
    kind = wording.of(rule.kind)
    is_beyond = state is not None and state.breached and rule.mode is Mode.ACTIVE
    counts_all = kind.chart is not None and kind.chart.counts_all
    return BoardLimit(
        kind.label,
        watched(rule, pipeline, policy),
        "" if state is None or counts_all else _share(state.count, wip),
        is_beyond,
        state.since if state and is_beyond else None,
        {Mode.OFF: "off", Mode.MONITOR: "opens no tickets"}.get(rule.mode, ""),
    )


def _share(count: int, wip: int) -> str:
    """`12 of 34 deals, 35 %`"""
    return f"{count} of {deals(wip)}, {rounded(100 * count / wip)} %" if wip else "no deal"


def tickets_of(facts: BoardFacts, stage: str | None) -> list[BoardTicket]:
    """Those of a stage; None: those of the whole pipeline."""
    return [one for one in facts.tickets if facts.places[one.number] == stage]


def board_ticket(one: TicketName, sealed: SealedPlan | None, policy: Policy, titles: StageTitles) -> BoardTicket:
    """`sealed`: the plan in force."""
    named, change = named_ticket(one, policy, titles), sealed.plan.change if sealed else None
    return BoardTicket(one.id, named.title, named.state, one.opened_at, change, one.change_date)


def closed(facts: BoardFacts) -> BoardClosed | None:
    """What left the pipeline in the last week; None where that is not known."""
    number = facts.count("", Column.THROUGHPUT)
    return None if number is None else BoardClosed(number, facts.count("", Column.WON), facts.count("", Column.LOST))


def board_sentence(stages: Sequence[BoardStage]) -> str:
    """The most important thing: `93 deals in work; beyond a limit: Demo and Proposal`"""
    known = [one.wip for one in stages if one.wip is not None]
    beyond = [one.title for one in stages if one.is_beyond]
    watching = any(not one.note for stage in stages for one in stage.limits)
    if beyond:
        state = f"beyond a limit: {listed(beyond)}"
    elif watching:
        state = "every stage is within its limits"
    else:
        state = "no limit is watched"
    return f"{deals(sum(known))} in work; {state}."


def listed(names: Iterable[str]) -> str:
    """`Demo`, `Demo and Proposal`, `Demo, Proposal and Legal`"""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last

"""The stages of all pipelines as they are now, for the page of pipelines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlencode

from services.tickets.charts.sparkline import sparkline
from services.tickets.store.daily_points import DailyValues, Series
from services.tickets.web.view_models import NamedTicket, RuleView, rule_view
from shared import wording
from shared.contracts.measures import Measure
from shared.contracts.now import NowData
from shared.contracts.stages import StageOutcome
from shared.flow.calendars import AgeClocks
from shared.policy import Policy, StageTitles
from shared.policy.model import CountRule, Stage
from shared.runtime.instants import micros
from shared.stream.stages_now import StagesNow
from shared.wording.quantities import age


@dataclass(frozen=True)
class StageRow:
    """One stage on the page of pipelines. `wip` and `oldest` are empty if nothing is known of it yet."""

    title: str
    address: str
    wip: int | None
    oldest: str
    spark: str
    rules: Sequence[RuleView]
    tickets: Sequence[NamedTicket]


def open_stages(policy: Policy) -> list[tuple[str, Stage]]:
    """The open stages of the policy, each with its pipeline."""
    return [
        (key, stage)
        for key, pipeline in policy.pipelines.items()
        for stage in pipeline.stages
        if stage.outcome is StageOutcome.OPEN
    ]


def by_pipeline(
    policy: Policy,
    clocks: AgeClocks,
    titles: StageTitles,
    standing: StagesNow,
    days: Mapping[Series, DailyValues],
    tickets: Sequence[NamedTicket],
) -> Mapping[str, Sequence[StageRow]]:
    """The rows of each pipeline. `days`: WIP by day; `tickets`: the open ones."""
    of_stage: dict[tuple[str, str | None], list[NamedTicket]] = {}
    for one in tickets:
        of_stage.setdefault((one.of.pipeline, one.of.stage), []).append(one)
    rows: dict[str, list[StageRow]] = {key: [] for key in policy.pipelines}
    rules_of = _rules_by_stage(policy)
    for pipeline, stage in open_stages(policy):
        now = standing.stages.get((pipeline, stage.id))
        rules = rules_of.get((pipeline, stage.id), [])
        limits = [limit for rule in rules if (limit := wording.of(rule.kind).wip_limit(rule)) is not None]
        line = [*days[pipeline, stage.id, Measure.WIP.value].values]
        if now is not None and standing.at is not None:
            line.append(float(now.wip))
        counts = {rule.kind: rule.count for rule in now.rules} if now else {}
        rows[pipeline].append(
            StageRow(
                titles.title(pipeline, stage.id),
                stage_address(pipeline, stage.id),
                now.wip if now else None,
                oldest(now, standing, clocks),
                sparkline(line, float(limits[0]) if limits else None),
                [rule_view(rule, pipeline, policy, titles, counts.get(rule.kind)) for rule in rules],
                of_stage.get((pipeline, stage.id), []),
            )
        )
    return rows


def _rules_by_stage(policy: Policy) -> Mapping[tuple[str, str], list[CountRule]]:
    found: dict[tuple[str, str], list[CountRule]] = {}
    for key, pipeline in policy.pipelines.items():
        for rule in pipeline.count_rules:
            found.setdefault((key, rule.stage), []).append(rule)
    return found


@lru_cache(4096)
def stage_address(pipeline: str, stage: str) -> str:
    """Address of a stage's page. Ids may hold anything, also what means something in a path."""
    return f"/stage?{urlencode({'pipeline': pipeline, 'stage': stage})}"


def oldest(now: NowData | None, standing: StagesNow, clocks: AgeClocks) -> str:
    """How long the oldest deal has been in the stage."""
    if now is None or now.oldest_entered_at is None or standing.at is None:
        return ""
    clock = clocks.of(now.pipeline, now.stage)
    lasted = clock.age(micros(now.oldest_entered_at), micros(standing.at)) / 1_000_000
    # It may have entered since the whole minute that `at` is.
    return age(max(0, lasted), clock.day_seconds)
